//! The node's upkeep on a real containerd.

use std::io::Read as _;

use super::*;

/// Lines that the program writes: 20 MB with what CRI puts before each.
const LINES: u32 = 150_000;

/// <https://kubernetes.io/docs/concepts/cluster-administration/logging/#log-rotation>
#[tokio::test(flavor = "multi_thread")]
async fn no_line_is_lost_while_logs_are_rotated() {
    let containerd = Containerd::start(30).await;
    let edge = Edge::start_with(&containerd, &[], |kubelet| {
        kubelet.container_log_max_size = "2Mi".to_owned();
        kubelet.container_log_max_files = 50;
        kubelet.container_log_monitor_interval = proto::config::GoDuration::from_secs(1);
    })
    .await;
    let chatter = pod("chatter", json!({"containers": [app(&["chatter", &LINES.to_string()])]}));
    edge.meta.apply(&chatter).await;
    edge.meta.until_ready("chatter").await;
    let folder = containerd.path("logs/default_chatter_uid-chatter/app");
    // All of it is written, all but the live log and the one before it is packed, and nothing moved while it was read.
    let (mut names, mut lines) = (Vec::new(), Vec::new());
    until(|| {
        names = log_names(&folder);
        lines = whole_lines(&all_records(&folder));
        let packed = names.iter().filter(|name| name.ends_with(".gz")).count();
        let is_packed = packed >= 2 && packed + 2 == names.len();
        is_packed && lines.iter().any(|line| line == "serving") && names == log_names(&folder)
    })
    .await;
    assert!(!names[names.len() - 2].ends_with(".gz"), "the newest is as it was written: {names:?}");
    // What the runtime had still in hand when it was told to begin a new log comes into the old one a little later.
    let mut wrong: Option<(String, String)> = None;
    let complete = until(|| {
        lines = whole_lines(&all_records(&folder));
        let mut pairs = (0..LINES).map(line).zip(lines.iter().cloned());
        wrong = pairs.find(|(expected, found)| expected != found);
        lines.len() == LINES as usize + 1 && wrong.is_none()
    });
    // Too late: the figures say more than the time.
    tokio::time::timeout(Duration::from_secs(20), complete).await.ok();
    assert_eq!(wrong, None, "{} lines, {names:?}", lines.len());
    assert_eq!(
        lines.len(),
        LINES as usize + 1,
        "every line is there, once, whole and in its place: {names:?}"
    );
}

/// <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#container-image-lifecycle>
#[tokio::test(flavor = "multi_thread")]
async fn an_unused_image_goes_and_those_in_use_stay() {
    let containerd = Containerd::start(31).await;
    // Another program, so that it is another image and not another name of the same.
    let (unused, archive) = ("skerry.test/unused:1", containerd.path("unused.tar"));
    image::write_other(&archive, unused);
    containerd.ctr(&["images", "import", archive.to_str().unwrap()]);
    assert!(containerd.ctr(&["images", "list", "-q"]).contains(unused));
    let waits = json!({"containers": [{"name": "app", "image": IMAGE, "imagePullPolicy": "Never",
        "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "none", "key": "x"}}}]}]});
    // Any disk is fuller than this.
    let edge = Edge::start_with(&containerd, &[pod("waits", waits)], |kubelet| {
        kubelet.image_gc_high_threshold_percent = 0;
        kubelet.image_gc_low_threshold_percent = 0;
        kubelet.image_minimum_gc_age = proto::config::GoDuration::from_secs(0);
    })
    .await;
    until(|| !containerd.ctr(&["images", "list", "-q"]).contains(unused)).await;
    // Nothing more is found, and that is told: the round is over.
    let message = edge.meta.until_event("FreeDiskSpaceFailed").await;
    assert!(!message.contains("only found 0 bytes"), "{message}");
    let left = containerd.ctr(&["images", "list", "-q"]);
    assert!(left.lines().any(|name| name == IMAGE), "{left}");
    let web = pod("web", json!({"containers": [app(&["serve"])]}));
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
}

/// A line as the program writes it.
fn line(number: u32) -> String {
    format!("line {number:08} {}", "x".repeat(85))
}

/// What the program has written, line by line. A record says in its third field whether the line ends with it (`F`) or goes on in the
/// next one (`P`): when containerd is told to begin a new log, what it has read of a line by then is the last record of the old one,
/// and the rest of the line is the first of the new one.
fn whole_lines(records: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for record in records.lines() {
        let mut fields = record.splitn(4, ' ').skip(2);
        let (Some(tag), Some(text)) = (fields.next(), fields.next()) else { panic!("no record: {record:?}") };
        lines.last_mut().unwrap().push_str(text);
        match tag {
            "F" => lines.push(String::new()),
            "P" => {}
            other => panic!("tag {other:?} in {record:?}"),
        }
    }
    // What does not end yet is still to come.
    lines.pop();
    lines
}

fn log_names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    // `0.log` is the newest, and sorts first.
    names.sort_unstable();
    if names.first().is_some_and(|first| first == "0.log") {
        names.rotate_left(1);
    }
    names
}

/// Everything that was logged, as records, oldest first. A file that is being packed just now is read the next time.
fn all_records(folder: &Path) -> String {
    let mut text = String::new();
    for name in log_names(folder) {
        let Ok(mut file) = std::fs::File::open(folder.join(&name)) else { return String::new() };
        if name.ends_with(".gz") {
            flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        } else if name.ends_with(".tmp") {
            return String::new();
        } else {
            file.read_to_string(&mut text).unwrap();
        }
    }
    text
}
