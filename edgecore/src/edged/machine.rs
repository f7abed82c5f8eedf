//! The part of the machine that edged changes and measures besides the runtime.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::node_shutdown::logind::{Logind, SystemLogind};
use super::upkeep::gauges::Gauges;
use super::upkeep::gauges::linux::LinuxGauges;
use super::volumes::mounter::{LinuxMounter, Mounter};

/// Where Linux mounts the cgroup file systems.
const CGROUPS: &str = "/sys/fs/cgroup";
/// `Y` where the kernel enforces AppArmor profiles.
const APPARMOR: &str = "/sys/module/apparmor/parameters/enabled";

/// The part of the machine that edged changes besides the runtime; tests put something harmless in its place.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Mounts volumes.
    pub mounter: Arc<dyn Mounter>,
    /// Where the cgroup file systems are mounted.
    pub cgroups: PathBuf,
    /// `/etc`: which ids of the node pods may have.
    pub etc: PathBuf,
    /// Tells how full it is.
    pub gauges: Arc<dyn Gauges>,
    /// The kernel enforces AppArmor profiles.
    pub has_apparmor: bool,
    /// Gives the process's free memory back to it; may take a while.
    pub give_back: fn(),
    /// Shuts it down.
    pub logind: Arc<dyn Logind>,
}

// === impl Machine ===

impl Machine {
    /// This machine.
    pub fn real() -> Self {
        Self {
            mounter: Arc::new(LinuxMounter),
            cgroups: Path::new(CGROUPS).to_owned(),
            etc: Path::new("/etc").to_owned(),
            gauges: Arc::new(LinuxGauges::new("/proc", CGROUPS)),
            has_apparmor: std::fs::read_to_string(APPARMOR).is_ok_and(|text| text.trim() == "Y"),
            give_back: heap::give_back,
            logind: Arc::new(SystemLogind::default()),
        }
    }
}
