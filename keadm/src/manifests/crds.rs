//! The kinds that CloudCore works with: the files of `build/crds`, which are generated from `proto`.

use anyhow::Context as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use super::Object;

/// Each file of `build/crds/`.
const FILES: [&str; 7] = [
    include_str!("../../../build/crds/devices.kubeedge.io_devicemodels.yaml"),
    include_str!("../../../build/crds/devices.kubeedge.io_devices.yaml"),
    include_str!("../../../build/crds/devices.kubeedge.io_devicestatuses.yaml"),
    include_str!("../../../build/crds/reliablesyncs.kubeedge.io_clusterobjectsyncs.yaml"),
    include_str!("../../../build/crds/reliablesyncs.kubeedge.io_objectsyncs.yaml"),
    include_str!("../../../build/crds/rules.kubeedge.io_ruleendpoints.yaml"),
    include_str!("../../../build/crds/rules.kubeedge.io_rules.yaml"),
];

pub(super) fn all() -> anyhow::Result<Vec<Object>> {
    FILES.iter().map(|file| Object::of(&read(file)?)).collect()
}

fn read(file: &str) -> anyhow::Result<CustomResourceDefinition> {
    serde_saphyr::from_str(file).context("read a definition of build/crds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_forgotten() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../build/crds");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), FILES.len());
    }

    #[test]
    fn nothing_that_a_file_says_is_lost_in_its_type() {
        for (file, object) in FILES.iter().zip(all().unwrap()) {
            let said: serde_json::Value = serde_saphyr::from_str(file).unwrap();
            assert_eq!(object.to_json().unwrap(), said, "{}", object.title());
        }
    }
}
