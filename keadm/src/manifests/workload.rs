//! What runs: the pods, their configuration, and the way to them.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, ConfigMapVolumeSource, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction,
    ObjectFieldSelector, PodSpec, PodTemplateSpec, Probe, Service, ServicePort, ServiceSpec, Volume,
    VolumeMount,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::configuration::Configuration;
use super::{NAME, Object, Values, metadata};

/// Where CloudCore looks for its file.
const FOLDER: &str = "/etc/kubeedge/config";
/// CloudCore ends by itself within 20 s; the rest is for a machine that is busy.
const GRACE: i64 = 30;
/// A first start makes keys and asks the API server a dozen times. A minute is for one that is slow to answer.
const STARTUP_PROBES: i32 = 30;
const STARTUP_PERIOD: i32 = 2;
/// Of the Service, whatever the pods have: stock's.
pub(super) const SERVICE_PORT: u16 = 10000;
const SERVICE_QUIC_PORT: u16 = 10001;
pub(super) const SERVICE_HTTPS_PORT: u16 = 10002;

pub(super) fn objects(values: &Values, configuration: &Configuration) -> anyhow::Result<Vec<Object>> {
    let mut objects = vec![
        Object::of(&config_map(values, configuration)?)?,
        Object::of(&deployment(values, configuration))?,
    ];
    if values.cloud_core.service.enable {
        objects.push(Object::of(&service(values, configuration))?);
    }
    if values.cloud_core.pod_disruption_budget.enable {
        objects.push(Object::of(&budget(values))?);
    }
    Ok(objects)
}

fn config_map(values: &Values, configuration: &Configuration) -> anyhow::Result<ConfigMap> {
    Ok(ConfigMap {
        metadata: metadata(values, NAME),
        data: Some([("cloudcore.yaml".to_owned(), configuration.text()?)].into()),
        ..ConfigMap::default()
    })
}

/// A port that CloudCore listens on.
struct Door {
    name: &'static str,
    protocol: &'static str,
    /// In the pod.
    port: u16,
    /// Of the Service; none: it does not lead there.
    service: Option<u16>,
    /// Of every machine.
    node: i32,
}

fn doors(values: &Values, configuration: &Configuration) -> Vec<Door> {
    let (hub, service) = (configuration.hub(), &values.cloud_core.service);
    let mut doors = Vec::new();
    if hub.websocket.enable {
        let node = service.cloudhub_node_port;
        let port = hub.websocket.port;
        doors.push(Door { name: "cloudhub", protocol: "TCP", port, service: Some(SERVICE_PORT), node });
    }
    if hub.quic.enable {
        let (port, node) = (hub.quic.port, service.cloudhub_quic_node_port);
        doors.push(Door {
            name: "cloudhub-quic",
            protocol: "UDP",
            port,
            service: Some(SERVICE_QUIC_PORT),
            node,
        });
    }
    let (port, node) = (hub.https.port, service.cloudhub_https_node_port);
    doors.push(Door {
        name: "cloudhub-https",
        protocol: "TCP",
        port,
        service: Some(SERVICE_HTTPS_PORT),
        node,
    });
    if hub.forwarding.enable {
        // From pod to pod: each says in its Lease where it is.
        doors.push(Door {
            name: "forwarding",
            protocol: "TCP",
            port: hub.forwarding.port,
            service: None,
            node: 0,
        });
    }
    if values.admission.enable {
        let port = configuration.parsed.modules.admission.port;
        doors.push(Door { name: "admission", protocol: "TCP", port, service: None, node: 0 });
    }
    doors
}

fn deployment(values: &Values, configuration: &Configuration) -> Deployment {
    let core = &values.cloud_core;
    let not_empty = |map: &BTreeMap<String, String>| (!map.is_empty()).then(|| map.clone());
    Deployment {
        metadata: ObjectMeta { annotations: not_empty(&core.annotations), ..metadata(values, NAME) },
        spec: DeploymentSpec {
            replicas: Some(core.replica_count),
            selector: selector(values),
            strategy: Some(core.strategy.clone()),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(core.labels.clone()),
                    annotations: Some([("checksum/config".to_owned(), configuration.checksum())].into()),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(values, configuration)),
            },
            ..DeploymentSpec::default()
        },
        ..Deployment::default()
    }
}

fn selector(values: &Values) -> LabelSelector {
    LabelSelector { match_labels: Some(values.cloud_core.labels.clone()), ..LabelSelector::default() }
}

