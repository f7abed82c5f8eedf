mod streams;

use std::sync::Mutex;

use chassis::metrics::SharedRegistry;
use chassis::task::{self, AbortOnDrop};
use tokio::sync::Notify;

use super::*;
use crate::device::Property;
use crate::driver::Driver;
use crate::sinks::{Means, Pusher};
use crate::stream::Frames;

const MANIFESTS: &str = "
kind: DeviceModel
metadata: {name: m}
spec:
  protocol: p
  properties:
    - {name: t, type: INT, accessMode: ReadWrite, maximum: '100'}
    - {name: slow, type: DOUBLE, accessMode: ReadOnly}
---
kind: Device
metadata: {name: d}
spec:
  deviceModelRef: {name: m}
  protocol: {protocolName: p, configData: {port: 1}}
  properties:
    - name: t
      desired: {value: '5'}
      collectCycle: 100
      reportToCloud: true
      pushMethod: {anomalyDetection: {maximum: 50}}
    - {name: slow, collectCycle: 1000, reportToCloud: true}
  methods:
    - {name: double, propertyNames: [t]}
";

fn device() -> Device {
    crate::simulate::devices(MANIFESTS, "p").unwrap().remove(0)
}

/// A device in memory, and what a test wants of it.
#[derive(Default)]
struct Thing {
    connect: Option<DriverError>,
    read: Option<DriverError>,
    write: Option<DriverError>,
    hangs: bool,
    panics: bool,
    t: i64,
    calls: Vec<String>,
    upcoming: Vec<Vec<String>>,
    closed: u32,
    /// What streams give, opening by opening.
    streams: VecDeque<Frames>,
}

#[derive(Clone, Default)]
struct Shared {
    thing: Arc<Mutex<Thing>>,
    called: Arc<Notify>,
}

impl Shared {
    fn set(&self, change: impl FnOnce(&mut Thing)) {
        change(&mut self.thing.lock().unwrap());
    }

    fn count(&self, call: &str) -> usize {
        self.thing.lock().unwrap().calls.iter().filter(|one| one.as_str() == call).count()
    }

    fn note(&self, call: String) {
        self.set(|thing| thing.calls.push(call));
        self.called.notify_one();
    }
}

impl Driver for Shared {
    async fn connect(&mut self) -> Result<(), DriverError> {
        self.note("connect".into());
        // As every device it takes a moment.
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.thing.lock().unwrap().connect.clone().map_or(Ok(()), Err)
    }

    fn upcoming(&mut self, properties: &[&Property]) {
        let names = properties.iter().map(|property| property.name().to_owned()).collect();
        self.set(|thing| thing.upcoming.push(names));
        assert!(!self.thing.lock().unwrap().panics, "asked to");
    }

    async fn read(&mut self, property: &Property) -> Result<Value, DriverError> {
        self.note(format!("read {}", property.name()));
        let (hangs, panics, result) = {
            let thing = self.thing.lock().unwrap();
            (thing.hangs, thing.panics, thing.read.clone().map_or(Ok(Value::Int(thing.t)), Err))
        };
        assert!(!panics, "asked to");
        if hangs {
            std::future::pending::<()>().await;
        }
        result
    }

    async fn write(&mut self, property: &Property, value: &Value) -> Result<(), DriverError> {
        self.note(format!("write {} {value}", property.name()));
        let mut thing = self.thing.lock().unwrap();
        if let Some(error) = thing.write.clone() {
            return Err(error);
        }
        if let Value::Int(t) = value {
            thing.t = *t;
        }
        Ok(())
    }

    async fn call(
        &mut self,
        method: &crate::device::Method,
        arguments: &[(&Property, Value)],
    ) -> Result<Option<Value>, DriverError> {
        self.note(format!("call {} {}", method.name, arguments.len()));
        Ok(arguments[0].1.as_f64().map(|number| Value::Double(number * 2.0)))
    }

    async fn open_stream(&mut self, property: &Property) -> Result<Frames, DriverError> {
        self.note(format!("open {}", property.name()));
        let frames = self.thing.lock().unwrap().streams.pop_front();
        frames.ok_or_else(|| DriverError::Unsupported("no more streams".into()))
    }

    async fn disconnect(&mut self) {
        self.set(|thing| thing.closed += 1);
    }
}

struct Bench {
    shared: Shared,
    device: watch::Sender<Arc<Device>>,
    commands: mpsc::Sender<Command>,
    shown: watch::Receiver<Shown>,
    outbox: Outbox,
    registry: SharedRegistry,
    task: AbortOnDrop<()>,
}

fn bench(shared: &Shared) -> Bench {
    bench_of(shared, device(), "/nonexistent".into())
}

