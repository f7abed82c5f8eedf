//! Wrong input to the real binaries: what the operator reads, and that nobody else is disturbed.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use bytes::Bytes;
use chassis::clock::Clock;
use chassis::link::websocket::{ClientTls, WebSocketDialer, WebSocketLimits};
use chassis::link::{Dialer as _, Frame, Link, LinkError};
use chassis::rng::Rng;
use edgecore::edgehub::bootstrap::load_or_join;
use edgecore::settings::TransportSettings;
use http::HeaderValue;
use integration::daemons::{Cloud, SOON, command, start, write};
use integration::site::get;
use integration::wait::until;
use proto::config::Sensitive;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

/// `EX_USAGE` of sysexits.h, after which systemd does not start a unit again.
const BAD_CONFIG: i32 = 64;

/// What a binary that must end by itself says with this configuration.
async fn ends(name: &str, config: &Path) -> Output {
    let command = tokio::process::Command::from(command(name, config)).kill_on_drop(true).output();
    tokio::time::timeout(SOON, command).await.expect("it goes on").unwrap()
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The link of a node that has joined as `node` and then says that it is `claims`.
async fn link(cloud: &Cloud, node: &str, claims: &'static str) -> Result<Link, LinkError> {
    let file = write(&cloud.edge(node), &cloud.dir.path().join(node));
    let link = edgecore::settings::load(&file).unwrap().link;
    let joined = load_or_join(&link.bootstrap, &Clock::system(), &Rng::seeded(1)).await.unwrap();
    let tls = Arc::new(certs::tls::client_config(&joined.ca, Some(&joined.identity)).unwrap());
    let tls: ClientTls = Arc::new(move || tls.clone());
    let first = link.ways.into_iter().next().unwrap().transport;
    let TransportSettings::WebSocket { url, mut headers, limits } = first else {
        panic!("the default is WebSocket alone")
    };
    headers.insert("node_id", HeaderValue::from_static(claims));
    let limits = WebSocketLimits { max_message: usize::MAX, ..limits };
    WebSocketDialer::new(&url, headers, tls, limits)?.dial().await
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_file_is_said_at_once_and_where() {
    let dir = TempDir::new().unwrap();
    let cases = [
        (
            "edgecore",
            "modules:\n  edgeHub:\n    hartbeat: 15\n    token: not-a-token\n    websocket:\n      handshakeTimeout: soon\n  edged: {hostnameOverride: Not_A_Name}\n",
            &["modules.edgeHub.hartbeat", "heartbeat", "modules.edgeHub.websocket.handshakeTimeout"][..],
        ),
        ("edgecore", "modules: {edgeHub: {token: not-a-token}}", &["modules.edgeHub.token"]),
        (
            "cloudcore",
            "modules:\n  cloudHub:\n    nodeLimits: 3\n    websocket: {port: many}\nkubeAPIConfig: [1]\n",
            &["modules.cloudHub.nodeLimits", "nodeLimit", "modules.cloudHub.websocket.port", "kubeAPIConfig"],
        ),
        ("cloudcore", "modules: {cloudHub: {", &["line 1"]),
    ];
    for (name, yaml, parts) in cases {
        let file = dir.path().join("config.yaml");
        std::fs::write(&file, yaml).unwrap();
        let output = ends(name, &file).await;
        let said = complaint(&output);
        assert_eq!(output.status.code(), Some(BAD_CONFIG), "{said}");
        for part in parts.iter().copied().chain([file.to_str().unwrap()]) {
            assert!(said.contains(part), "no {part} in: {said}");
        }
    }
    let missing = dir.path().join("missing.yaml");
    let output = ends("edgecore", &missing).await;
    assert!(complaint(&output).contains(missing.to_str().unwrap()));
}

#[tokio::test]
async fn a_token_that_does_not_fit_ends_the_node_with_what_to_do() {
    let cloud = Cloud::start().await;
    let (hash, jwt) = cloud.token.split_once('.').unwrap();
    let other_ca = format!("{}.{jwt}", "0".repeat(hash.len()));
    // The last characters of a signature are not all significant; one in its middle is.
    let at = cloud.token.len() - 20;
    let swapped = if cloud.token.as_bytes()[at] == b'A' { "B" } else { "A" };
    let forged = format!("{}{swapped}{}", &cloud.token[..at], &cloud.token[at + 1..]);
    let url = format!("https://127.0.0.1:{}", cloud.https);
    for (token, parts) in [
        (String::new(), [cloud.dir.path().to_str().unwrap(), "no join token"]),
        (other_ca, [url.as_str(), "is for a CA"]),
        (forged, [url.as_str(), "401"]),
    ] {
        let mut config = cloud.edge("edge-1");
        config.modules.edge_hub.token = Sensitive(token);
        let output = ends("edgecore", &write(&config, &cloud.dir.path().join("edge-1"))).await;
        let said = complaint(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for part in parts {
            assert!(said.contains(part), "no {part} in: {said}");
        }
        assert!(!said.contains(jwt), "the token is in the log");
    }
    cloud.logs(&["401", "edge-1"]).await;
}

#[tokio::test]
async fn hostile_connections_are_cut_and_a_node_without_a_runtime_says_so() {
    let cloud = Cloud::start().await;
    // A node whose container runtime is not there registers all the same, and says what is missing.
    let config = cloud.edge("edge-1");
    let mut edge = start("edgecore", &config, &cloud.dir.path().join("edge-1"));
    let endpoint = config.modules.edged.tailored_kubelet_config.container_runtime_endpoint.clone();
    let ready = "{.status.conditions[?(@.type==\"Ready\")]}";
    until("the node says that it has no runtime", SOON, || async {
        let condition = cloud.kubectl.value("node/edge-1", ready).await?;
        let is_said = condition.contains("\"False\"") && condition.contains(&endpoint);
        anyhow::ensure!(is_said, "{condition}");
        Ok(())
    })
    .await
    .unwrap();

    let refusal = link(&cloud, "edge-2", "edge-1").await.unwrap_err().explained();
    for part in ["403", "edge-1", "edge-2"] {
        assert!(refusal.contains(part), "no {part} in: {refusal}");
    }
    cloud.logs(&["turned away", "edge-1", "edge-2"]).await;

    let deep = [br#"{"header":{},"route":{},"content":"#.as_slice(), &b"[".repeat(100_000)].concat();
    let large = Bytes::from(vec![b' '; 100 << 20]);
    let garbage = [("garbage", Bytes::from_static(b"garbage")), ("deep", deep.into()), ("large", large)];
    for (what, text) in garbage {
        let mut link = link(&cloud, "edge-3", "edge-3").await.unwrap();
        // Of the large one only a part is taken.
        drop(link.tx.send(Frame::Text(text)).await);
        let end = tokio::time::timeout(SOON, async { while let Ok(Some(_)) = link.rx.recv().await {} });
        end.await.unwrap_or_else(|_| panic!("the connection stays open after {what}"));
        cloud.logs(&["edge-3", "session ended"]).await;
    }
    cloud.logs(&["edge-3", "larger than"]).await;
    cloud.logs(&["edge-3", "nest"]).await;

    // The node in between has seen nothing of all that.
    edge.still_runs().unwrap();
    let output = edge.output().unwrap();
    assert_eq!(output.matches("connected to CloudCore").count(), 1, "{output}");
    assert!(!output.contains("connection to CloudCore lost"), "{output}");
}

/// Any program of the machine may take a port, a pod of the node's own network for instance.
#[tokio::test]
async fn ports_that_somebody_else_has_keep_no_node_from_its_work() {
    let cloud = Cloud::start().await;
    let config = cloud.edge("edge-1");
    let admin = config.common_config.monitor_server.bind_address.clone();
    let local = format!("127.0.0.1:{}", config.modules.edged.tailored_kubelet_config.read_only_port);
    let taken = [&admin, &local].map(|address| std::net::TcpListener::bind(address).unwrap());
    let dir = cloud.dir.path().join("edge-1");
    let mut edge = start("edgecore", &config, &dir);
    until("the node", SOON, || cloud.kubectl.value("node/edge-1", "{.metadata.uid}")).await.unwrap();
    let said = edge.output().unwrap();
    for address in [&admin, &local] {
        let who = format!("(pid {}) listens there", std::process::id());
        let is_said = said.lines().any(|line| line.contains(address.as_str()) && line.contains(&who));
        assert!(is_said, "nobody says who has {address}: {said}");
    }
    drop(taken);
    for address in [&admin, &local] {
        until("an answer", SOON, || async {
            let answer = get(address, "/healthz").await?;
            anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            Ok(())
        })
        .await
        .unwrap();
    }
    // The store is what only one may have.
    let output = ends("edgecore", &write(&config, &dir)).await;
    let said = complaint(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("another EdgeCore has the store") && said.contains("edgecore.db"), "{said}");
    edge.still_runs().unwrap();
}

#[tokio::test]
async fn a_node_that_has_pods_runs_them_whatever_is_wrong_with_its_certificate() {
    let cloud = Cloud::start().await;
    let mut config = cloud.edge("edge-1");
    let dir = cloud.dir.path().join("edge-1");
    let mut edge = start("edgecore", &config, &dir);
    until("the node", SOON, || cloud.kubectl.value("node/edge-1", "{.metadata.uid}")).await.unwrap();
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: shop}, spec: {nodeName: edge-1, containers: [{name: main, image: 'none.invalid/none:1'}]}}";
    until("the pod", SOON, || cloud.kubectl.apply(pod)).await.unwrap();
    let database = config.database.data_source.clone();
    until("the node has stored the pod", SOON, || async {
        let store = Connection::open_with_flags(&database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let found: i64 =
            store.query_row("SELECT count(*) FROM objects WHERE key = 'default/pod/shop'", [], |row| {
                row.get(0)
            })?;
        anyhow::ensure!(found == 1, "no pod in {database}");
        Ok(())
    })
    .await
    .unwrap();
    edge.kill().unwrap();
    let hub = &mut config.modules.edge_hub;
    for file in [&hub.tls_ca_file, &hub.tls_cert_file, &hub.tls_private_key_file] {
        std::fs::remove_file(file).unwrap();
    }
    hub.token = Sensitive(String::new());
    let mut edge = start("edgecore", &config, &dir);
    until("what is missing is said", SOON, || async {
        let said = edge.output()?;
        anyhow::ensure!(
            said.contains("its pods run all the same") && said.contains("no join token"),
            "{said}"
        );
        Ok(())
    })
    .await
    .unwrap();
    edge.still_runs().unwrap();
}
