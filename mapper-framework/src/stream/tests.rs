use std::fs;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::Instant;

use super::recorder::{Progress, record};
use super::settings::{Keeps, Settings};
use super::*;
use crate::device::Device;
use crate::metrics::Metrics;

/// 2026-01-02T03:04:05Z
const START: i64 = 1_767_323_045_000;

fn device(name: &str, config: &str) -> Device {
    let manifests = format!(
        "
kind: DeviceModel
metadata: {{name: m}}
spec: {{protocol: p, properties: [{{name: {name}, type: STREAM}}]}}
---
kind: Device
metadata: {{name: d, namespace: default}}
spec:
  deviceModelRef: {{name: m}}
  protocol: {{protocolName: p}}
  properties: [{{name: {name}, visitors: {{protocolName: p, configData: {{{config}}}}}}}]
"
    );
    crate::simulate::devices(&manifests, "p").unwrap().remove(0)
}

fn settings(root: &Path, name: &str, config: &str) -> Result<Settings, DriverError> {
    let device = device(name, config);
    Settings::of(&device, &device.properties()[0], root)
}

fn frame(number: i64, data: &[u8]) -> Frame {
    Frame { data: data.to_vec(), format: "jpg".into(), at: START + number }
}

/// Frames without end: `one`, `two`, ...
fn frames() -> Frames {
    futures::stream::iter(0..).map(|number| Ok(frame(number, format!("<{number}>").as_bytes()))).boxed()
}

fn given(frames: Vec<Frame>) -> Frames {
    futures::stream::iter(frames.into_iter().map(Ok)).boxed()
}

async fn run(frames: Frames, settings: Settings) -> (Result<(), DriverError>, Progress) {
    let progress = watch::Sender::default();
    let ended = record(frames, settings, progress.clone(), Metrics::default()).await;
    let progress = progress.borrow().clone();
    (ended, progress)
}

/// Names and contents.
fn files(folder: &Path) -> Vec<(String, String)> {
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
    };
    let mut all: Vec<_> = fs::read_dir(folder).unwrap().map(read).collect();
    all.sort();
    all
}

fn contents(folder: &Path) -> Vec<String> {
    files(folder).into_iter().map(|(_, content)| content).collect()
}

#[tokio::test(start_paused = true)]
async fn so_many_frames_are_kept_so_often_under_their_times() {
    let dir = TempDir::new().unwrap();
    let settings = settings(dir.path(), "saveFrame", "frameCount: 3, frameInterval: 2000000000, format: JPG");
    let start = Instant::now();
    let (ended, progress) = run(frames(), settings.unwrap()).await;
    ended.unwrap();
    assert_eq!(Instant::now() - start, Duration::from_secs(4));
    let folder = dir.path().join("default/d/saveFrame");
    let name = |number: i64, content: &str| match number {
        0 => ("f2026-01-02T03:04:05Z.jpg".to_owned(), content.to_owned()),
        number => (format!("f2026-01-02T03:04:05.00{number}Z.jpg"), content.to_owned()),
    };
    let mut expected = [name(0, "<0>"), name(1, "<1>"), name(2, "<2>")];
    expected.sort();
    assert_eq!(files(&folder), expected);
    assert_eq!(progress, Progress { last: Some(folder.join(&name(2, "").0)), files: 3 });
}

#[tokio::test(start_paused = true)]
async fn the_oldest_files_give_way_and_none_that_are_not_ours() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("cam");
    fs::create_dir(&folder).unwrap();
    // Another one's files, what a process that was killed left, and what it had completed.
    for name in ["notes.jpg", "f2026-01-01.jpg", "f2026-01-01T00:00:00Z.png"] {
        fs::write(folder.join(name), "other").unwrap();
    }
    fs::write(folder.join("f2026-01-01T00:00:00Z.jpg.part"), "half").unwrap();
    fs::write(folder.join("f2026-01-01T00:00:00Z.jpg"), "old").unwrap();
    let few = settings(dir.path(), "saveFrame", "outputDir: cam, frameCount: 4, maxFiles: 3").unwrap();
    let (ended, _) = run(frames(), few).await;
    ended.unwrap();
    let mut kept = contents(&folder);
    kept.retain(|content| content != "other");
    kept.sort();
    assert_eq!(kept, ["<1>", "<2>", "<3>"]);
    assert_eq!(files(&folder).len(), 6);
    // Nine bytes are three frames.
    let small = settings(dir.path(), "saveFrame", "outputDir: cam, frameCount: 5, maxBytes: 10").unwrap();
    // Their times are past: each gets the next free one.
    let (ended, _) = run(frames(), small).await;
    ended.unwrap();
    let mut kept = contents(&folder);
    kept.retain(|content| content != "other");
    kept.sort();
    assert_eq!(kept, ["<2>", "<3>", "<4>"]);
}