fn bench_of(shared: &Shared, device: Device, stream_root: PathBuf) -> Bench {
    let registry = SharedRegistry::new();
    let metrics = registry.register(Metrics::new);
    let rng = Rng::seeded(1);
    let (pushes, _) = Pusher::new(vec![], Means::default(), metrics.clone(), rng.clone());
    let outbox = Outbox::default();
    let limits =
        Limits { timeout: Duration::from_secs(2), state_cycle: Some(Duration::from_secs(60)), stream_root };
    let clock = Clock::fixed("2026-01-02T03:04:05Z".parse().unwrap());
    let outlets = Outlets { outbox: outbox.clone(), pushes, metrics, clock, rng, limits };
    let (device, follow) = watch::channel(Arc::new(device));
    let (commands, wanted) = mpsc::channel(4);
    let (show, shown) = watch::channel(Shown::new());
    let driver = shared.clone();
    let make = move |device: &Device| {
        #[derive(serde::Deserialize)]
        struct Wanted {
            #[expect(dead_code, reason = "it must be there")]
            port: u16,
        }
        device.config().read::<Wanted>()?;
        driver.note("make".into());
        Ok(driver.clone())
    };
    let actor = Actor::new(Arc::new(make), Wires { device: follow, commands: wanted, shown: show }, outlets);
    let task = task::spawn(tracing::Span::none(), actor.run());
    Bench { shared: shared.clone(), device, commands, shown, outbox, registry, task }
}

impl Bench {
    async fn state(&mut self, state: State) {
        let wait = self.shown.wait_for(|shown| shown.state == state);
        tokio::time::timeout(Duration::from_secs(300), wait).await.expect("the state comes").unwrap();
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, DriverError>>) -> Command,
    ) -> Result<T, DriverError> {
        let (to, answer) = oneshot::channel();
        self.commands.send(command(to)).await.unwrap();
        answer.await.unwrap()
    }

    /// What is reported of `t` next, with its desired value.
    async fn reported(&self) -> (String, Option<String>) {
        loop {
            let (_, news) = self.outbox.take().await;
            if let Some(reading) = news.readings.get("t") {
                return (reading.value.clone(), reading.desired.clone());
            }
        }
    }

    async fn calls(&self, call: &str, count: usize) {
        let wait = async {
            while self.shared.count(call) < count {
                self.shared.called.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(600), wait).await.expect("the call comes");
    }
}

#[tokio::test(start_paused = true)]
async fn desired_is_set_first_and_properties_are_read_in_their_cycles() {
    let mut bench = bench(&Shared::default());
    bench.state(State::Ok).await;
    let start = Instant::now();
    bench.calls("read t", 11).await;
    assert_eq!((Instant::now() - start).as_millis(), 1000);
    bench.calls("read slow", 2).await;
    let calls = bench.shared.thing.lock().unwrap().calls.clone();
    assert_eq!(calls[..4], ["make", "connect", "write t 5", "read t"]);
    assert_eq!(bench.shared.count("write t 5"), 1);
    assert_eq!(bench.reported().await, ("5".into(), Some("5".into())));
}