fn pod(values: &Values, configuration: &Configuration) -> PodSpec {
    let core = &values.cloud_core;
    let volume = Volume {
        name: "conf".to_owned(),
        config_map: Some(ConfigMapVolumeSource { name: NAME.to_owned(), ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    };
    PodSpec {
        service_account_name: Some(NAME.to_owned()),
        host_network: core.host_net_work.then_some(true),
        dns_policy: core.host_net_work.then(|| "ClusterFirstWithHostNet".to_owned()),
        image_pull_secrets: (!core.image.pull_secrets.is_empty()).then(|| core.image.pull_secrets.clone()),
        security_context: Some(core.pod_security_context.clone()),
        affinity: Some(core.affinity.clone()).filter(|affinity| *affinity != Default::default()),
        tolerations: (!core.tolerations.is_empty()).then(|| core.tolerations.clone()),
        node_selector: (!core.node_selector.is_empty()).then(|| core.node_selector.clone()),
        priority_class_name: Some(core.priority_class_name.clone()).filter(|name| !name.is_empty()),
        termination_grace_period_seconds: Some(GRACE),
        containers: vec![container(values, configuration)],
        volumes: Some(vec![volume]),
        ..PodSpec::default()
    }
}

fn container(values: &Values, configuration: &Configuration) -> Container {
    let core = &values.cloud_core;
    let ports = doors(values, configuration).into_iter().map(|door| ContainerPort {
        name: Some(door.name.to_owned()),
        container_port: door.port.into(),
        protocol: Some(door.protocol.to_owned()),
        ..ContainerPort::default()
    });
    Container {
        name: NAME.to_owned(),
        image: Some(core.image.reference()),
        image_pull_policy: Some(core.image.pull_policy.clone()).filter(|policy| !policy.is_empty()),
        args: Some(vec!["--config".to_owned(), format!("{FOLDER}/cloudcore.yaml")]),
        env: Some(vec![of_the_pod("POD_NAME", "metadata.name"), of_the_pod("POD_IP", "status.podIP")]),
        ports: Some(ports.collect()),
        resources: Some(core.resources.clone()).filter(|resources| *resources != Default::default()),
        security_context: Some(core.security_context.clone())
            .filter(|context| *context != Default::default()),
        startup_probe: Some(Probe {
            period_seconds: Some(STARTUP_PERIOD),
            failure_threshold: Some(STARTUP_PROBES),
            ..probe()
        }),
        readiness_probe: Some(Probe { period_seconds: Some(10), failure_threshold: Some(3), ..probe() }),
        volume_mounts: Some(vec![VolumeMount {
            name: "conf".to_owned(),
            mount_path: FOLDER.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        }]),
        ..Container::default()
    }
}

/// What a replica is called, and where others reach it.
fn of_the_pod(name: &str, field: &str) -> EnvVar {
    let field = ObjectFieldSelector { field_path: field.to_owned(), ..ObjectFieldSelector::default() };
    let source = EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value_from: Some(source), ..EnvVar::default() }
}

/// What a node asks first when it joins. The admin HTTP, which knows more, is for the machine alone. CloudCore ends by itself
/// when a part of it fails, so nobody has to look whether it lives.
fn probe() -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            scheme: Some("HTTPS".to_owned()),
            path: Some("/ca.crt".to_owned()),
            port: IntOrString::String("cloudhub-https".to_owned()),
            ..HTTPGetAction::default()
        }),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}

fn service(values: &Values, configuration: &Configuration) -> Service {
    let core = &values.cloud_core;
    let ports = doors(values, configuration).into_iter().filter_map(|door| {
        Some(ServicePort {
            name: Some(door.name.to_owned()),
            port: door.service?.into(),
            target_port: Some(IntOrString::String(door.name.to_owned())),
            protocol: Some(door.protocol.to_owned()),
            node_port: core.service.is_node_port().then_some(door.node),
            ..ServicePort::default()
        })
    });
    Service {
        metadata: ObjectMeta {
            annotations: (!core.service.annotations.is_empty()).then(|| core.service.annotations.clone()),
            ..metadata(values, NAME)
        },
        spec: Some(ServiceSpec {
            type_: Some(core.service.kind.clone()),
            selector: Some(core.labels.clone()),
            ports: Some(ports.collect()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn budget(values: &Values) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: metadata(values, NAME),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: values.cloud_core.pod_disruption_budget.max_unavailable.clone(),
            selector: Some(selector(values)),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
