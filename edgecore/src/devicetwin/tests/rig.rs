//! DeviceTwin with its DMI server, and a MetaManager that takes everything.

use std::path::Path;

use chassis::channel::{Receiver, Sender, bounded};
use chassis::metrics::SharedRegistry;
use chassis::task::{self, AbortOnDrop};
use proto::twin::{CallReport, CallState, DeviceReport};
use serde_json::json;
use tokio::sync::watch;

use super::super::*;
use crate::dmi::DmiServer;
use crate::dmi::testing::{FakeDriver, Known};
use crate::flow::{DeviceRow, DriverClient, DriverRecord, MetaRequest};

/// For whatever another task does; a machine that also compiles is slow.
pub(super) const SOON: Duration = Duration::from_secs(30);

pub(super) fn device(desired: &str) -> Arc<Device> {
    let device = json!({
        "metadata": {"namespace": "default", "name": "d", "uid": "u"},
        "spec": {
            "deviceModelRef": {"name": "m"},
            "protocol": {"protocolName": "virtual", "configData": {"nested": {"a": [1]}}},
            "properties": [{"name": "t", "desired": {"value": desired}, "reportToCloud": true}],
            "methods": [{"name": "set", "propertyNames": ["t"]}, {"name": "fail"}],
        },
    });
    Arc::new(serde_json::from_value(device).unwrap())
}

/// The same with other metadata.
pub(super) fn device_as(namespace: &str, name: &str, protocol: &str) -> Arc<Device> {
    let mut device = (*device("30")).clone();
    device.metadata.namespace = Some(namespace.to_owned());
    device.metadata.name = Some(name.to_owned());
    device.metadata.uid = Some(format!("uid of {namespace}/{name}"));
    protocol.clone_into(&mut device.spec.protocol.protocol_name);
    Arc::new(device)
}

pub(super) fn model() -> Arc<DeviceModel> {
    let model = json!({
        "metadata": {"namespace": "default", "name": "m", "uid": "m"},
        "spec": {"properties": [{"name": "t", "type": "INT", "maximum": "120"}]},
    });
    Arc::new(serde_json::from_value(model).unwrap())
}

/// The same of another namespace.
pub(super) fn model_in(namespace: &str) -> Arc<DeviceModel> {
    let mut model = (*model()).clone();
    model.metadata.namespace = Some(namespace.to_owned());
    Arc::new(model)
}

pub(super) struct Rig {
    feed: Sender<DeviceChange>,
    requests: Receiver<MetaRequest>,
    rows: Receiver<DeviceRow>,
    registry: SharedRegistry,
    calls: watch::Receiver<Vec<CallReport>>,
    _running: [AbortOnDrop<anyhow::Result<()>>; 3],
}

impl Rig {
    pub(super) async fn start(socket: &Path, stored: StoredDevices) -> Self {
        let (feed, inbox) = bounded("changes", 16);
        let (to_drivers, drivers) = bounded("calls", 16);
        let (to_meta, from_twin) = bounded("requests", 64);
        // Tests that do not look do not hold DeviceTwin up.
        let (seen, requests) = bounded("seen", 4096);
        let (written, rows) = bounded("rows", 4096);
        let (clock, rng, registry) = (Clock::system(), Rng::seeded(1), SharedRegistry::new());
        let metrics = registry.register(Metrics::register);
        let (_trigger, shutdown) = Shutdown::new();
        let server = DmiServer::open(socket, DriverClient::new(to_drivers));
        let meta = MetaClient::new(to_meta);
        let twin = DeviceTwin { inbox, drivers, meta, clock, rng, metrics, topics: None };
        let calls = watch::Sender::new(Vec::new());
        let shown = calls.subscribe();
        let running = [
            task::spawn(tracing::Span::none(), server.run(shutdown.clone())),
            task::spawn(tracing::Span::none(), twin.run(shutdown)),
            task::spawn(tracing::Span::none(), keep(from_twin, (seen, written), calls)),
        ];
        feed.send(DeviceChange::Restore(Box::new(stored))).await.unwrap();
        Self { feed, requests, rows, registry, calls: shown, _running: running }
    }

