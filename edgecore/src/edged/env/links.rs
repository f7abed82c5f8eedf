//! Services as variables: <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort};

/// The protocol of a port that names none.
const USUAL_PROTOCOL: &str = "TCP";

/// The variables of all services that have an address, for a container of a pod of `namespace`. A service of that namespace comes before one of
/// the same name of another.
pub fn variables(services: &[Service], namespace: &str) -> Vec<(String, String)> {
    let mut chosen: BTreeMap<&str, &Service> = BTreeMap::new();
    for service in services {
        let Some(name) = service.metadata.name.as_deref() else { continue };
        let is_own = service.metadata.namespace.as_deref() == Some(namespace);
        if is_own || !chosen.contains_key(name) {
            chosen.insert(name, service);
        }
    }
    chosen.into_iter().flat_map(|(name, service)| of_service(name, service)).collect()
}

/// `REDIS_PRIMARY_SERVICE_HOST` and so on, and the older forms of Docker's links, `REDIS_PRIMARY_PORT_6379_TCP_ADDR`.
fn of_service(name: &str, service: &Service) -> Vec<(String, String)> {
    let name = variable(name);
    let spec = service.spec.as_ref();
    let address = spec.and_then(|spec| spec.cluster_ip.as_deref()).unwrap_or_default();
    // A headless one is found by its name alone.
    if address.is_empty() || address == "None" {
        return Vec::new();
    }
    let mut all = vec![(format!("{name}_SERVICE_HOST"), address.to_owned())];
    let ports: &[ServicePort] = spec.and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    if let Some(first) = ports.first() {
        all.push((format!("{name}_SERVICE_PORT"), first.port.to_string()));
        all.push((format!("{name}_PORT"), url(address, first)));
    }
    for port in ports {
        if let Some(its_name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            all.push((format!("{name}_SERVICE_PORT_{}", variable(its_name)), port.port.to_string()));
        }
        let prefix = format!("{name}_PORT_{}_{}", port.port, protocol(port).to_uppercase());
        all.push((prefix.clone(), url(address, port)));
        all.push((format!("{prefix}_PROTO"), protocol(port).to_lowercase()));
        all.push((format!("{prefix}_PORT"), port.port.to_string()));
        all.push((format!("{prefix}_ADDR"), address.to_owned()));
    }
    all
}

fn variable(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

fn protocol(port: &ServicePort) -> &str {
    port.protocol.as_deref().filter(|protocol| !protocol.is_empty()).unwrap_or(USUAL_PROTOCOL)
}

fn url(address: &str, port: &ServicePort) -> String {
    let protocol = protocol(port).to_lowercase();
    match address.contains(':') {
        true => format!("{protocol}://[{address}]:{}", port.port),
        false => format!("{protocol}://{address}:{}", port.port),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(namespace: &str, name: &str, spec: Value) -> Service {
        let service = json!({"metadata": {"namespace": namespace, "name": name}, "spec": spec});
        serde_json::from_value(service).unwrap()
    }

    fn told(services: &[Service]) -> Vec<String> {
        let mut all: Vec<String> =
            variables(services, "shop").into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        all.sort_unstable();
        all
    }

    /// The example of the documentation, to the letter.
    #[test]
    fn a_service_is_told_as_kubernetes_says() {
        let redis = service(
            "shop",
            "redis-primary",
            json!({"clusterIP": "10.0.0.11", "ports": [{"port": 6379, "protocol": "TCP"}]}),
        );
        assert_eq!(
            told(&[redis]),
            [
                "REDIS_PRIMARY_PORT=tcp://10.0.0.11:6379",
                "REDIS_PRIMARY_PORT_6379_TCP=tcp://10.0.0.11:6379",
                "REDIS_PRIMARY_PORT_6379_TCP_ADDR=10.0.0.11",
                "REDIS_PRIMARY_PORT_6379_TCP_PORT=6379",
                "REDIS_PRIMARY_PORT_6379_TCP_PROTO=tcp",
                "REDIS_PRIMARY_SERVICE_HOST=10.0.0.11",
                "REDIS_PRIMARY_SERVICE_PORT=6379",
            ]
        );
    }

    #[test]
    fn every_port_is_told_and_the_first_is_the_services_own() {
        let ports = json!([{"name": "dns-tcp", "port": 53}, {"name": "dns", "port": 53, "protocol": "UDP"}]);
        let dns = service("shop", "dns", json!({"clusterIP": "fd00::a", "ports": ports}));
        let all = told(&[dns]);
        for one in [
            "DNS_SERVICE_PORT=53",
            "DNS_SERVICE_PORT_DNS=53",
            "DNS_SERVICE_PORT_DNS_TCP=53",
            "DNS_PORT=tcp://[fd00::a]:53",
            "DNS_PORT_53_TCP=tcp://[fd00::a]:53",
            "DNS_PORT_53_UDP=udp://[fd00::a]:53",
            "DNS_PORT_53_UDP_PROTO=udp",
        ] {
            assert!(all.iter().any(|told| told == one), "{one} in {all:#?}");
        }
    }

    #[test]
    fn of_services_without_an_address_nothing_is_told() {
        let headless = service("shop", "db", json!({"clusterIP": "None", "ports": [{"port": 5432}]}));
        let outside = service("shop", "mail", json!({"type": "ExternalName", "externalName": "example.com"}));
        assert_eq!(told(&[headless, outside]), [""; 0]);
    }

    #[test]
    fn a_service_of_the_pods_own_namespace_comes_first() {
        let of = |namespace: &str, address: &str| {
            service(namespace, "kubernetes", json!({"clusterIP": address, "ports": [{"port": 443}]}))
        };
        let own_first = [of("shop", "10.0.0.2"), of("default", "10.0.0.1")];
        let own_last = [of("default", "10.0.0.1"), of("shop", "10.0.0.2")];
        for services in [own_first, own_last] {
            assert!(told(&services).contains(&"KUBERNETES_SERVICE_HOST=10.0.0.2".to_owned()));
        }
        let other = [of("default", "10.0.0.1")];
        assert!(told(&other).contains(&"KUBERNETES_SERVICE_HOST=10.0.0.1".to_owned()));
    }
}
