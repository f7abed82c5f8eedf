//! Devices from a file, and no EdgeCore: `--simulate`. What would be reported is logged.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use chassis::module::Module;
use chassis::shutdown::Shutdown;
use proto::api::device::{self as api, DeviceModel, validation};
use proto::dmi;
use serde::Deserialize;

use crate::device::Device;
use crate::fleet::FleetClient;
use crate::outbox::Outbox;

/// Largest file: some thousand devices.
const MAX_FILE: u64 = 16 << 20;

/// What a file of manifests says, for a mapper of that protocol.
///
/// # Errors
/// When the file cannot be read, or a document is neither a Device nor a DeviceModel.
pub(crate) fn load(file: &Path, protocol: &str) -> anyhow::Result<dmi::MapperRegisterResponse> {
    let size = std::fs::metadata(file).with_context(|| format!("read {}", file.display()))?.len();
    anyhow::ensure!(size <= MAX_FILE, "{} is larger than {MAX_FILE} bytes", file.display());
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    parse(&text, protocol).with_context(|| format!("{}", file.display()))
}

/// The devices that manifests describe, as a driver gets them: for tests of drivers.
///
/// # Errors
/// When a document is neither a Device nor a DeviceModel, or there is no device of that protocol.
pub fn devices(manifests: &str, protocol: &str) -> anyhow::Result<Vec<Device>> {
    let all = parse(manifests, protocol)?;
    let models: BTreeMap<_, _> =
        all.model_list.iter().map(|model| ((&model.namespace, &model.name), model)).collect();
    let of = |device: &dmi::Device| {
        let model = device.spec.as_ref().map(|spec| &spec.device_model_reference);
        Device::new(device, model.and_then(|model| models.get(&(&device.namespace, model)).copied()))
    };
    Ok(all.device_list.iter().map(of).collect())
}

fn parse(text: &str, protocol: &str) -> anyhow::Result<dmi::MapperRegisterResponse> {
    let mut models = BTreeMap::new();
    let mut devices = Vec::new();
    for document in documents(text) {
        let Kind { kind } = serde_saphyr::from_str(document).context("a document without a kind")?;
        match kind.as_str() {
            "Device" => devices.push(serde_saphyr::from_str::<api::Device>(document).context("a Device")?),
            "DeviceModel" => {
                let model: DeviceModel = serde_saphyr::from_str(document).context("a DeviceModel")?;
                models.insert(named(&model.metadata), model);
            }
            other => anyhow::bail!("a {other} is neither a Device nor a DeviceModel"),
        }
    }
    let mut all = dmi::MapperRegisterResponse::default();
    for (key, model) in &models {
        for problem in validation::check_model(&model.spec) {
            tracing::warn!(model = key.1, "{problem}");
        }
        all.model_list.push(dmi::model(&key.0, &key.1, &model.spec));
    }
    for device in &devices {
        let key = named(&device.metadata);
        if device.spec.protocol.protocol_name != protocol {
            tracing::info!(
                device = key.1,
                protocol = device.spec.protocol.protocol_name,
                "not for this mapper"
            );
            continue;
        }
        let model = models.get(&(key.0.clone(), device.spec.model().to_owned())).map(|model| &model.spec);
        for problem in validation::check_device(&device.spec, model) {
            tracing::warn!(device = key.1, "{problem}");
        }
        let spec = dmi::configured(&device.spec, model);
        all.device_list.push(dmi::device(&key.0, &key.1, &spec, &device.status));
    }
    anyhow::ensure!(!all.device_list.is_empty(), "there is no Device of protocol {protocol:?}");
    Ok(all)
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

/// The documents of a YAML stream, but for those that say nothing.
fn documents(text: &str) -> impl Iterator<Item = &str> {
    let says_something = |document: &&str| {
        document.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    };
    text.split("\n---").map(|document| document.trim_start_matches("---")).filter(says_something)
}

fn named(metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> (String, String) {
    let namespace = metadata.namespace.clone().unwrap_or_else(|| "default".to_owned());
    (namespace, metadata.name.clone().unwrap_or_default())
}

/// The module: says once what there is, and logs what is reported.
#[derive(Debug)]
pub(crate) struct Simulation {
    pub(crate) all: dmi::MapperRegisterResponse,
    pub(crate) fleet: FleetClient,
    /// What is reported; none where it is reported elsewhere.
    pub(crate) outbox: Option<Outbox>,
}

impl Module for Simulation {
    const NAME: &'static str = "simulation";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { all, fleet, outbox } = self;
        fleet.registered(all).await;
        let log = async {
            let Some(outbox) = outbox else { return std::future::pending().await };
            loop {
                let (key, news) = outbox.take().await;
                let device = format!("{}/{}", key.0, key.1);
                if let Some(state) = news.state {
                    tracing::info!(device, %state, "reported");
                }
                for (property, reading) in news.readings {
                    let desired = reading.desired.unwrap_or_default();
                    tracing::info!(device, property, value = reading.value, desired, "reported");
                }
            }
        };
        tokio::select! {
            () = shutdown.requested() => Ok(()),
            () = log => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# Two documents.
---
kind: DeviceModel
metadata: {name: m}
spec: {protocol: virtual, protocolConfigData: {port: 1}, properties: [{name: t, type: INT}]}
---
kind: Device
metadata: {name: d, namespace: ns}
spec: {protocol: {protocolName: virtual}, properties: [{name: t}]}
---
# Nothing.
---
kind: Device
metadata: {name: other}
spec: {protocol: {protocolName: modbus}}
";

    #[test]
    fn manifests_become_what_edgecore_would_say() {
        let all = parse(FILE, "virtual").unwrap();
        assert_eq!(all.model_list[0].namespace, "default");
        assert_eq!((all.device_list.len(), all.device_list[0].name.as_str()), (1, "d"));
    }

    #[test]
    fn a_file_that_makes_no_sense_says_why() {
        let error = |text: &str| format!("{:#}", parse(text, "virtual").unwrap_err());
        assert!(error("kind: Pod\n").contains("a Pod is neither"));
        assert!(error("kind: [\n").contains("a document without a kind"));
        assert!(error("").contains("no Device of protocol \"virtual\""));
    }
}
