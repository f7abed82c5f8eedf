use std::sync::Mutex;

use chassis::clock::Clock;
use chassis::metrics::SharedRegistry;
use chassis::rng::Rng;
use chassis::task::AbortOnDrop;

use super::*;
use crate::actor::Limits;
use crate::device::Property;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::sinks::{Means, Pusher};
use crate::value::Value;

/// A fleet of devices in memory: what is written is read.
pub(crate) struct Lab {
    pub(crate) fleet: FleetClient,
    pub(crate) outbox: Outbox,
    pub(crate) metrics: Metrics,
    pub(crate) registry: SharedRegistry,
    pub(crate) memory: Memory,
    pub(crate) task: AbortOnDrop<anyhow::Result<()>>,
}

/// Values by device and property, and which devices are connected.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    pub(crate) values: Arc<Mutex<BTreeMap<(String, String), Value>>>,
    pub(crate) open: Arc<Mutex<BTreeMap<String, u32>>>,
    /// Counts what happened to devices: connected, written, disconnected.
    pub(crate) events: watch::Sender<u64>,
}

impl Memory {
    fn note(&self) {
        self.events.send_modify(|events| *events += 1);
    }
}

pub(crate) struct Cell {
    name: String,
    memory: Memory,
}

impl Driver for Cell {
    async fn connect(&mut self) -> Result<(), DriverError> {
        let mut open = self.memory.open.lock().unwrap();
        let count = open.entry(self.name.clone()).or_default();
        *count += 1;
        assert_eq!(*count, 1, "one connection at a time");
        self.memory.note();
        Ok(())
    }

    async fn read(&mut self, property: &Property) -> Result<Value, DriverError> {
        let values = self.memory.values.lock().unwrap();
        let value = values.get(&(self.name.clone(), property.name().to_owned()));
        Ok(value.cloned().unwrap_or(Value::Int(0)))
    }

    async fn write(&mut self, property: &Property, value: &Value) -> Result<(), DriverError> {
        let key = (self.name.clone(), property.name().to_owned());
        self.memory.values.lock().unwrap().insert(key, value.clone());
        self.memory.note();
        Ok(())
    }

    async fn disconnect(&mut self) {
        // It takes its time, which is paused in every test that has a fleet.
        tokio::time::sleep(Duration::from_millis(500)).await;
        self.memory.open.lock().unwrap().remove(&self.name);
        self.memory.note();
    }
}

impl Lab {
    pub(crate) fn start() -> Self {
        let registry = SharedRegistry::new();
        let metrics = registry.register(Metrics::new);
        let rng = Rng::seeded(1);
        let (pushes, _) = Pusher::new(vec![], Means::default(), metrics.clone(), rng.clone());
        let (outbox, memory) = (Outbox::default(), Memory::default());
        let outlets = Outlets {
            outbox: outbox.clone(),
            pushes,
            metrics: metrics.clone(),
            clock: Clock::fixed("2026-01-02T03:04:05Z".parse().unwrap()),
            rng,
            limits: Limits {
                timeout: Duration::from_secs(2),
                state_cycle: None,
                stream_root: "/nonexistent".into(),
            },
        };
        let cells = memory.clone();
        let make = move |device: &Device| Ok(Cell { name: device.name().to_owned(), memory: cells.clone() });
        let (client, fleet) = Fleet::new(make, outlets);
        let (_trigger, shutdown) = Shutdown::new();
        let task = task::spawn(tracing::Span::none(), fleet.run(shutdown));
        Self { fleet: client, outbox, metrics, registry, memory, task }
    }

    /// The value of a property, as soon as it is this one.
    pub(crate) async fn reads(&self, name: &str, value: &Value) {
        self.until("the value", async || {
            let Some(found) = self.fleet.find(key(name)).await else { return false };
            let read = found.ask(|to| Command::Read("t".into(), to)).await;
            read.is_ok_and(|taken| taken.value == *value)
        })
        .await;
    }

    /// All devices are gone.
    pub(crate) async fn is_empty(&self) {
        self.until("no device is left", async || self.fleet.list().await.is_empty()).await;
    }

