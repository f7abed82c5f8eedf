//! The node and the pods, seen through the Kubernetes API.

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::daemons::{client, within};
use super::{Layout, NODE};
use crate::printer::Printer;

/// The ConfigMap and the two pods.
const MANIFEST: &str = include_str!("manifest.yaml");
/// Names of the pods in it.
const PODS: [&str; 2] = ["hello", "sidekick"];
/// Port of the first one.
const PORT: u16 = 8080;

/// Waits until the node says that it is ready.
pub(super) async fn wait_for_node(layout: &Layout, printer: &Printer) -> anyhow::Result<()> {
    printer.step(format_args!("waiting for node {NODE} to be ready"));
    let client = client(layout).await?;
    let nodes: Api<Node> = Api::all(client);
    within("the node is ready", &layout.edgecore(), || async {
        let node = nodes.get(NODE).await.context("the node has not registered")?;
        anyhow::ensure!(node_status(&node) == "Ready", "the node is {}", node_status(&node));
        Ok(())
    })
    .await
}

/// Makes what of the manifest is not there.
pub(super) async fn apply(layout: &Layout, printer: &Printer) -> anyhow::Result<()> {
    let client = client(layout).await?;
    for document in MANIFEST.split("\n---\n") {
        let kind: Kind = serde_saphyr::from_str(document)?;
        match kind.kind.as_str() {
            "ConfigMap" => create::<ConfigMap>(&client, document, printer).await?,
            "Pod" => create::<Pod>(&client, document, printer).await?,
            other => anyhow::bail!("the demo's manifest has a {other}"),
        }
    }
    Ok(())
}

/// The part of a document that says what it is.
#[derive(serde::Deserialize)]
struct Kind {
    kind: String,
}

pub(super) async fn create<K>(client: &Client, document: &str, printer: &Printer) -> anyhow::Result<()>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    K: Serialize + DeserializeOwned + Clone + std::fmt::Debug,
{
    let object: K = serde_saphyr::from_str(document)?;
    let name = object.meta().name.clone().unwrap_or_default();
    let api: Api<K> = Api::default_namespaced(client.clone());
    match api.create(&PostParams::default(), &object).await {
        Ok(_) => printer.step(format_args!("created {} {name}", K::kind(&()))),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            printer.already(format_args!("{} {name} is there", K::kind(&())));
        }
        Err(error) => return Err(error).with_context(|| format!("create {} {name}", K::kind(&()))),
    }
    Ok(())
}

/// Waits until both pods are ready.
pub(super) async fn wait_for_pods(layout: &Layout, printer: &Printer) -> anyhow::Result<()> {
    printer.step("waiting for the pods to run");
    let pods: Api<Pod> = Api::default_namespaced(client(layout).await?);
    for name in PODS {
        within("the pods run", &layout.edgecore(), || async {
            let pod = pods.get(name).await?;
            anyhow::ensure!(is_ready(&pod), "pod {name} is {}: {}", phase(&pod), reasons(&pod));
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Prints the node and the pods, and how to go on.
pub(super) async fn show(layout: &Layout, printer: &Printer) -> anyhow::Result<()> {
    let client = client(layout).await?;
    let nodes = Api::<Node>::all(client.clone()).list(&Default::default()).await?;
    let pods = Api::<Pod>::default_namespaced(client).list(&Default::default()).await?;
    printer.line("");
    printer.line(format_args!("{:<16} {:<10} VERSION", "NODE", "STATUS"));
    for node in &nodes {
        let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
        let version = info.map(|info| info.kubelet_version.as_str()).unwrap_or_default();
        printer.line(format_args!("{:<16} {:<10} {version}", name(&node.metadata), node_status(node)));
    }
    printer.line("");
    printer.line(format_args!("{:<16} {:<10} {:<16} NODE", "POD", "STATUS", "IP"));
    for pod in &pods {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("<none>");
        let ip = ip(pod).unwrap_or("<none>");
        printer.line(format_args!("{:<16} {:<10} {ip:<16} {node}", name(&pod.metadata), phase(pod)));
    }
    let kubeconfig = layout.kubeconfig();
    printer.line(format_args!("\nGo on:\n  export KUBECONFIG={}", kubeconfig.display()));
    printer.line("  kubectl get nodes,pods -o wide");
    if let Some(ip) = pods.iter().find(|pod| name(&pod.metadata) == PODS[0]).and_then(ip) {
        printer.line(format_args!("  curl http://{ip}:{PORT}/"));
    }
    printer.line("  kubectl edit configmap hello\n  kubectl delete pod sidekick");
    Ok(())
}

fn name(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}

fn node_status(node: &Node) -> &'static str {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    match conditions.iter().find(|condition| condition.type_ == "Ready").map(|ready| ready.status.as_str()) {
        Some("True") => "Ready",
        Some("False") => "NotReady",
        _ => "Unknown",
    }
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Unknown")
}

fn ip(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.pod_ip.as_deref()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Why the containers that wait do so.
fn reasons(pod: &Pod) -> String {
    let statuses =
        pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let waiting = statuses.iter().filter_map(|status| status.state.as_ref()?.waiting.as_ref());
    let text = |waiting: &k8s_openapi::api::core::v1::ContainerStateWaiting| {
        [waiting.reason.as_deref(), waiting.message.as_deref()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(": ")
    };
    waiting.map(text).collect::<Vec<_>>().join("; ")
}
