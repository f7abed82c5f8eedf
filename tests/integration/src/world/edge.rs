//! An edge node in a world. EdgeCore can be stopped and started; the disk, the runtime and its containers live on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use chassis::clock::Clock;
use chassis::link::memory::{MemoryNet, Wire};
use chassis::link::{Dialect, Peer};
use chassis::rng::Rng;
use edgecore::app::{App, Environment};
use edgecore::edged::Machine;
use edgecore::edged::node_shutdown::testing::FakeLogind;
use edgecore::edged::runtime::fake::{Behaviour, FakeRuntime};
use edgecore::edged::upkeep::gauges::testing::FakeGauges;
use edgecore::edged::volumes::mounter::testing::FakeMounter;
use edgecore::settings;
use http::{HeaderMap, HeaderValue};
use k8s_openapi::api::core::v1::Pod;
use proto::config::edgecore::EdgeCore;
use rusqlite::OpenFlags;
use serde_json::Value;
use tempfile::TempDir;

use super::fixtures::{APP, APP_2};
use super::running::Running;

/// See the module.
#[derive(Debug)]
pub struct Edge {
    name: String,
    net: MemoryNet,
    runtime: FakeRuntime,
    machine: Machine,
    disk: TempDir,
    clock: Clock,
    rng: Rng,
    running: Option<Running>,
    dialect: Dialect,
}

impl Edge {
    pub(super) fn new(
        name: &str,
        net: &MemoryNet,
        dialect: Dialect,
        clock: &Clock,
        rng: &Rng,
    ) -> anyhow::Result<Self> {
        let disk = TempDir::new()?;
        let cgroups = disk.path().join("cgroup");
        std::fs::create_dir(&cgroups)?;
        let runtime = FakeRuntime::new(clock.clone())
            .with_events()
            .with_image(APP, Behaviour::serves())
            .with_image(APP_2, Behaviour::serves());
        Ok(Self {
            name: name.to_owned(),
            net: net.clone(),
            runtime,
            // The mount table lives as long as the machine, not as long as EdgeCore.
            machine: Machine {
                logind: Arc::new(FakeLogind::default()),
                mounter: Arc::new(FakeMounter::default()),
                cgroups,
                gauges: Arc::new(FakeGauges::default()),
                give_back: || {},
                etc: disk.path().to_owned(),
                has_apparmor: false,
            },
            disk,
            clock: clock.clone(),
            rng: rng.clone(),
            running: None,
            dialect,
        })
    }

    /// Starts EdgeCore from its configuration file.
    ///
    /// # Errors
    /// What could not be opened.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let file = self.disk.path().join("edgecore.yaml");
        std::fs::write(&file, chassis::config::to_yaml(&self.config())?)?;
        let peer = self.peer()?;
        let environment = Environment {
            clock: self.clock.clone(),
            rng: self.rng.clone(),
            log: None,
            dialer: Some(Arc::new(self.net.dialer(&self.name, peer))),
            runtime: Some(self.runtime.client()),
            machine: self.machine.clone(),
            service: None,
        };
        let app = App::build(settings::load(&file)?, environment).await.context("start EdgeCore")?;
        self.running = Some(Running::start(app.admin_address(), |stop| app.run_until(stop)));
        Ok(())
    }

    /// Stops EdgeCore in order.
    ///
    /// # Errors
    /// When it is not running or did not end well.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.running.take().context("EdgeCore is not running")?.stop().await.context("stop EdgeCore")
    }

    /// Ends EdgeCore at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What lies between it and the cloud.
    #[must_use]
    pub fn wire(&self) -> Wire {
        self.net.wire(&self.name)
    }

    /// Its container runtime.
    #[must_use]
    pub fn runtime(&self) -> &FakeRuntime {
        &self.runtime
    }

    /// The id of each container that runs, by `pod/name#attempt`.
    #[must_use]
    pub fn running_ids(&self) -> BTreeMap<String, String> {
        let running = self.runtime.containers().into_iter().filter(|container| container.running);
        running
            .map(|container| {
                (format!("{}/{}#{}", container.pod, container.name, container.attempt), container.id)
            })
            .collect()
    }

    /// A file of one of a pod's volumes, as the pod sees it; `plugin` is `configmap`, `secret`, `projected` or
    /// `downward-api`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn volume_file(&self, pod: &Pod, plugin: &str, volume: &str, file: &str) -> anyhow::Result<String> {
        let uid = pod.metadata.uid.as_deref().context("the pod has a UID")?;
        let volume = format!("pods/{uid}/volumes/kubernetes.io~{plugin}/{volume}");
        let path = self.root_directory().join(volume).join(file);
        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    }

    /// A page of EdgeCore's admin HTTP, with the head of the answer.
    ///
    /// # Errors
    /// When EdgeCore does not run.
    pub async fn page(&self, path: &str) -> anyhow::Result<String> {
        self.running.as_ref().context("EdgeCore is not running")?.page(path).await
    }

    /// Whether it was started and not stopped since; one that failed counts as running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// What it speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Every object that the cloud sent and the node has on its disk, by key (`default/pod/web`).
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn stored(&self) -> anyhow::Result<BTreeMap<String, Value>> {
        let file = self.disk.path().join("edgecore.db");
        let store = rusqlite::Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut query = store.prepare("SELECT key, value FROM objects")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        rows.map(|row| {
            row.map_err(anyhow::Error::from).and_then(|(k, v)| Ok((k, serde_json::from_slice(&v)?)))
        })
        .collect()
    }

    /// UIDs of the pods that have a folder on its disk.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn pod_folders(&self) -> anyhow::Result<BTreeSet<String>> {
        match std::fs::read_dir(self.root_directory().join("pods")) {
            Ok(pods) => pods.map(|pod| Ok(pod?.file_name().to_string_lossy().into_owned())).collect(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn running(&self) -> Option<&Running> {
        self.running.as_ref()
    }

    fn root_directory(&self) -> PathBuf {
        self.disk.path().join("kubelet")
    }

    fn config(&self) -> EdgeCore {
        let at = |name: &str| self.disk.path().join(name).to_string_lossy().into_owned();
        let mut file = EdgeCore::default();
        file.common_config.monitor_server.bind_address = "127.0.0.1:0".to_owned();
        file.database.data_source = at("edgecore.db");
        file.modules.device_twin.dmi_sock_path = at("dmi");
        // There is no broker in this world, and real ones know no paused time.
        file.modules.event_bus.enable = false;
        let edged = &mut file.modules.edged;
        edged.hostname_override.clone_from(&self.name);
        edged.node_ip = "192.0.2.1".to_owned();
        edged.root_directory = self.root_directory().to_string_lossy().into_owned();
        let kubelet = &mut edged.tailored_kubelet_config;
        // Many nodes, one machine; what is served there is tested elsewhere.
        kubelet.read_only_port = 0;
        kubelet.pod_logs_dir = at("logs");
        kubelet.resolv_conf = String::new();
        // How full the disk of the machine is that runs the tests must not matter to them.
        kubelet.eviction_hard.clear();
        file
    }

    /// What the cloud would have learnt of it from TLS and from the upgrade request.
    fn peer(&self) -> anyhow::Result<Peer> {
        let mut headers = HeaderMap::new();
        headers.insert("node_id", HeaderValue::from_str(&self.name)?);
        headers.insert("connectionuse", HeaderValue::from_static("msg"));
        Ok(Peer {
            common_name: Some(format!("system:node:{}", self.name)),
            organizations: vec!["system:nodes".to_owned()],
            address: self.name.clone(),
            headers,
            dialect: self.dialect,
            certificate: None,
        })
    }
}
