use futures::StreamExt as _;
use tempfile::TempDir;

use super::*;
use crate::stream::Frame;

fn camera(config: &str) -> Device {
    let manifests = format!(
        "
kind: DeviceModel
metadata: {{name: m}}
spec: {{protocol: p, properties: [{{name: saveFrame, type: STREAM}}]}}
---
kind: Device
metadata: {{name: d}}
spec:
  deviceModelRef: {{name: m}}
  protocol: {{protocolName: p, configData: {{port: 1}}}}
  properties:
    - name: saveFrame
      collectCycle: 1000
      reportToCloud: true
      visitors: {{protocolName: p, configData: {{{config}}}}}
"
    );
    crate::simulate::devices(&manifests, "p").unwrap().remove(0)
}

/// So many frames, and then an error or silence.
fn frames(from: i64, count: i64, then: Option<DriverError>) -> Frames {
    let frame = |number: i64| Frame { data: b"x".to_vec(), format: "jpg".into(), at: number };
    let end = match then {
        Some(error) => futures::stream::once(std::future::ready(Err(error))).boxed(),
        None => futures::stream::pending().boxed(),
    };
    futures::stream::iter((from..from + count).map(move |number| Ok(frame(number)))).chain(end).boxed()
}

impl Bench {
    /// The value of the stream once it ends so.
    async fn keeps(&self, name: &str) {
        let wait = async {
            loop {
                let (_, news) = self.outbox.take().await;
                if news.readings.get("saveFrame").is_some_and(|reading| reading.value.ends_with(name)) {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(600), wait).await.expect(name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_recorded_through_faults_and_losses_until_there_is_enough() {
    let (shared, dir) = (Shared::default(), TempDir::new().unwrap());
    shared.set(|thing| {
        thing.streams = [
            frames(1000, 2, Some(DriverError::Refused("a hiccup".into()))),
            frames(2000, 1, Some(DriverError::unreachable("unplugged"))),
            frames(3000, 9, None),
        ]
        .into();
    });
    let bench = bench_of(&shared, camera("frameCount: 5"), dir.path().to_owned());
    bench.keeps("default/d/saveFrame/f1970-01-01T00:00:01.001Z.jpg").await;
    bench.keeps("f1970-01-01T00:00:02Z.jpg").await;
    // Two of the nine make five.
    bench.keeps("f1970-01-01T00:00:03.001Z.jpg").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(std::fs::read_dir(dir.path().join("default/d/saveFrame")).unwrap().count(), 5);
    assert_eq!((shared.count("open saveFrame"), shared.count("connect")), (3, 2));
    assert_eq!(shared.count("read saveFrame"), 0, "the value is where it is kept");
    assert!(bench.registry.encode().contains("mapper_recorded_files_total 5\n"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_changes_begins_anew_and_one_that_is_wrong_says_so() {
    let (shared, dir) = (Shared::default(), TempDir::new().unwrap());
    shared.set(|thing| thing.streams = [frames(1000, 99, None), frames(2000, 99, None)].into());
    let mut bench = bench_of(&shared, camera("frameCount: 1"), dir.path().to_owned());
    bench.keeps("f1970-01-01T00:00:01Z.jpg").await;
    // The same again is nothing new.
    bench.device.send_replace(Arc::new(camera("frameCount: 1")));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(shared.count("open saveFrame"), 1);
    bench.device.send_replace(Arc::new(camera("frameCount: 1, outputDir: other")));
    bench.keeps("other/f1970-01-01T00:00:02Z.jpg").await;
    assert_eq!((shared.count("open saveFrame"), shared.count("connect")), (2, 1));
    bench.device.send_replace(Arc::new(camera("outputDir: /etc")));
    bench.state(State::Unhealthy).await;
    let error = bench.shown.borrow().error.clone().unwrap();
    assert!(error.contains("stream.root"), "{error}");
    assert_eq!(shared.count("open saveFrame"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_opens_nothing_is_read() {
    let shared = Shared::default();
    let bench = bench_of(&shared, camera(""), "/nonexistent".into());
    bench.calls("read saveFrame", 2).await;
    assert_eq!(shared.count("open saveFrame"), 1);
}
