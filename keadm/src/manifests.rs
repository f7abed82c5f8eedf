//! What CloudCore needs in a cluster, as typed objects: made from [`Values`], without a cluster.
//!
//! The Helm chart in `build/helm/cloudcore` says the same in Helm's language; `keadm/tests/helm.rs` compares the two. Its
//! `values.yaml` is the default here too.

mod configuration;
mod crds;
mod object;
mod rbac;
mod values;
mod webhook;
mod workload;

pub use self::object::{Object, parse_documents};
pub use self::values::{Overrides, TAG, Values};

use certs::authority::NAMESPACE;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Name of the Deployment, the Service, the ServiceAccount and all else that is CloudCore's.
pub const NAME: &str = "cloudcore";

/// Which level of Kubernetes' pod security the namespace is held to (its label).
const POD_SECURITY: &str = "pod-security.kubernetes.io/enforce";

/// Everything but what waits for CloudCore ([`late`]), in the order in which it has to be there.
///
/// # Errors
/// What the values say that cannot be.
pub fn render(values: &Values, with_crds: bool) -> anyhow::Result<Vec<Object>> {
    let configuration = configuration::Configuration::new(values)?;
    let mut objects = vec![Object::of(&namespace(values))?];
    if with_crds {
        objects.extend(crds::all()?);
    }
    objects.extend(rbac::objects(values)?);
    objects.extend(workload::objects(values, &configuration)?);
    Ok(objects)
}

/// What needs the CA that CloudCore makes when it starts first: the webhook, where the values have it.
///
/// # Errors
/// When the CA in the values is not base64, or the values say what cannot be.
pub fn late(values: &Values) -> anyhow::Result<Vec<Object>> {
    if !values.admission.enable {
        return Ok(Vec::new());
    }
    let configuration = configuration::Configuration::new(values)?;
    webhook::objects(values, configuration.parsed.modules.admission.port)
}

/// Where edge nodes find it: an address, and the ports of the channel and of HTTPS.
///
/// # Errors
/// What the values say that cannot be.
pub fn way_in(values: &Values) -> anyhow::Result<(String, u16, u16)> {
    let configuration = configuration::Configuration::new(values)?;
    let (hub, core) = (configuration.hub(), &values.cloud_core);
    let address = hub.advertise_address.iter().find(|address| !address.is_empty());
    let address = address.cloned().unwrap_or_default();
    let service = &core.service;
    let node_port = |port: i32| u16::try_from(port).unwrap_or_default();
    Ok(match (core.host_net_work, service.enable && service.is_node_port()) {
        (true, _) => (address, hub.websocket.port, hub.https.port),
        (false, true) => {
            (address, node_port(service.cloudhub_node_port), node_port(service.cloudhub_https_node_port))
        }
        (false, false) => (address, workload::SERVICE_PORT, workload::SERVICE_HTTPS_PORT),
    })
}

fn namespace(values: &Values) -> Namespace {
    // The network of the host is what Kubernetes' "baseline" forbids; nothing else of CloudCore is.
    let level = if values.cloud_core.host_net_work { "privileged" } else { "restricted" };
    Namespace {
        metadata: ObjectMeta {
            name: Some(NAMESPACE.to_owned()),
            labels: Some([(POD_SECURITY.to_owned(), level.to_owned())].into()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

/// Metadata of what is in namespace `kubeedge` and has CloudCore's labels.
fn metadata(values: &Values, name: &str) -> ObjectMeta {
    ObjectMeta { namespace: Some(NAMESPACE.to_owned()), ..cluster_metadata(values, name) }
}

/// The same of what is in no namespace.
fn cluster_metadata(values: &Values, name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(values.cloud_core.labels.clone()),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests;