    /// The value of a metric, by its name and labels; empty when there is none.
    pub(super) fn metric(&self, name: &str) -> String {
        let text = self.registry.encode();
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_default().trim().to_owned()
    }

    pub(super) async fn tell(&self, change: DeviceChange) {
        self.feed.send(change).await.unwrap();
    }

    async fn next(&mut self, what: &str) -> MetaRequest {
        let next = tokio::time::timeout(SOON, self.requests.recv()).await;
        next.unwrap_or_else(|_| panic!("no {what}")).unwrap()
    }

    /// The next report of the twin of `default/d`.
    pub(super) async fn reported(&mut self) -> String {
        self.reported_of("default", "d").await
    }

    /// The next report of a twin's value.
    pub(super) async fn reported_of(&mut self, namespace: &str, name: &str) -> String {
        let path = format!("device/{namespace}/{name}/twin/edge_updated");
        loop {
            let next = tokio::time::timeout(SOON, self.rows.recv()).await;
            let row = next.expect("no report").unwrap();
            if row.key == path {
                let twin: serde_json::Value = serde_json::from_slice(&row.value).unwrap();
                return twin["t"]["actual"]["value"].as_str().unwrap().to_owned();
            }
        }
    }

    /// The next record of a driver that knows something.
    pub(super) async fn remembered(&mut self) -> DriverRecord {
        loop {
            if let MetaRequest::Driver(record) = self.next("record").await
                && !record.told.is_empty()
            {
                return *record;
            }
        }
    }

    /// The next driver that is forgotten.
    pub(super) async fn forgotten(&mut self) -> String {
        loop {
            if let MetaRequest::DriverGone(name) = self.next("end of a driver").await {
                return name;
            }
        }
    }

    /// What came of a call, when it has ended.
    pub(super) async fn ended(&mut self, id: &str) -> CallReport {
        let has_ended = |call: &&CallReport| call.id == id && call.state != CallState::Running;
        let found = self.calls.wait_for(|calls| calls.iter().any(|call| has_ended(&call)));
        let calls = tokio::time::timeout(SOON, found).await.expect("the call has not ended").unwrap();
        calls.iter().find(has_ended).unwrap().clone()
    }

    /// Everything that was told of calls until now.
    pub(super) fn told_of_calls(&self) -> Vec<(String, CallState)> {
        self.calls.borrow().iter().map(|call| (call.id.clone(), call.state)).collect()
    }
}

/// A MetaManager that says yes.
async fn keep(
    mut from_twin: Receiver<MetaRequest>,
    (seen, written): (Sender<MetaRequest>, Sender<DeviceRow>),
    calls: watch::Sender<Vec<CallReport>>,
) -> anyhow::Result<()> {
    while let Some(request) = from_twin.recv().await {
        let rows = match request {
            MetaRequest::KeepDeviceReport { key, uid, value, reply } => {
                drop(reply.send(Ok(())));
                vec![DeviceRow { key, uid, value }]
            }
            MetaRequest::DeviceReports(rows) => rows,
            other => {
                drop(seen.try_send(other));
                continue;
            }
        };
        for row in rows {
            if row.key.ends_with("/state/update") {
                let report: DeviceReport = serde_json::from_slice(&row.value)?;
                if let Some(call) = report.call {
                    calls.send_modify(|calls| calls.push(call));
                }
            }
            drop(written.try_send(row));
        }
    }
    Ok(())
}

pub(super) async fn until_known(driver: &FakeDriver, what: &str, holds: impl Fn(&Known) -> bool) {
    let mut known = driver.known();
    let met = tokio::time::timeout(SOON, known.wait_for(|known| holds(known))).await.map(drop);
    assert!(met.is_ok(), "{what}: {:?}", driver.known().borrow().calls);
}

pub(super) fn knows_both(known: &Known) -> bool {
    known.devices.contains_key("default/d") && known.models.contains_key("default/m")
}
