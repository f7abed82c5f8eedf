//! This CloudCore among its replicas.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use chassis::admin::Board;
use chassis::host;
use chassis::metrics::SharedRegistry;
use chassis::module::Module as _;
use proto::config::cloudcore::CloudHub;

use super::Builder;
use super::api::Api;
use crate::args::Pod;
use crate::claiming;
use crate::flow::{Claims, Holders, Leadership, LeadershipWriter, Served, Serving, Tenure, Us};
use crate::replicas::{self, Replicas, fitting};

/// What the parts of CloudCore have of it.
pub(super) struct Among {
    pub(super) claims: Claims,
    /// Whom to ask where a node is.
    pub(super) holders: Holders,
    pub(super) tenure: Tenure,
    pub(super) leadership: Leadership,
    pub(super) serving: Serving,
    /// That the last node is gone.
    pub(super) served: Served,
    pub(super) claiming: claiming::Metrics,
    metrics: replicas::Metrics,
    /// For the module itself, once.
    own: Option<LeadershipWriter>,
    forwarding: Arc<str>,
}

impl Among {
    pub(super) fn new(hub: &CloudHub, pod: Pod, registry: &SharedRegistry) -> Self {
        let address: Arc<str> = hub.advertise_address.first().map(String::as_str).unwrap_or_default().into();
        let host = pod.ip.map_or_else(|| address.to_string(), |ip| ip.to_string());
        let (claims, holders) = Claims::new(Us { name: name(hub, pod.name).into(), address });
        let (writer, leadership) = Leadership::new();
        let (serving, served) = Serving::new();
        Self {
            claims,
            holders,
            tenure: Tenure::new(),
            leadership,
            serving,
            served,
            claiming: registry.register(claiming::Metrics::register),
            metrics: registry.register(replicas::Metrics::register),
            own: Some(writer),
            forwarding: host_and_port(&host, hub.forwarding.port).into(),
        }
    }
}

impl Builder {
    pub(super) fn start_replicas(&mut self, api: &Api) {
        let Some(leadership) = self.among.own.take() else { return };
        let board = Board::default();
        self.debug.show(Replicas::NAME, board.clone());
        self.supervisor.start(Replicas {
            client: api.client.clone(),
            clock: self.clock.clone(),
            rng: self.rng.clone(),
            forwarding: self.among.forwarding.clone(),
            claims: self.among.claims.clone(),
            tenure: self.among.tenure.clone(),
            leadership,
            served: self.among.served.clone(),
            metrics: self.among.metrics.clone(),
            board,
            ready: self.readiness.register(Replicas::NAME),
        });
    }
}

/// Two of one machine have ports of their own.
fn name(hub: &CloudHub, pod: Option<String>) -> String {
    if !hub.replica_name.is_empty() {
        return hub.replica_name.clone();
    }
    let of_the_machine = || format!("{}-{}", host::host_name(), hub.websocket.port);
    fitting(&pod.filter(|name| !name.is_empty()).unwrap_or_else(of_the_machine))
}

fn host_and_port(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, port).to_string(),
        Err(_) => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_a_replica_then_its_pod_then_its_machine() {
        let mut hub = CloudHub::default();
        let pod = || Some("cloudcore-7d9f".to_owned());
        assert_eq!(name(&hub, pod()), "cloudcore-7d9f");
        assert!(name(&hub, None).ends_with("-10000"));
        assert!(name(&hub, Some(String::new())).ends_with("-10000"));
        hub.replica_name = "a".to_owned();
        assert_eq!(name(&hub, pod()), "a");
    }

    #[test]
    fn others_forward_to_the_address_of_the_pod_or_that_of_nodes() {
        let registry = SharedRegistry::new();
        let hub = CloudHub { advertise_address: vec!["10.0.0.1".to_owned()], ..CloudHub::default() };
        assert_eq!(&*Among::new(&hub, Pod::default(), &registry).forwarding, "10.0.0.1:10006");
        let pod = Pod { name: None, ip: Some("fd00::1".parse().unwrap()) };
        let among = Among::new(&hub, pod, &SharedRegistry::new());
        assert_eq!((&*among.forwarding, &*among.claims.us().address), ("[fd00::1]:10006", "10.0.0.1"));
    }
}