#[tokio::test(start_paused = true)]
async fn a_clip_is_its_frames_and_ends_where_there_is_no_more_room() {
    let dir = TempDir::new().unwrap();
    let two = settings(dir.path(), "saveVideo", "outputDir: a, frameCount: 3, videoNum: 2").unwrap();
    let start = Instant::now();
    run(frames(), two).await.0.unwrap();
    assert_eq!(Instant::now(), start, "each frame is taken");
    let mut clips = contents(&dir.path().join("a"));
    clips.sort();
    assert_eq!(clips, ["<0><1><2>", "<3><4><5>"]);
    let full =
        settings(dir.path(), "saveVideo", "outputDir: b, frameCount: 99, videoNum: 2, maxBytes: 8").unwrap();
    run(frames(), full).await.0.unwrap();
    assert_eq!(contents(&dir.path().join("b")), ["<2><3>"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_kept_ends_it_and_leaves_nothing_half() {
    let dir = TempDir::new().unwrap();
    let clips = |config: &str| settings(dir.path(), "saveVideo", config).unwrap();
    let png = Frame { format: "png".into(), ..frame(1, b"<1>") };
    let large = frame(1, &vec![0; MAX_FRAME + 1]);
    for (second, why) in [(png, "became png"), (large, "33554433 bytes"), (frame(1, b""), "0 bytes")] {
        let (ended, progress) = run(given(vec![frame(0, b"<0>"), second]), clips("outputDir: a")).await;
        assert!(ended.unwrap_err().to_string().contains(why), "{why}");
        assert_eq!((progress.files, files(&dir.path().join("a"))), (0, vec![]));
    }
    let (ended, _) = run(given(vec![]), clips("outputDir: a")).await;
    assert!(ended.unwrap_err().to_string().contains("has ended"));
    let (ended, _) = run(frames(), clips("outputDir: a, format: mp4")).await;
    assert!(matches!(ended, Err(DriverError::Config(_))), "{ended:?}");
    let odd = Frame { format: "../x".into(), ..frame(0, b"<0>") };
    let (ended, _) = run(given(vec![odd]), clips("outputDir: a")).await;
    assert!(matches!(ended, Err(DriverError::Config(_))), "{ended:?}");
    // A camera that says nothing is lost.
    let (ended, _) = run(futures::stream::pending().boxed(), clips("outputDir: a")).await;
    assert!(ended.unwrap_err().is_lost());
    fs::write(dir.path().join("file"), "").unwrap();
    let (ended, _) = run(frames(), clips("outputDir: file")).await;
    assert!(ended.unwrap_err().to_string().contains("the disk does not take it"));
}

#[test]
fn a_device_says_folders_below_the_root_only() {
    let root = Path::new("/var/streams");
    let folder = |wanted: &str| settings(root, "saveFrame", &format!("outputDir: '{wanted}'"));
    assert_eq!(folder("").unwrap().folder, Path::new("/var/streams/default/d/saveFrame"));
    assert_eq!(folder("cam/1").unwrap().folder, Path::new("/var/streams/cam/1"));
    assert_eq!(folder("/var/streams/x").unwrap().folder, Path::new("/var/streams/x"));
    for outside in ["/etc", "../x", "a/../../x", "/var/streams/../x", "/var/streamsx"] {
        let error = folder(outside).unwrap_err();
        assert!(error.to_string().contains("stream.root"), "{outside}: {error}");
    }
    let open = settings(Path::new("/"), "saveFrame", "outputDir: /tmp/case").unwrap();
    assert_eq!(open.folder, Path::new("/tmp/case"));
}

#[test]
fn what_is_not_said_has_a_bound() {
    let root = Path::new("/r");
    let frames = settings(root, "saveFrame", "frameInterval: 1").unwrap();
    assert_eq!((frames.keeps, frames.interval), (Keeps::Frames { count: None }, Duration::from_millis(10)));
    assert_eq!((frames.max_files, frames.max_bytes), (1000, 256 << 20));
    let clips = settings(root, "saveVideo", "").unwrap();
    assert_eq!((clips.keeps, clips.interval), (Keeps::Clips { frames: 250, count: None }, Duration::ZERO));
    let many = settings(root, "saveFrame", "maxFiles: 5000000").unwrap();
    assert_eq!(many.max_files, 100_000);
    for wrong in ["format: 'a/b'", "format: toolongformat", "frameCount: -1", "outputDir: 7"] {
        assert!(matches!(settings(root, "saveFrame", wrong), Err(DriverError::Config(_))), "{wrong}");
    }
}
