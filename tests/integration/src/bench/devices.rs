//! `make bench-devices`: what a thousand devices on one node cost. A CloudCore and an EdgeCore of its own, a driver in this process
//! on a real socket.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use chassis::task::{self, AbortOnDrop};
use edgecore::dmi::testing::{FakeDriver, Session};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use hollow_edge::process::{Machine, Usage};
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use proto::api::device::{Device, DeviceModel, DeviceStatus};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::table::{Table, percentile};
use crate::daemons::{Cloud, start};
use crate::process::Process;
use crate::site::get;
use crate::wait::until;

/// Properties of a device.
const PROPERTIES: usize = 10;
/// Connections of the driver; stock makes one for each report, which measures connections.
const SESSIONS: usize = 8;
/// Let go by before anything is counted.
const WARM_UP: Duration = Duration::from_secs(10);
/// As fast as it goes.
const LIMIT: Duration = Duration::from_secs(15);
/// Everything is there.
const SET_UP: Duration = Duration::from_secs(300);

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Devices on the node.
    pub devices: usize,
    /// How long each rate is measured.
    pub seconds: u64,
}

struct Site {
    cloud: Cloud,
    edge: Process,
    driver: Arc<FakeDriver>,
    names: Arc<Vec<String>>,
    /// Moments are told in milliseconds since this.
    began: Instant,
    delays: Arc<Mutex<Vec<Duration>>>,
    _watch: AbortOnDrop<()>,
}

/// What a process has used in a while.
struct Used {
    cpu: f64,
    written: u64,
    writes: u64,
}

/// Measures, and prints a table.
///
/// # Errors
/// When something does not start or fails.
pub async fn run(load: Load, out: &mut impl std::io::Write) -> anyhow::Result<()> {
    let mut table = Table::default();
    writeln!(out, "{}", Machine::this())?;
    writeln!(out, "{} devices x {PROPERTIES} properties: setting up ...", load.devices)?;
    let site = Site::start(load.devices).await?;
    for (what, is_changing) in [("values stay", false), ("values change", true)] {
        writeln!(out, "each device once a second for {} s, {what} ...", load.seconds)?;
        site.steady(what, is_changing, load.seconds, &mut table).await?;
    }
    for (what, is_changing) in [("values stay", false), ("values change", true)] {
        writeln!(out, "as fast as it goes for {} s, {what} ...", LIMIT.as_secs())?;
        site.limit(what, is_changing, &mut table).await?;
    }
    writeln!(out, "\n{table}")?;
    Ok(())
}

impl Site {
    async fn start(devices: usize) -> anyhow::Result<Self> {
        let cloud = Cloud::start().await;
        let kubeconfig = Kubeconfig::read_from(cloud.dir.path().join("api/admin.kubeconfig"))?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let client = Client::try_from(config)?;
        let names: Vec<String> = (0..devices).map(|number| format!("d{number}")).collect();
        create(&client, &names).await?;
        let mut config = cloud.edge("edge-1");
        let dir = cloud.dir.path().join("edge-1");
        config.modules.edged.enable = false;
        config.modules.device_twin.enable = true;
        config.modules.device_twin.dmi_sock_path = dir.to_string_lossy().into_owned();
        let edge = start("edgecore", &config, &dir);
        let driver = Arc::new(FakeDriver::start(&dir, &dir.join("dmi.sock"), "v", "virtual"));
        until("the driver is registered", SET_UP, || async {
            driver.register().await.map_err(anyhow::Error::from)
        })
        .await?;
        let mut known = driver.known();
        let all = known.wait_for(|known| known.devices.len() == devices);
        tokio::time::timeout(SET_UP, all).await.context("the driver is not told of all devices")??;
        let (began, delays) = (Instant::now(), Arc::default());
        let watch = follow(client, began, Arc::clone(&delays));
        let watch = task::spawn(tracing::Span::none(), watch);
        Ok(Self { cloud, edge, driver, names: Arc::new(names), began, delays, _watch: watch })
    }

