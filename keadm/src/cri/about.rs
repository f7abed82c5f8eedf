//! What runtimes say of their configuration, each in its way.

use std::collections::HashMap;

use k8s_cri::v1::{CgroupDriver as Said, RuntimeConfigResponse};
use serde_json::Value;

use crate::args::CgroupDriver;

/// The shims of containerd whose options have `SystemdCgroup`.
const RUNC: [&str; 2] = ["io.containerd.runc.v1", "io.containerd.runc.v2"];

/// As the runtime answers when it is asked (containerd 2, CRI-O).
pub(super) fn said_driver(answer: &RuntimeConfigResponse) -> Option<CgroupDriver> {
    let linux = answer.linux.as_ref()?;
    match Said::try_from(linux.cgroup_driver).ok()? {
        Said::Systemd => Some(CgroupDriver::Systemd),
        Said::Cgroupfs => Some(CgroupDriver::Cgroupfs),
    }
}

/// As the configuration of containerd has it, of the runtime that pods get that name none.
pub(super) fn configured_driver(info: &HashMap<String, String>) -> Option<CgroupDriver> {
    let config = config(info)?;
    let containerd = &config["containerd"];
    let handler = &containerd["runtimes"][containerd["defaultRuntimeName"].as_str()?];
    // Of others it is not known.
    RUNC.contains(&handler["runtimeType"].as_str()?).then_some(())?;
    match handler["options"]["SystemdCgroup"].as_bool() {
        Some(true) => Some(CgroupDriver::Systemd),
        _ => Some(CgroupDriver::Cgroupfs),
    }
}

/// As the configuration of containerd 1.x has it.
pub(super) fn sandbox_image(info: &HashMap<String, String>) -> Option<String> {
    let image = config(info)?["sandboxImage"].as_str()?.to_owned();
    (!image.is_empty()).then_some(image)
}

/// containerd shows its configuration as JSON among what it says about itself.
fn config(info: &HashMap<String, String>) -> Option<Value> {
    serde_json::from_str(info.get("config")?).ok()
}

#[cfg(test)]
mod tests {
    use k8s_cri::v1::LinuxRuntimeConfiguration;

    use super::*;

    fn info(config: &str) -> HashMap<String, String> {
        HashMap::from([("config".to_owned(), config.to_owned())])
    }

    fn runc(options: &str) -> String {
        format!(
            r#"{{"containerd": {{"defaultRuntimeName": "runc", "runtimes": {{"runc": {{"runtimeType": "io.containerd.runc.v2", "options": {options}}}}}}}}}"#
        )
    }

    #[test]
    fn the_driver_is_that_of_the_default_runtime() {
        for (config, expected) in [
            (runc(r#"{"SystemdCgroup": true}"#), Some(CgroupDriver::Systemd)),
            (runc(r#"{"SystemdCgroup": false, "BinaryName": ""}"#), Some(CgroupDriver::Cgroupfs)),
            (runc("{}"), Some(CgroupDriver::Cgroupfs)),
            (runc("null"), Some(CgroupDriver::Cgroupfs)),
            (runc("{}").replace("runc.v2", "kata.v2"), None),
            (runc("{}").replace("defaultRuntimeName", "other"), None),
            ("{}".to_owned(), None),
            ("no JSON".to_owned(), None),
        ] {
            assert_eq!(configured_driver(&info(&config)), expected, "{config}");
        }
        assert_eq!(configured_driver(&HashMap::new()), None);
    }

    #[test]
    fn a_runtime_that_is_asked_says_so_itself() {
        let answer = |driver: Said| RuntimeConfigResponse {
            linux: Some(LinuxRuntimeConfiguration { cgroup_driver: driver.into() }),
        };
        assert_eq!(said_driver(&answer(Said::Systemd)), Some(CgroupDriver::Systemd));
        assert_eq!(said_driver(&answer(Said::Cgroupfs)), Some(CgroupDriver::Cgroupfs));
        assert_eq!(said_driver(&RuntimeConfigResponse { linux: None }), None);
    }

    #[test]
    fn the_image_of_sandboxes_is_in_the_configuration() {
        let found = sandbox_image(&info(r#"{"sandboxImage": "registry.k8s.io/pause:3.6"}"#));
        assert_eq!(found.as_deref(), Some("registry.k8s.io/pause:3.6"));
        assert_eq!(sandbox_image(&info(r#"{"sandboxImage": ""}"#)), None);
        assert_eq!(sandbox_image(&info("{}")), None);
    }
}
