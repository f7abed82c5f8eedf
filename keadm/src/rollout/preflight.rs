//! What has to be so in a cluster before anything is changed in it.

use anyhow::{Context as _, anyhow};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::Node;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt as _};

use crate::cluster::said;
use crate::hint::WithHint as _;
use crate::manifests::Values;
use crate::printer::Printer;
use certs::authority::NAMESPACE;

/// Kubernetes 1.22: the first whose server-side apply is not a trial.
const OLDEST_MINOR: u32 = 22;
/// Label of edge nodes, on which CloudCore does not run.
const EDGE: &str = "node-role.kubernetes.io/edge";

/// What an installation does that not everybody may: verb, API group, resource, and whether it is in our namespace.
const RIGHTS: [(&str, &str, &str, bool); 7] = [
    ("create", "", "namespaces", false),
    ("create", "apiextensions.k8s.io", "customresourcedefinitions", false),
    ("create", "rbac.authorization.k8s.io", "clusterroles", false),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings", false),
    ("create", "apps", "deployments", true),
    ("create", "", "configmaps", true),
    ("list", "", "nodes", false),
];

/// Version, rights, machines.
///
/// # Errors
/// The first that is not as it has to be, and what to do.
pub async fn check(client: &Client, values: &Values, printer: &Printer) -> anyhow::Result<()> {
    let version =
        client.apiserver_version().await.map_err(said).context("ask the API server for its version")?;
    printer.already(format_args!("Kubernetes {}", version.git_version));
    // Some providers write `28+`.
    let minor = version.minor.trim_end_matches('+').parse::<u32>().unwrap_or(u32::MAX);
    if version.major == "1" && minor < OLDEST_MINOR {
        return Err(anyhow!("Kubernetes {} is too old", version.git_version))
            .hint(|| format!("use 1.{OLDEST_MINOR} or newer"));
    }
    rights(client).await?;
    let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await;
    machines(&nodes.map_err(said).context("list the cluster's nodes")?.items, values)
}

async fn rights(client: &Client) -> anyhow::Result<()> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let mut missing = Vec::new();
    for (verb, group, resource, is_ours) in RIGHTS {
        let attributes = ResourceAttributes {
            verb: Some(verb.to_owned()),
            group: Some(group.to_owned()),
            resource: Some(resource.to_owned()),
            namespace: is_ours.then(|| NAMESPACE.to_owned()),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let answer = reviews.create(&PostParams::default(), &review).await;
        let answer = answer.map_err(said).context("ask the API server what we may do")?;
        if !answer.status.is_some_and(|status| status.allowed) {
            missing.push(format!("{verb} {resource}"));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(anyhow!("this kubeconfig may not {}", missing.join(", "))).hint(|| {
        "use that of a cluster-admin, or print what to apply with `keadm manifest generate`".to_owned()
    })
}

/// Whether there are machines for the pods.
fn machines(nodes: &[Node], values: &Values) -> anyhow::Result<()> {
    let fit = nodes.iter().filter(|node| is_ready(node) && !node.labels().contains_key(EDGE)).count();
    if fit == 0 {
        return Err(anyhow!(
            "the cluster has no machine that CloudCore could run on: of its {} nodes none is Ready and not \
             an edge node",
            nodes.len()
        ))
        .hint(|| "see `kubectl get nodes`; --skip-preflight-checks installs all the same".to_owned());
    }
    let wanted = usize::try_from(values.cloud_core.replica_count).unwrap_or_default();
    if values.cloud_core.host_net_work && wanted > fit {
        return Err(anyhow!("cloudCore.replicaCount is {wanted}, and {fit} machines are there for them"))
            .hint(|| {
                "with the network of the host each replica needs a machine of its own: ask for fewer, or set \
             cloudCore.hostNetWork=false and cloudCore.affinity.podAntiAffinity=null"
                    .to_owned()
            });
    }
    Ok(())
}

fn is_ready(node: &Node) -> bool {
    let is_closed = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or_default();
    let mut conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    !is_closed && conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifests::Overrides;

    fn node(name: &str, ready: &str, labels: &serde_json::Value, closed: bool) -> Node {
        serde_json::from_value(json!({
            "metadata": {"name": name, "labels": labels}, "spec": {"unschedulable": closed},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    #[test]
    fn there_has_to_be_a_machine_for_each_replica() {
        let (plain, edge) = (json!({}), json!({EDGE: ""}));
        let nodes = [
            node("a", "True", &plain, false),
            node("b", "False", &plain, false),
            node("c", "True", &edge, false),
            node("d", "True", &plain, true),
        ];
        let set =
            |set: &str| Overrides { sets: vec![set.to_owned()], ..Overrides::default() }.values().unwrap();
        machines(&nodes, &set("cloudCore.replicaCount=1")).unwrap();
        machines(&nodes, &set("cloudCore.replicaCount=2,cloudCore.hostNetWork=false")).unwrap();
        let error = machines(&nodes, &set("cloudCore.replicaCount=2")).unwrap_err();
        assert_eq!(error.to_string(), "cloudCore.replicaCount is 2, and 1 machines are there for them");
        let error = machines(&nodes[1..], &set("cloudCore.replicaCount=1")).unwrap_err();
        assert!(error.to_string().contains("of its 3 nodes none is Ready"), "{error}");
    }
}