    /// Each device once a second, spread over the second.
    async fn steady(
        &self,
        what: &str,
        is_changing: bool,
        seconds: u64,
        table: &mut Table,
    ) -> anyhow::Result<()> {
        let mut reporters = Vec::new();
        for session in 0..SESSIONS {
            let one = self.driver.session().await?;
            let mine = self.names.iter().skip(session).step_by(SESSIONS).cloned().collect::<Vec<_>>();
            let reporter = report_steadily(one, mine, self.began, is_changing);
            reporters.push(task::spawn(tracing::Span::none(), reporter));
        }
        tokio::time::sleep(WARM_UP).await;
        self.take_delays();
        let before = (self.used(&self.edge)?, self.used(&self.cloud.process)?, self.reports().await?);
        let start = Instant::now();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let after = (self.used(&self.edge)?, self.used(&self.cloud.process)?, self.reports().await?);
        let passed = start.elapsed().as_secs_f64();
        drop(reporters);
        let row = |table: &mut Table, name: &str, value: String| table.row(&format!("{name}, {what}"), value);
        let percent =
            |before: f64, after: f64| format!("{:.1} % of a core", (after - before) / passed * 100.0);
        let usage = Usage::of(i32::try_from(self.edge.pid())?)?;
        row(table, "edgecore CPU", percent(before.0.cpu, after.0.cpu));
        row(table, "cloudcore CPU", percent(before.1.cpu, after.1.cpu));
        row(table, "edgecore PSS", format!("{:.1} MiB", usage.pss_kib as f64 / 1024.0));
        let rate = |before: u64, after: u64| after.saturating_sub(before) as f64 / passed;
        row(
            table,
            "edgecore writes to disk",
            format!("{:.1} KiB/s", rate(before.0.written, after.0.written) / 1024.0),
        );
        row(table, "edgecore write calls", format!("{:.1}/s", rate(before.0.writes, after.0.writes)));
        row(table, "messages to the cloud", format!("{:.1}/s", rate(before.2, after.2)));
        if is_changing {
            let delays = self.take_delays();
            row(
                table,
                "driver to DeviceStatus, p50",
                format!("{:.2} s", percentile(&delays, 50).as_secs_f64()),
            );
            row(
                table,
                "driver to DeviceStatus, p99",
                format!("{:.2} s", percentile(&delays, 99).as_secs_f64()),
            );
            row(table, "statuses seen", format!("{:.0}/s", delays.len() as f64 / passed));
        }
        Ok(())
    }

    async fn limit(&self, what: &str, is_changing: bool, table: &mut Table) -> anyhow::Result<()> {
        let before = self.used(&self.edge)?;
        let start = Instant::now();
        let reporters = (0..SESSIONS).map(|session| async move {
            let one = self.driver.session().await?;
            report_at_once(one, &self.names, session, start + LIMIT, is_changing).await
        });
        let reports: Vec<u64> = futures::future::try_join_all(reporters).await?;
        let passed = start.elapsed().as_secs_f64();
        let cpu = self.used(&self.edge)?.cpu - before.cpu;
        let updates = (reports.iter().sum::<u64>() * PROPERTIES as u64) as f64;
        table.row(&format!("updates at the limit, {what}"), format!("{:.0}/s", updates / passed));
        table
            .row(&format!("updates for a second of edgecore's CPU, {what}"), format!("{:.0}", updates / cpu));
        Ok(())
    }

    fn used(&self, process: &Process) -> anyhow::Result<Used> {
        let pid = i32::try_from(process.pid())?;
        let io = std::fs::read_to_string(format!("/proc/{pid}/io"))?;
        let field = |name: &str| io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        let (written, writes) = field("write_bytes:").zip(field("syscw:")).context("an unreadable io")?;
        Ok(Used { cpu: Usage::of(pid)?.cpu, written, writes })
    }

    /// Reports that CloudCore has had, whatever became of them.
    async fn reports(&self) -> anyhow::Result<u64> {
        let text = get(&self.cloud.admin, "/metrics").await?;
        let counts = text.lines().filter_map(|line| {
            line.strip_prefix("devicecontroller_reports_total")?
                .rsplit_once(' ')?
                .1
                .trim()
                .parse::<u64>()
                .ok()
        });
        Ok(counts.sum())
    }

