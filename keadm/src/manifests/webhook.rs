//! The API server asks CloudCore what may be written of devices: `build/admission/webhook.yaml`, with CloudCore's CA.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use super::{Object, Values, cluster_metadata, metadata};

const FILE: &str = include_str!("../../../build/admission/webhook.yaml");

pub(super) fn objects(values: &Values, admission_port: u16) -> anyhow::Result<Vec<Object>> {
    let ca = BASE64.decode(&values.admission.ca_bundle).context("admission.caBundle is no base64")?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(FILE)?;
    let [service, webhooks] = <[Value; 2]>::try_from(documents)
        .ok()
        .context("build/admission/webhook.yaml is to have a Service and a ValidatingWebhookConfiguration")?;
    let mut service: Service = serde_json::from_value(service)?;
    service.metadata = metadata(values, &name(&service.metadata)?);
    if let Some(spec) = &mut service.spec {
        spec.selector = Some(values.cloud_core.labels.clone());
        for port in spec.ports.iter_mut().flatten() {
            // Part of what tells ports apart when manifests are applied.
            port.protocol = Some("TCP".to_owned());
            port.target_port = Some(IntOrString::Int(admission_port.into()));
        }
    }
    let mut webhooks: ValidatingWebhookConfiguration = serde_json::from_value(webhooks)?;
    webhooks.metadata = cluster_metadata(values, &name(&webhooks.metadata)?);
    for webhook in webhooks.webhooks.iter_mut().flatten() {
        webhook.client_config.ca_bundle = (!ca.is_empty()).then(|| ByteString(ca.clone()));
    }
    Ok(vec![Object::of(&service)?, Object::of(&webhooks)?])
}

fn name(metadata: &ObjectMeta) -> anyhow::Result<String> {
    metadata.name.clone().context("an object of build/admission/webhook.yaml has no name")
}
