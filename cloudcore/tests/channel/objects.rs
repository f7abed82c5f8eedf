//! Objects as users and edges make them.

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, ServiceAccount};
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::cloud::Cloud;

pub(crate) fn node(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {
        "kubernetes.io/hostname": name,
        "node-role.kubernetes.io/edge": "",
        "node-restriction.kubernetes.io/team": "mine",
    }}})
}

pub(crate) fn lease(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": "2026-01-01T00:00:00.000000Z"},
    })
}

/// A pod on a node that mounts config map `web-cfg` and takes its environment from secret `web-secret`.
pub(crate) fn pod(name: &str, node: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "nodeName": node,
            "serviceAccountName": "default",
            "automountServiceAccountToken": false,
            "containers": [{
                "name": "main", "image": "example/web:1",
                "envFrom": [{"secretRef": {"name": "web-secret"}}],
            }],
            "volumes": [{"name": "cfg", "configMap": {"name": "web-cfg"}}],
        },
    }))
    .unwrap()
}

impl Cloud {
    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "default")
    }

    pub(crate) async fn create_pod(&self, name: &str, node: &str) -> Pod {
        self.pods().create(&PostParams::default(), &pod(name, node)).await.unwrap()
    }

    pub(crate) async fn delete_pod_now(&self, name: &str) {
        self.pods().delete(name, &DeleteParams::default().grace_period(0)).await.unwrap();
    }

    pub(crate) async fn create_config_map(&self, name: &str) -> ConfigMap {
        let map = serde_json::from_value(json!({"metadata": {"name": name}, "data": {"key": "1"}})).unwrap();
        Api::namespaced(self.client.clone(), "default").create(&PostParams::default(), &map).await.unwrap()
    }

    pub(crate) async fn create_secret(&self, name: &str) -> Secret {
        let secret =
            serde_json::from_value(json!({"metadata": {"name": name}, "stringData": {"key": "s"}})).unwrap();
        Api::namespaced(self.client.clone(), "default").create(&PostParams::default(), &secret).await.unwrap()
    }

    pub(crate) async fn create_service_account(&self, name: &str) {
        let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), "default");
        accounts.create(&PostParams::default(), &account).await.unwrap();
    }
}
