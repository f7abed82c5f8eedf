//! What of the container runtime decides whether pods will run: who makes control groups, and the image of sandboxes.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use proto::config::edgecore::EdgeCore;

use super::Joining;
use crate::args::CgroupDriver;
use crate::bundle::{Bundle, Entry, normal};
use crate::commands::EDGECORE_YAML;
use crate::cri::Runtime;
use crate::hint::WithHint as _;

/// Where that is configured which is read most often.
const CONFIG_TOML: &str = "/etc/containerd/config.toml";
/// The table in it that has the driver.
const RUNC_OPTIONS: &str = r#"[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]"#;

/// What is to be done for the runtime, once the machine is to be touched.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Imports {
    /// Archives in the bundle with images that the runtime lacks.
    archives: Vec<String>,
    /// The image of sandboxes as the bundle calls it, and as the runtime does.
    further_name: Option<(String, String)>,
}

pub(super) fn socket(config: &EdgeCore) -> PathBuf {
    let runtime = &config.modules.edged.tailored_kubelet_config.container_runtime_endpoint;
    PathBuf::from(runtime.strip_prefix("unix://").unwrap_or(runtime))
}

impl Joining<'_> {
    /// Asks the runtime, and looks whether pods will run with it. The driver of control groups becomes the runtime's, where no flag
    /// says another.
    pub(super) async fn check_runtime(
        &self,
        config: &mut EdgeCore,
        bundle: Option<&Bundle>,
    ) -> anyhow::Result<Imports> {
        let socket = socket(config);
        let advice = || "start containerd, or give its socket with --remote-runtime-endpoint".to_owned();
        if !self.host.exists(&socket) {
            return Err(anyhow!("there is no container runtime at {}", socket.display())).hint(advice);
        }
        let runtime = self.host.runtime(&socket).await.hint(|| {
            format!("it must answer CRI v1 (containerd 1.6 and CRI-O 1.20 do; containerd of a Docker package has `cri` in disabled_plugins of {CONFIG_TOML})")
        })?;
        let driver = &mut config.modules.edged.tailored_kubelet_config.cgroup_driver;
        self.check_driver(driver, runtime.cgroup_driver)?;
        Ok(self.imports(&runtime, &config.modules.edged.pod_sandbox_image, bundle))
    }

    fn check_driver(&self, ours: &mut String, runtimes: Option<CgroupDriver>) -> anyhow::Result<()> {
        let Some(runtimes) = runtimes else {
            self.printer.already(format_args!(
                "cgroup driver: {ours}; the container runtime does not say which it has"
            ));
            return Ok(());
        };
        if ours == runtimes.as_str() {
            return Ok(());
        }
        if self.join.cgroupdriver.is_none() && ours == CgroupDriver::Cgroupfs.as_str() {
            self.printer.already(format_args!(
                "cgroup driver: {}, as the container runtime has it",
                runtimes.as_str()
            ));
            runtimes.as_str().clone_into(ours);
            return Ok(());
        }
        Err(anyhow!(
            "the cgroup driver would be {ours}, and the container runtime has {}: no pod could start",
            runtimes.as_str()
        ))
        .hint(|| mend(runtimes))
    }

    /// What of the bundle the runtime lacks, the image of sandboxes first of all.
    fn imports(&self, runtime: &Runtime, configured: &str, bundle: Option<&Bundle>) -> Imports {
        let mut imports = Imports::default();
        let manifest = bundle.map(Bundle::manifest);
        let lacking = |entry: &&Entry| entry.images.iter().any(|image| !runtime.has(image));
        let archives = manifest.into_iter().flat_map(|manifest| manifest.images());
        imports.archives = archives.filter(lacking).map(|entry| entry.path.clone()).collect();
        // One that keeps an image for itself has that of sandboxes.
        let wanted = match &runtime.sandbox_image {
            Some(wanted) => wanted,
            None if runtime.has_pinned => return imports,
            None => configured,
        };
        let comes = |entry: &Entry| entry.images.contains(&normal(wanted));
        if runtime.has(wanted) || manifest.is_some_and(|manifest| manifest.images().any(comes)) {
            return imports;
        }
        if let Some((_, pause)) = manifest.and_then(|manifest| manifest.pause()) {
            imports.further_name = Some((pause.to_owned(), normal(wanted)));
            return imports;
        }
        self.printer.note(format_args!(
            "the container runtime starts every pod with {wanted}, and does not have it: pods run only when it can be pulled. \
             Without a registry: `keadm join --bundle FILE`, or `ctr -n k8s.io images import FILE`"
        ));
        imports
    }

    /// Has the runtime take what it lacks.
    pub(super) fn import(&self, socket: &Path, bundle: &Bundle, imports: &Imports) -> anyhow::Result<()> {
        for archive in &imports.archives {
            self.printer.step(format_args!("importing {archive}"));
            self.host.import(socket, bundle, archive)?;
        }
        match &imports.further_name {
            Some((image, name)) => {
                self.printer
                    .already(format_args!("as {name}, which the container runtime starts every pod with"));
                self.host.name_image(socket, image, name)
            }
            None => Ok(()),
        }
    }
}

/// Both ways to make them the same.
fn mend(runtimes: CgroupDriver) -> String {
    let systemd = runtimes.other() == CgroupDriver::Systemd;
    format!(
        "give --cgroupdriver {}, and leave cgroupDriver out of what is set of {EDGECORE_YAML}; or set SystemdCgroup = {systemd} below \
         {RUNC_OPTIONS} in {CONFIG_TOML}, and `systemctl restart containerd`",
        runtimes.as_str(),
    )
}
