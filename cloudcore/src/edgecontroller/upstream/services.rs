//! Services, for what containers are told of them
//! (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>): asked for when a container starts, so that a
//! node whose containers all run costs nothing, and no watch is kept for it.

use k8s_openapi::List;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Status};
use kube::Api;
use kube::api::ListParams;
use proto::ObjectPath;

use super::answer::Done;
use super::{Caller, Outcomes, status_of};

/// Services of a namespace at most: the kernel starts no program with the variables of more (each has seven, and all arguments and
/// variables together 2 MiB).
const MOST: u32 = 5000;

/// The one that stands for the API itself, and its namespace.
const KUBERNETES: (&str, &str) = ("default", "kubernetes");

impl Caller {
    /// The services of a namespace, and with them the one of the API; or the one that is named. Every kubelet may read all of them.
    pub(super) async fn get_services(&self, path: &ObjectPath) -> Outcomes {
        let namespace = path.namespace.as_deref().unwrap_or_default();
        let mut found = match path.name.as_deref() {
            Some(name) => self.get_service(namespace, name).await?,
            None => self.list_services(namespace).await?,
        };
        if path.name.is_none() && namespace != KUBERNETES.0 {
            found.extend(self.get_service(KUBERNETES.0, KUBERNETES.1).await?);
        }
        let items = found.into_iter().filter_map(told).collect();
        Ok(Done::plain(&List::<Service> { items, ..List::default() }, None))
    }

    async fn get_service(&self, namespace: &str, name: &str) -> Result<Vec<Service>, Box<Status>> {
        let services = Api::<Service>::namespaced(self.context.client.clone(), namespace);
        Ok(services.get_opt(name).await.map_err(status_of)?.into_iter().collect())
    }

    async fn list_services(&self, namespace: &str) -> Result<Vec<Service>, Box<Status>> {
        let services = Api::<Service>::namespaced(self.context.client.clone(), namespace);
        let list = services.list(&ListParams::default().limit(MOST)).await.map_err(status_of)?;
        if list.metadata.continue_.as_deref().is_some_and(|more| !more.is_empty()) {
            tracing::warn!(namespace, "more than {MOST} services: containers are not told of all of them");
        }
        Ok(list.items)
    }
}

/// What of it goes to the node; nothing of one that has no address of its own.
fn told(service: Service) -> Option<Service> {
    let spec = service.spec?;
    let address = spec.cluster_ip.filter(|address| !address.is_empty() && address != "None")?;
    let ports = spec.ports.into_iter().flatten().map(|port| ServicePort {
        name: port.name,
        port: port.port,
        protocol: port.protocol,
        ..ServicePort::default()
    });
    let ObjectMeta { namespace, name, .. } = service.metadata;
    Some(Service {
        metadata: ObjectMeta { namespace, name, ..ObjectMeta::default() },
        spec: Some(ServiceSpec {
            cluster_ip: Some(address),
            ports: Some(ports.collect()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    })
}