#[tokio::test(start_paused = true)]
async fn a_driver_hears_what_is_read_together() {
    let mut bench = bench(&Shared::default());
    bench.state(State::Ok).await;
    bench.calls("read slow", 2).await;
    let upcoming = bench.shared.thing.lock().unwrap().upcoming.clone();
    assert_eq!(upcoming.first().unwrap(), &["t", "slow"]);
    assert_eq!(upcoming.iter().filter(|names| names.len() == 2).count(), 2);
    assert_eq!(upcoming.iter().filter(|names| *names == &["t"]).count(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_desired_value_that_is_refused_is_tried_again_and_not_said_to_be_seen() {
    let shared = Shared::default();
    shared.set(|thing| thing.write = Some(DriverError::Refused("busy".into())));
    let mut bench = bench(&shared);
    bench.state(State::Unhealthy).await;
    assert_eq!(bench.reported().await, ("0".into(), None));
    bench.calls("write t 5", 4).await;
    shared.set(|thing| thing.write = None);
    bench.calls("write t 5", 5).await;
    bench.state(State::Ok).await;
    // What was read before it was set may still be on its way.
    while bench.reported().await != ("5".into(), Some("5".into())) {}
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_gone_is_connected_again_less_and_less_often() {
    let shared = Shared::default();
    let mut bench = bench(&shared);
    bench.state(State::Ok).await;
    shared.set(|thing| {
        thing.connect = Some(DriverError::unreachable("unplugged"));
        thing.read = Some(DriverError::unreachable("unplugged"));
    });
    bench.state(State::Offline).await;
    let start = Instant::now();
    bench.calls("connect", 12).await;
    let passed = Instant::now() - start;
    assert!(passed > Duration::from_secs(60) && passed < Duration::from_secs(600), "{passed:?}");
    let refused = bench.ask(|to| Command::Read("t".into(), to)).await.unwrap_err();
    assert!(refused.is_lost() && refused.to_string().contains("unplugged"), "{refused}");
    shared.set(|thing| (thing.connect, thing.read, thing.t) = (None, None, 9));
    bench.state(State::Ok).await;
    // It may have forgotten what it should be.
    assert!(shared.count("write t 5") >= 2);
    assert_eq!(shared.count("make"), 1);
    let metrics = bench.registry.encode();
    assert!(
        metrics.contains("mapper_devices{state=\"ok\"} 1")
            && metrics.contains("mapper_devices{state=\"offline\"} 0"),
        "{metrics}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_hangs_or_panics_stops_nobody() {
    let shared = Shared::default();
    let mut bench = bench(&shared);
    bench.state(State::Ok).await;
    shared.set(|thing| thing.hangs = true);
    bench.calls("connect", 2).await;
    shared.set(|thing| (thing.hangs, thing.panics) = (false, true));
    bench.calls("make", 2).await;
    shared.set(|thing| thing.panics = false);
    let reads = shared.count("read t");
    bench.calls("read t", reads + 1).await;
    bench.state(State::Ok).await;
    assert_eq!(bench.ask(|to| Command::Read("t".into(), to)).await.unwrap().value, Value::Int(5));
}

#[tokio::test(start_paused = true)]
async fn commands_are_checked_and_answered_with_what_the_driver_says() {
    let mut bench = bench(&Shared::default());
    bench.state(State::Ok).await;
    bench.ask(|to| Command::Write("t".into(), 7.into(), to)).await.unwrap();
    assert_eq!(bench.ask(|to| Command::Read("t".into(), to)).await.unwrap().value, Value::Int(7));
    while bench.reported().await.0 != "7" {}
    for (name, value) in [("t", Json::from(101)), ("t", "warm".into()), ("slow", 1.into()), ("x", 1.into())] {
        bench.ask(|to| Command::Write(name.into(), value, to)).await.unwrap_err();
    }
    let double = |name: &str, property: &str, value: i64| {
        let (name, arguments) = (name.to_owned(), vec![(property.to_owned(), Json::from(value))]);
        bench.ask(move |to| Command::Call(name, arguments, to))
    };
    assert_eq!(double("double", "t", 21).await, Ok(Some(Value::Double(42.0))));
    double("triple", "t", 1).await.unwrap_err();
    double("double", "slow", 1).await.unwrap_err();
    double("double", "t", 101).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_change_of_desired_is_set_on_the_same_connection_and_another_port_is_another_one() {
    let shared = Shared::default();
    let mut bench = bench(&shared);
    bench.state(State::Ok).await;
    let mut new = device();
    new.set_desired("t", "8").unwrap();
    bench.device.send_replace(Arc::new(new));
    bench.calls("write t 8", 1).await;
    assert_eq!((shared.count("connect"), shared.count("write t 5")), (1, 1));
    let moved = crate::simulate::devices(&MANIFESTS.replace("port: 1", "port: 2"), "p").unwrap().remove(0);
    bench.device.send_replace(Arc::new(moved));
    bench.calls("make", 2).await;
    bench.state(State::Ok).await;
    let wrong = crate::simulate::devices(&MANIFESTS.replace("port: 1", "port: x"), "p").unwrap().remove(0);
    bench.device.send_replace(Arc::new(wrong));
    bench.state(State::Unhealthy).await;
    assert!(
        bench.shown.borrow().error.as_ref().unwrap().contains("configuration"),
        "{:?}",
        bench.shown.borrow()
    );
    assert_eq!(shared.thing.lock().unwrap().closed, 2);
    drop((bench.device, bench.commands));
    bench.task.await.unwrap();
    assert!(!bench.registry.encode().contains("mapper_devices{state=\"unhealthy\"} 1"));
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_out_of_bounds_is_an_anomaly_and_one_that_cannot_be_is_no_value() {
    let shared = Shared::default();
    let mut bench = bench(&shared);
    bench.state(State::Ok).await;
    shared.set(|thing| thing.t = 60);
    let taken = bench.ask(|to| Command::Read("t".into(), to)).await.unwrap();
    assert_eq!(taken.anomaly.as_deref(), Some("60 is above 50"));
    assert!(bench.registry.encode().contains("mapper_anomalies_total 1\n"));
    shared.set(|thing| thing.t = 101);
    bench.state(State::Unhealthy).await;
    shared.set(|thing| thing.t = 10);
    bench.state(State::Ok).await;
    assert_eq!(bench.ask(|to| Command::Read("t".into(), to)).await.unwrap().anomaly, None);
}

#[tokio::test(start_paused = true)]
async fn the_state_is_reported_by_itself_again_and_again() {
    let bench = bench(&Shared::default());
    let mut states = Vec::new();
    let start = Instant::now();
    while states.len() < 3 {
        let (_, news) = bench.outbox.take().await;
        states.extend(news.state);
    }
    assert_eq!(states, [State::Ok; 3]);
    assert_eq!((Instant::now() - start).as_secs(), 120);
}
