use proto::config::Sensitive;
use proto::config::edgecore::EdgeCore;

use crate::args::{HubProtocol, Join};
use crate::host::Look;
use crate::settings;

/// Ports that stock gives the protocol that was not chosen, and the tunnel of logs and exec.
const WEBSOCKET_PORT: u16 = 10000;
const QUIC_PORT: u16 = 10001;
const TUNNEL_PORT: u16 = 10004;

/// What the flags say, with each `--set` over it.
pub(super) fn configuration(join: &Join, host_name: &str, look: &dyn Look) -> anyhow::Result<EdgeCore> {
    let values = join.other_sets.values(&join.set, &join.values);
    settings::with_values(&from_flags(join, host_name), &values, look, |config| config.validate())
}

fn from_flags(join: &Join, host_name: &str) -> EdgeCore {
    let host = join.cloudcore.host();
    let at = |port: u16| format!("{host}:{port}");
    let mut config =
        EdgeCore { edgecore_version: env!("CARGO_PKG_VERSION").to_owned(), ..EdgeCore::default() };
    let hub = &mut config.modules.edge_hub;
    hub.token = Sensitive(join.token.expose());
    hub.http_server = format!("https://{}", at(join.certport));
    let chosen = join.cloudcore.to_string();
    let is_quic = join.hub_protocol == HubProtocol::Quic;
    hub.quic.enable = is_quic;
    hub.websocket.enable = !is_quic;
    (hub.websocket.server, hub.quic.server) =
        if is_quic { (at(WEBSOCKET_PORT), chosen) } else { (chosen, at(QUIC_PORT)) };
    config.modules.edge_stream.server = at(TUNNEL_PORT);
    let edged = &mut config.modules.edged;
    edged.hostname_override = join.node_name.clone().unwrap_or_else(|| host_name.to_lowercase());
    edged.node_labels.extend(join.labels.iter().cloned());
    let kubelet = &mut edged.tailored_kubelet_config;
    // Without the flag it is the default, until the container runtime has been asked.
    if let Some(driver) = join.cgroupdriver {
        driver.as_str().clone_into(&mut kubelet.cgroup_driver);
    }
    kubelet.container_runtime_endpoint.clone_from(&join.remote_runtime_endpoint);
    kubelet.image_service_endpoint.clone_from(&join.remote_runtime_endpoint);
    config
}