    fn take_delays(&self) -> Vec<Duration> {
        std::mem::take(&mut self.delays.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn create(client: &Client, names: &[String]) -> anyhow::Result<()> {
    let property =
        |number: usize| json!({"name": format!("p{number}"), "type": "INT", "accessMode": "ReadOnly"});
    let model = json!({
        "metadata": {"name": "m"},
        "spec": {"properties": (0..PROPERTIES).map(property).collect::<Vec<_>>(), "protocol": "virtual"},
    });
    let post = PostParams::default();
    let models: Api<DeviceModel> = Api::default_namespaced(client.clone());
    models.create(&post, &serde_json::from_value(model)?).await?;
    let devices: Api<Device> = Api::default_namespaced(client.clone());
    let property = |number: usize| json!({"name": format!("p{number}"), "reportToCloud": true, "collectCycle": 1000, "reportCycle": 1000});
    let created = stream::iter(names.iter().map(|name| {
        let device = json!({
            "metadata": {"name": name},
            "spec": {
                "deviceModelRef": {"name": "m"}, "nodeName": "edge-1", "protocol": {"protocolName": "virtual"},
                "properties": (0..PROPERTIES).map(property).collect::<Vec<_>>(),
            },
        });
        let (devices, post) = (devices.clone(), post.clone());
        async move {
            devices.create(&post, &serde_json::from_value(device)?).await?;
            anyhow::Ok(())
        }
    }));
    created.buffer_unordered(16).try_collect::<()>().await
}

/// Notes how old each value is when it is seen in a DeviceStatus.
async fn follow(client: Client, began: Instant, delays: Arc<Mutex<Vec<Duration>>>) {
    let statuses: Api<DeviceStatus> = Api::default_namespaced(client);
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut objects =
        watcher(statuses, watcher::Config::default()).default_backoff().applied_objects().boxed();
    while let Some(object) = objects.next().await {
        let Ok(object) = object else { continue };
        let twin = object.status.twins.first().and_then(|twin| twin.reported.as_ref());
        let Some(at) = twin.and_then(|value| value.text().parse::<u64>().ok()) else { continue };
        let name = object.metadata.name.unwrap_or_default();
        if seen.insert(name, at) == Some(at) {
            continue;
        }
        let delay = began.elapsed().saturating_sub(Duration::from_millis(at));
        delays.lock().unwrap_or_else(PoisonError::into_inner).push(delay);
    }
}

async fn report_steadily(session: Session, names: Vec<String>, began: Instant, is_changing: bool) {
    let pause = Duration::from_secs(1) / u32::try_from(names.len().max(1)).unwrap_or(1);
    let mut pace = interval(pause);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for name in names.iter().cycle() {
        pace.tick().await;
        let at = if is_changing { began.elapsed().as_millis() } else { 1 };
        if let Err(status) = report(&session, name, at).await {
            tracing::warn!(name, "not taken: {status}");
        }
    }
}

async fn report_at_once(
    session: Session,
    names: &[String],
    first: usize,
    end: Instant,
    is_changing: bool,
) -> anyhow::Result<u64> {
    let mut reports = 0;
    for name in names.iter().skip(first).step_by(SESSIONS).cycle() {
        if Instant::now() >= end {
            break;
        }
        report(&session, name, if is_changing { u128::from(reports) } else { 1 }).await?;
        reports += 1;
    }
    Ok(reports)
}

/// All properties of a device in one call, as a driver with one cycle does it.
async fn report(session: &Session, name: &str, value: u128) -> Result<(), tonic::Status> {
    let names: [String; PROPERTIES] = std::array::from_fn(|number| format!("p{number}"));
    let value = value.to_string();
    let values = names.each_ref().map(|name| (name.as_str(), value.as_str()));
    session.report(("default", name), &values).await
}

/// What it was given, from the command line.
///
/// # Errors
/// When it is no number.
pub fn load(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Load> {
    let mut number = |name: &str, default: u64| match arguments.next().filter(|text| !text.is_empty()) {
        Some(text) => text.parse().with_context(|| format!("{name} is no number: {text:?}")),
        None => Ok(default),
    };
    let devices = usize::try_from(number("DEVICES", 1000)?)?;
    Ok(Load { devices, seconds: number("SECONDS", 60)? })
}
