//! Name resolution inside pods:
//! <https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/>.

use std::net::IpAddr;

use k8s_cri::v1::DnsConfig;
use k8s_openapi::api::core::v1::{Pod, PodSpec};

use super::state::uses_host_network;

/// Most name servers that the C library looks at; Kubernetes refuses more.
const MAX_SERVERS: usize = 3;
/// Most search domains that Kubernetes lets through.
const MAX_SEARCHES: usize = 32;

/// The node's part of name resolution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsSettings {
    /// `clusterDNS`; empty when the node has no cluster DNS.
    pub servers: Vec<IpAddr>,
    /// `clusterDomain`
    pub domain: String,
}

/// What `/etc/resolv.conf` of the node (or the file that `resolvConf` names) says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostResolver {
    servers: Vec<String>,
    searches: Vec<String>,
    options: Vec<String>,
}

/// Where a pod's names are resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct PodDns {
    /// For CRI.
    pub config: DnsConfig,
    /// The pod asks for the cluster's DNS, which this node does not have, so it gets the node's.
    pub cluster_dns_missing: bool,
}

impl HostResolver {
    /// Reads the text of a `resolv.conf` (man 5 resolv.conf); what is not understood is skipped.
    pub fn parse(text: &str) -> Self {
        let mut host = Self::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace().map(str::to_owned);
            match words.next().as_deref() {
                Some("nameserver") => host.servers.extend(words.next()),
                // The last line of either kind counts.
                Some("search" | "domain") => host.searches = words.filter(|word| word != ".").collect(),
                Some("options") => host.options = words.collect(),
                _ => {}
            }
        }
        host
    }
}

/// Puts together what `pod` is to use, from its policy, the node's settings and the node's own resolver.
pub fn pod_dns(pod: &Pod, settings: &DnsSettings, host: &HostResolver) -> PodDns {
    let Some(spec) = &pod.spec else { return PodDns { config: from_host(host), cluster_dns_missing: false } };
    let wants_cluster = wants_cluster_dns(spec);
    let cluster_dns_missing = wants_cluster && settings.servers.is_empty();
    let mut config = match spec.dns_policy.as_deref() {
        Some("None") => DnsConfig::default(),
        _ if wants_cluster && !cluster_dns_missing => {
            from_cluster(pod.metadata.namespace.as_deref().unwrap_or_default(), settings, host)
        }
        _ => from_host(host),
    };
    add_own(&mut config, spec);
    config.servers.truncate(MAX_SERVERS);
    config.searches.truncate(MAX_SEARCHES);
    PodDns { config, cluster_dns_missing }
}

fn wants_cluster_dns(spec: &PodSpec) -> bool {
    match spec.dns_policy.as_deref() {
        None | Some("ClusterFirst") => !uses_host_network(spec),
        Some("ClusterFirstWithHostNet") => true,
        Some(_) => false,
    }
}

fn from_host(host: &HostResolver) -> DnsConfig {
    DnsConfig {
        servers: host.servers.clone(),
        searches: host.searches.clone(),
        options: host.options.clone(),
    }
}

fn from_cluster(namespace: &str, settings: &DnsSettings, host: &HostResolver) -> DnsConfig {
    let mut searches = Vec::new();
    if !settings.domain.is_empty() {
        let domain = &settings.domain;
        searches = vec![format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.clone()];
    }
    add_new(&mut searches, &host.searches);
    DnsConfig {
        servers: settings.servers.iter().map(IpAddr::to_string).collect(),
        searches,
        // So that `service.namespace.svc` is tried in the search domains first.
        options: vec!["ndots:5".to_owned()],
    }
}

/// `spec.dnsConfig` comes after what the policy gives; its options replace those of the same name.
fn add_own(config: &mut DnsConfig, spec: &PodSpec) {
    let Some(own) = &spec.dns_config else { return };
    add_new(&mut config.servers, own.nameservers.iter().flatten());
    add_new(&mut config.searches, own.searches.iter().flatten());
    for option in own.options.iter().flatten() {
        let Some(name) = &option.name else { continue };
        config.options.retain(|known| known.split(':').next() != Some(name.as_str()));
        config.options.push(match &option.value {
            Some(value) => format!("{name}:{value}"),
            None => name.clone(),
        });
    }
}

fn add_new<'a>(list: &mut Vec<String>, more: impl IntoIterator<Item = &'a String>) {
    for item in more {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dns(spec: serde_json::Value, servers: &[&str]) -> PodDns {
        let pod = json!({"metadata": {"namespace": "shop"}, "spec": spec});
        let settings = DnsSettings {
            servers: servers.iter().map(|server| server.parse().unwrap()).collect(),
            domain: "cluster.local".to_owned(),
        };
        let host =
            HostResolver::parse("# x\nnameserver 192.0.2.1 ; y\nsearch site.example .\noptions timeout:1\n");
        pod_dns(&serde_json::from_value(pod).unwrap(), &settings, &host)
    }

    #[test]
    fn cluster_first_is_the_default() {
        let dns = dns(json!({"containers": []}), &["10.0.0.10"]);
        assert!(!dns.cluster_dns_missing);
        assert_eq!(dns.config.servers, ["10.0.0.10"]);
        let expected = ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local", "site.example"];
        assert_eq!(dns.config.searches, expected);
        assert_eq!(dns.config.options, ["ndots:5"]);
    }

    #[test]
    fn without_cluster_dns_the_nodes_is_used_and_that_is_told() {
        let dns = dns(json!({"containers": []}), &[]);
        assert!(dns.cluster_dns_missing);
        assert_eq!(
            (&dns.config.servers[0], &dns.config.options[0]),
            (&"192.0.2.1".into(), &"timeout:1".into())
        );
    }

    #[test]
    fn on_the_nodes_network_the_nodes_resolver_is_used() {
        let spec = json!({"containers": [], "hostNetwork": true, "dnsPolicy": "ClusterFirst"});
        let dns = dns(spec, &["10.0.0.10"]);
        assert_eq!(dns.config.servers, ["192.0.2.1"]);
        assert!(!dns.cluster_dns_missing);
    }

    #[test]
    fn own_settings_are_added_and_win() {
        let spec = json!({"containers": [], "dnsPolicy": "None", "dnsConfig": {
            "nameservers": ["192.0.2.7"], "searches": ["a.example"],
            "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}});
        let dns = dns(spec, &["10.0.0.10"]);
        assert_eq!(dns.config.servers, ["192.0.2.7"]);
        assert_eq!(dns.config.options, ["ndots:2", "edns0"]);
    }
}