    /// Looks again whenever something happened to a device.
    async fn until(&self, what: &str, is_it: impl AsyncFn() -> bool) {
        let mut events = self.memory.events.subscribe();
        let wait = async {
            while !is_it().await {
                events.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect(what);
    }
}

pub(crate) fn key(name: &str) -> Key {
    ("ns".into(), name.into())
}

pub(crate) fn device(name: &str, desired: &str) -> dmi::Device {
    let twin = dmi::TwinProperty { value: desired.into(), ..Default::default() };
    let property = dmi::DeviceProperty {
        name: "t".into(),
        desired: Some(twin),
        report_to_cloud: true,
        collect_cycle: 100,
        ..Default::default()
    };
    let method =
        dmi::DeviceMethod { name: "set".into(), property_names: vec!["t".into()], ..Default::default() };
    let spec = dmi::DeviceSpec {
        device_model_reference: "m".into(),
        properties: vec![property],
        methods: vec![method],
        ..Default::default()
    };
    dmi::Device { name: name.into(), namespace: "ns".into(), spec: Some(spec), status: None }
}

pub(crate) fn model() -> dmi::DeviceModel {
    let property = dmi::ModelProperty { name: "t".into(), r#type: "INT".into(), ..Default::default() };
    let spec = dmi::DeviceModelSpec { properties: vec![property], commands: vec![] };
    dmi::DeviceModel { name: "m".into(), namespace: "ns".into(), spec: Some(spec) }
}

#[tokio::test(start_paused = true)]
async fn devices_come_change_go_and_come_back() {
    let lab = Lab::start();
    lab.fleet.said(Said::Device(Box::new(device("d", "1")))).await.unwrap();
    assert!(lab.fleet.find(key("d")).await.is_none(), "it waits for its model");
    lab.fleet.said(Said::Model(Box::new(model()))).await.unwrap();
    lab.reads("d", &Value::Int(1)).await;
    lab.fleet.said(Said::Device(Box::new(device("d", "2")))).await.unwrap();
    lab.reads("d", &Value::Int(2)).await;
    lab.fleet.desired(key("d"), "t".into(), "3".into()).await.unwrap();
    lab.reads("d", &Value::Int(3)).await;
    lab.fleet.desired(key("d"), "t".into(), "warm".into()).await.unwrap_err();
    let known = lab.fleet.known(key("d")).await.unwrap();
    assert_eq!(known.device.status.unwrap().twins[0].reported.as_ref().unwrap().value, "3");
    // It is connected again only after it was disconnected: the driver looks.
    lab.fleet.said(Said::DeviceGone(key("d"))).await.unwrap();
    lab.fleet.said(Said::Device(Box::new(device("d", "4")))).await.unwrap();
    lab.reads("d", &Value::Int(4)).await;
    assert_eq!(*lab.memory.open.lock().unwrap(), [("d".to_owned(), 1)].into());
    let Lab { fleet, task, memory, .. } = lab;
    drop(fleet);
    task.await.unwrap().unwrap();
    assert!(memory.open.lock().unwrap().is_empty(), "all are disconnected at the end");
}

#[tokio::test(start_paused = true)]
async fn a_registration_is_all_that_there_is() {
    let lab = Lab::start();
    let all = |names: &[&str]| dmi::MapperRegisterResponse {
        model_list: vec![model()],
        device_list: names.iter().map(|name| device(name, "1")).collect(),
    };
    let names = async || -> Vec<String> {
        lab.fleet.list().await.iter().map(|one| one.device.name().to_owned()).collect()
    };
    lab.fleet.registered(all(&["a", "b"])).await;
    assert_eq!(names().await, ["a", "b"]);
    lab.fleet.registering().await;
    lab.fleet.registered(all(&["b", "c"])).await;
    assert_eq!(names().await, ["b", "c"]);
    lab.reads("c", &Value::Int(1)).await;
    assert!(lab.fleet.find(key("a")).await.is_none() && lab.fleet.known(key("a")).await.is_none());
    assert!(lab.registry.encode().contains("mapper_devices{state=\"ok\"}"), "{}", lab.registry.encode());
    drop(lab.metrics);
}
