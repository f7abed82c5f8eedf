//! The Service `kubernetes`: where pods find the API (<https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/>).
//!
//! A cluster gives it an address that exists on its nodes only, and a proxy that leads from there to an API server. Here it has the address of
//! the API itself, so that `KUBERNETES_SERVICE_HOST` and `_PORT` lead there from wherever that address is reached, without a proxy.

use std::net::{IpAddr, SocketAddr};

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Service;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Error};
use serde_json::json;

/// Its namespace.
const NAMESPACE: &str = "default";
/// Its name.
const NAME: &str = "kubernetes";

/// The address for pods: the one that is advertised, else the one that the API listens on. None where pods of other machines would find
/// themselves there, and where only a name is known: the address of a Service is an IP address.
pub(super) fn address(listen: SocketAddr, advertise: Option<&str>) -> Option<SocketAddr> {
    let ip = match advertise {
        Some(text) => text.parse::<IpAddr>().ok()?,
        None => listen.ip(),
    };
    (!ip.is_loopback() && !ip.is_unspecified()).then(|| SocketAddr::new(ip, listen.port()))
}

/// Brings the Service to this address; without one there is none.
///
/// # Errors
/// What the API refused.
pub(super) async fn publish(client: &Client, address: Option<SocketAddr>) -> anyhow::Result<()> {
    put(client, address).await.with_context(|| format!("write the Service {NAMESPACE}/{NAME}"))
}

async fn put(client: &Client, address: Option<SocketAddr>) -> Result<(), Error> {
    let services: Api<Service> = Api::namespaced(client.clone(), NAMESPACE);
    let Some(address) = address else {
        return match services.delete(NAME, &DeleteParams::default()).await {
            Err(Error::Api(status)) if !status.is_not_found() => Err(Error::Api(status)),
            Err(Error::Api(_)) | Ok(_) => Ok(()),
            Err(other) => Err(other),
        };
    };
    let spec = json!({
        "type": "ClusterIP", "clusterIP": address.ip(), "clusterIPs": [address.ip()],
        "ports": [{"name": "https", "port": address.port(), "protocol": "TCP", "targetPort": address.port()}],
    });
    let patch = Patch::Merge(json!({"spec": spec}));
    match services.patch(NAME, &PatchParams::default(), &patch).await {
        Err(Error::Api(status)) if status.is_not_found() => {
            let labels = json!({"component": "apiserver", "provider": "kubernetes"});
            let service = json!({"metadata": {"name": NAME, "labels": labels}, "spec": spec});
            let service = serde_json::from_value(service).map_err(Error::SerdeError)?;
            services.create(&PostParams::default(), &service).await.map(drop)
        }
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use apiserver::store::Database;
    use apiserver::{ApiServer, Options, User};

    use super::*;

    #[test]
    fn pods_are_told_only_of_an_address_that_leads_to_the_api_from_elsewhere() {
        let listen = |text: &str| text.parse::<SocketAddr>().unwrap();
        let told =
            |listens: &str, advertise| address(listen(listens), advertise).map(|told| told.to_string());
        assert_eq!(told("10.0.0.1:6443", None).as_deref(), Some("10.0.0.1:6443"));
        assert_eq!(told("0.0.0.0:7443", Some("10.0.0.2")).as_deref(), Some("10.0.0.2:7443"));
        assert_eq!(told("[::]:6443", Some("fd00::1")).as_deref(), Some("[fd00::1]:6443"));
        for (listens, advertise) in
            [("127.0.0.1:6443", None), ("0.0.0.0:6443", None), ("0.0.0.0:6443", Some("cloud.example"))]
        {
            assert_eq!(told(listens, advertise), None, "{listens} {advertise:?}");
        }
    }

    #[tokio::test]
    async fn the_service_follows_the_address() {
        let api = ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap();
        let client = Client::new(api.service(User::admin()), NAMESPACE);
        let services: Api<Service> = Api::namespaced(client.clone(), NAMESPACE);
        publish(&client, None).await.unwrap();
        assert!(services.get_opt(NAME).await.unwrap().is_none());
        let seen = async |address: &str| {
            publish(&client, Some(address.parse().unwrap())).await.unwrap();
            let spec = services.get(NAME).await.unwrap().spec.unwrap();
            (spec.cluster_ip.unwrap(), spec.ports.unwrap()[0].port)
        };
        assert_eq!(seen("10.0.0.1:6443").await, ("10.0.0.1".to_owned(), 6443));
        let version = async || services.get(NAME).await.unwrap().metadata.resource_version;
        let before = version().await;
        assert_eq!(seen("10.0.0.1:6443").await, ("10.0.0.1".to_owned(), 6443));
        assert_eq!(version().await, before, "nothing is written when nothing has changed");
        assert_eq!(seen("10.0.0.2:7443").await, ("10.0.0.2".to_owned(), 7443));
        publish(&client, None).await.unwrap();
        assert!(services.get_opt(NAME).await.unwrap().is_none());
    }
}
