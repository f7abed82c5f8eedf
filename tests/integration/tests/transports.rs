//! Which way real daemons find to each other.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::net::UdpSocket;

use integration::daemons::{Cloud, SOON, start, state};
use integration::ports;
use integration::wait::until;
use proto::config::cloudcore::CloudCore;
use proto::config::edgecore::EdgeCore;

/// The cloud listens on both transports; QUIC at this UDP port.
fn with_quic(port: u16) -> impl FnOnce(&mut CloudCore) {
    move |config| {
        let quic = &mut config.modules.cloud_hub.quic;
        (quic.enable, quic.address, quic.port) = (true, "127.0.0.1".to_owned(), port);
    }
}

/// A node that may take either way, and prefers QUIC.
fn edge(cloud: &Cloud, quic: u16) -> EdgeCore {
    let mut config = cloud.edge("edge-1");
    let hub = &mut config.modules.edge_hub;
    (hub.quic.enable, hub.quic.server) = (true, format!("127.0.0.1:{quic}"));
    config
}

/// Waits until the node is connected in this way and registered.
async fn connected(cloud: &Cloud, config: &EdgeCore, way: &str) {
    let admin = &config.common_config.monitor_server.bind_address;
    until("the node is connected", SOON, || async {
        let shown = state(admin).await?["edgehub"]["cloud"]["state"].to_string();
        anyhow::ensure!(shown.contains(&format!("by {way}")), "{shown}");
        cloud.kubectl.run(&["get", "node", "edge-1"]).await
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn quic_is_taken_where_both_have_it() {
    let [quic] = ports::free().unwrap();
    let cloud = Cloud::start_with(with_quic(quic)).await;
    let config = edge(&cloud, quic);
    let _edge = start("edgecore", &config, &cloud.dir.path().join("edge-1"));
    connected(&cloud, &config, "quic").await;
    let hub = state(&cloud.admin).await.unwrap()["cloudhub"]["edge-1"].clone();
    assert_eq!(hub["dialect"], "native");
}

#[tokio::test]
async fn where_udp_is_blocked_websocket_is_taken() {
    let cloud = Cloud::start().await;
    // Whatever is sent to this port vanishes, as behind a firewall.
    let wall = UdpSocket::bind("127.0.0.1:0").unwrap();
    let config = edge(&cloud, wall.local_addr().unwrap().port());
    let _edge = start("edgecore", &config, &cloud.dir.path().join("edge-1"));
    connected(&cloud, &config, "websocket").await;
}
