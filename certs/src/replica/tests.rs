//! Replicas and others against each other, over memory pipes.

use std::io;

use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::ca::Ca;
use crate::san::SanList;
use crate::tls::{ClientAuth, client_config, server_config};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const PIPE: usize = 64 * 1024;

fn now() -> Timestamp {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_second(since.as_secs().try_into().unwrap()).unwrap()
}

fn replica(ca: &Ca) -> TlsIdentity {
    ca.issue_replica("one", &SanList::new(["10.0.0.1"]), HOUR, now()).unwrap()
}

fn node(ca: &Ca) -> TlsIdentity {
    ca.issue_client("system:node:a", "system:nodes", HOUR, now()).unwrap()
}

fn hub(ca: &Ca) -> TlsIdentity {
    // One whose names an operator has chosen badly.
    ca.issue_server(&SanList::new(["10.0.0.1", REPLICA_SERVER_NAME]), now()).unwrap()
}

/// The name in the certificate of whom the server let in, as the client hears it.
async fn exchange(server: ServerConfig, client: ClientConfig) -> io::Result<String> {
    let (near, far) = tokio::io::duplex(PIPE);
    let serve = async {
        let mut stream = TlsAcceptor::from(Arc::new(server)).accept(far).await?;
        let peer = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(|chain| CertificateInfo::from_der(&chain[0]).ok());
        let name = peer.and_then(|peer| peer.common_name).unwrap_or_default();
        stream.write_all(name.as_bytes()).await?;
        stream.shutdown().await
    };
    let ask = async {
        // Not a name of any certificate.
        let name = ServerName::try_from("10.9.9.9").unwrap();
        let mut stream = TlsConnector::from(Arc::new(client)).connect(name, near).await?;
        let mut name = String::new();
        stream.read_to_string(&mut name).await?;
        Ok(name)
    };
    let (served, asked) = tokio::join!(serve, ask);
    served.and(asked)
}

#[tokio::test]
async fn replicas_talk_to_each_other_whatever_the_address() {
    let ca = Ca::generate(now()).unwrap();
    let server = replica_server_config(ca.cert_der(), &replica(&ca)).unwrap();
    let client = replica_client_config(ca.cert_der(), &replica(&ca)).unwrap();
    assert_eq!(exchange(server, client).await.unwrap(), "skerry:replica:one");
    assert_eq!(replica_of(replica(&ca).certificate()).as_deref(), Some("one"));
    let without_address = ca.issue_replica("two", &SanList::default(), HOUR, now()).unwrap();
    assert_eq!(replica_of(without_address.certificate()).as_deref(), Some("two"));
}

#[tokio::test]
async fn nobody_else_is_let_in() {
    let ca = Ca::generate(now()).unwrap();
    let refused = async |client: &TlsIdentity, who: &str| {
        let server = replica_server_config(ca.cert_der(), &replica(&ca)).unwrap();
        let client = replica_client_config(ca.cert_der(), client).unwrap();
        assert!(exchange(server, client).await.is_err(), "{who}");
    };
    refused(&node(&ca), "a node").await;
    refused(&hub(&ca), "the hub").await;
    refused(&replica(&Ca::generate(now()).unwrap()), "a replica of another CA").await;
    let expired = ca.issue_replica("one", &SanList::default(), -HOUR / 30, now()).unwrap();
    refused(&expired, "one whose time is over").await;
    let claims = ca.issue_client("skerry:replica:one", "system:nodes", HOUR, now()).unwrap();
    refused(&claims, "a node of that name").await;
    let nameless = ca.issue_client("skerry:replica:", REPLICA_ORGANIZATION, HOUR, now()).unwrap();
    refused(&nameless, "one without a name").await;

    let server = replica_server_config(ca.cert_der(), &replica(&ca)).unwrap();
    let anonymous = client_config(ca.cert_der(), None).unwrap();
    assert!(exchange(server, anonymous).await.is_err(), "nobody");
}

#[tokio::test]
async fn nobody_else_is_talked_to() {
    let ca = Ca::generate(now()).unwrap();
    let refused = async |server: &TlsIdentity, who: &str| {
        let mut server = server_config(ca.cert_der(), server, ClientAuth::Required).unwrap();
        server.alpn_protocols = vec![ALPN.to_vec()];
        let client = replica_client_config(ca.cert_der(), &replica(&ca)).unwrap();
        assert!(exchange(server, client).await.is_err(), "{who}");
    };
    refused(&hub(&ca), "the hub").await;
    refused(&node(&ca), "a node").await;
    let expired = ca.issue_replica("one", &SanList::default(), -HOUR / 30, now()).unwrap();
    refused(&expired, "one whose time is over").await;
}

/// The nodes' ports let in whoever the CA has signed, and go by the name.
#[test]
fn a_replica_is_no_node() {
    let ca = Ca::generate(now()).unwrap();
    let info = CertificateInfo::from_der(replica(&ca).certificate()).unwrap();
    assert!(info.node().is_err());
    assert!(!info.common_name.unwrap().starts_with(crate::identity::NODE_COMMON_NAME_PREFIX));
    assert_eq!(replica_of(node(&ca).certificate()), None);
    assert_eq!(replica_of(hub(&ca).certificate()), None);
}
