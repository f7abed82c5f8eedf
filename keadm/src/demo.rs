//! Skerry on one machine, to try out: what `make demo` starts and `make demo-down` removes.
//!
//! ```text
//! <state>/kubeconfig            for kubectl
//!         run/<name>.pid        containerd, cloudcore, edgecore, virtual-mapper
//!         log/<name>.log
//!         containerd/           its own root, state and configuration
//!         cni/                  its own network: one bridge, one subnet
//!         cloud/ edge/ mapper/  configuration and data of the two daemons and the mapper
//!         images/               the images, made from our own static binary
//! /run/<id>/                    sockets: a path in a deep checkout would be too long for one (108 bytes, unix(7))
//! ```

mod containerd;
mod daemons;
mod devices;
mod down;
pub mod image;
mod network;
mod pods;
mod preflight;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use crate::hint::WithHint as _;
use crate::printer::Printer;
use crate::processes::Background;

pub use self::down::down;

/// Name of the edge node.
pub const NODE: &str = "edge-1";
/// A daemon that does not end within this time is killed.
const STOP: Duration = Duration::from_secs(20);

/// What `up` is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where `cloudcore`, `edgecore` and `virtual-mapper` are.
    pub bin_dir: PathBuf,
    /// The static `demo-app`.
    pub app: PathBuf,
    /// Added to every port.
    pub port_offset: u16,
    /// A cluster to use in place of the embedded control plane.
    pub kubeconfig: Option<PathBuf>,
    /// Whether to start the two pods, and the mapper with its device.
    pub pods: bool,
    /// Whether to start the cloud side, and to wait for what can be seen there.
    pub cloud: bool,
}

/// Where everything of one demo is.
#[derive(Debug, Clone)]
pub struct Layout {
    state: PathBuf,
    /// Tells two demos on one machine apart, in names that are the machine's.
    id: String,
}

/// The ports of one demo.
#[derive(Debug, Clone, Copy)]
struct Ports {
    api: u16,
    websocket: u16,
    https: u16,
    cloud_admin: u16,
    edge_admin: u16,
    edge_kubelet: u16,
    mapper: u16,
}

impl Layout {
    /// `state` is an absolute path.
    #[must_use]
    pub fn new(state: PathBuf) -> Self {
        let hash = format!("{:x}", Sha256::digest(state.as_os_str().as_encoded_bytes()));
        Self { id: format!("skd-{}", &hash[..8]), state }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    /// Folder of the sockets.
    fn sockets(&self) -> PathBuf {
        Path::new("/run").join(&self.id)
    }

    fn containerd_socket(&self) -> PathBuf {
        self.sockets().join("containerd.sock")
    }

    /// Name of the bridge; an interface name has at most 15 bytes.
    fn bridge(&self) -> &str {
        &self.id
    }

    /// For kubectl.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    fn background(&self, name: &'static str) -> Background {
        Background::new(name, &self.path("run"), &self.path("log"))
    }

    fn containerd(&self) -> Background {
        self.background("containerd")
    }

    fn cloudcore(&self) -> Background {
        self.background("cloudcore")
    }

    fn edgecore(&self) -> Background {
        self.background("edgecore")
    }

    fn mapper(&self) -> Background {
        self.background("virtual-mapper")
    }
}

impl Ports {
    fn new(offset: u16) -> anyhow::Result<Self> {
        let shifted = |port: u16| {
            port.checked_add(offset)
                .with_context(|| format!("port {port} shifted by {offset} is no port"))
                .hint(|| "use a smaller --port-offset".to_owned())
        };
        Ok(Self {
            api: shifted(6443)?,
            websocket: shifted(10000)?,
            https: shifted(10002)?,
            cloud_admin: shifted(9091)?,
            edge_admin: shifted(10352)?,
            edge_kubelet: shifted(10350)?,
            mapper: shifted(7777)?,
        })
    }
}

/// Starts what is not running yet, and waits until the node is ready and the pods run.
///
/// # Errors
/// What could not be done, with a hint where we know one.
pub async fn up(layout: &Layout, options: &Options, printer: &Printer) -> anyhow::Result<()> {
    preflight::check_root()?;
    let ports = Ports::new(options.port_offset)?;
    preflight::install_missing(printer)?;
    std::fs::create_dir_all(&layout.state).with_context(|| format!("create {}", layout.state.display()))?;
    containerd::start(layout, printer).await?;
    image::import(layout, &options.app, printer)?;
    if !options.cloud {
        daemons::start_edgecore(layout, options, ports, printer).await?;
        if options.pods {
            devices::start_mapper(layout, options, ports, printer)?;
        }
        printer.line(format_args!("the node's own view: http://127.0.0.1:{}/debug/state", ports.edge_admin));
        return Ok(());
    }
    daemons::start_cloudcore(layout, options, ports, printer).await?;
    daemons::start_edgecore(layout, options, ports, printer).await?;
    pods::wait_for_node(layout, printer).await?;
    if options.pods {
        pods::apply(layout, printer).await?;
        devices::start_mapper(layout, options, ports, printer)?;
        devices::apply(layout, printer).await?;
        pods::wait_for_pods(layout, printer).await?;
        devices::wait_for_temperature(layout, printer).await?;
    }
    if options.pods {
        devices::show(layout, printer).await?;
    }
    pods::show(layout, printer).await?;
    if options.pods {
        devices::hints(layout, ports, printer);
    }
    printer.line("  make demo-down");
    Ok(())
}

/// Says what is running.
///
/// # Errors
/// None today; a caller handles all commands alike.
pub fn status(layout: &Layout, printer: &Printer) -> anyhow::Result<()> {
    for process in [layout.containerd(), layout.cloudcore(), layout.edgecore(), layout.mapper()] {
        match process.pid() {
            Some(pid) => printer.line(format_args!("{:<14} running, pid {pid}", process.name())),
            None => printer.line(format_args!("{:<14} not running", process.name())),
        }
    }
    printer.line(format_args!("state          {}", layout.state.display()));
    Ok(())
}
