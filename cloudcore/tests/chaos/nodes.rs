//! Nodes: each joins with the token that there is, at one CloudCore, and connects to others, with real TLS on a line in memory.

use std::sync::Arc;

use anyhow::Context as _;
use certs::authority::current_token;
use certs::tls::{ClientAuth, client_config, server_config};
use certs::token::verify_bearer;
use certs::{CertificateInfo, NodeIdentity, PrivateKey, TlsIdentity, csr};
use chassis::clock::Clock;
use chassis::rng::Rng;
use cloudcore::cloudhub::secrets::KubeSecrets;
use jiff::SignedDuration;
use kube::Client;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::replica::Started;

/// The default of `modules.cloudHub.edgeCertSigningDuration`.
const LIFETIME: SignedDuration = SignedDuration::from_hours(365 * 24);
/// CloudCores that each node connects to.
const CONNECTIONS: usize = 3;

/// As many nodes as there are CloudCores.
pub(crate) async fn join_and_connect(
    clouds: &[Started],
    calm: &Client,
    clock: &Clock,
    rng: &Rng,
) -> anyhow::Result<()> {
    let token = current_token(&KubeSecrets::new(calm.clone())).await?.context("there is no token")?;
    for (number, asked) in clouds.iter().enumerate() {
        // What a node does with the answer to `/ca.crt`, and the cloud with the one's to `/edge.crt`.
        let name = format!("edge-{number}");
        let ca = asked.authority.ca.cert_der();
        token.check_ca(ca).with_context(|| format!("{name}: the CA of {}", asked.address))?;
        verify_bearer(token.bearer(), &asked.authority.ca, clock.now())
            .with_context(|| format!("{name}: {} refuses the token", asked.address))?;
        let key = PrivateKey::generate()?;
        let request = csr::request(&NodeIdentity::new(&name)?, &key)?;
        let signed = asked.authority.ca.sign_node_csr(&request, &name, LIFETIME, clock.now())?;
        let identity = TlsIdentity::new(signed, key);
        for cloud in (0..CONNECTIONS).map(|_| &clouds[rng.below(clouds.len())]).chain([asked]) {
            let who = connect(cloud, ca, &identity).await;
            let who = who.with_context(|| {
                format!("{name}, which has joined at {}, connects to {}", asked.address, cloud.address)
            })?;
            anyhow::ensure!(who == name, "{name} is {who} for {}", cloud.address);
        }
    }
    Ok(())
}

/// Both sides verify each other, and a byte goes there and back. Who the node is for the cloud.
async fn connect(
    cloud: &Started,
    ca: &rustls_pki_types::CertificateDer<'static>,
    identity: &TlsIdentity,
) -> anyhow::Result<String> {
    let server = server_config(cloud.authority.ca.cert_der(), &cloud.authority.server, ClientAuth::Required)?;
    let (acceptor, connector) = (
        TlsAcceptor::from(Arc::new(server)),
        TlsConnector::from(Arc::new(client_config(ca, Some(identity))?)),
    );
    let (near, far) = tokio::io::duplex(16 << 10);
    let address = ServerName::try_from(cloud.address.clone())?;
    let node = async {
        let mut stream = connector.connect(address, near).await?;
        stream.write_all(b"?").await?;
        stream.read_u8().await
    };
    let hub = async {
        let mut stream = acceptor.accept(far).await?;
        stream.read_u8().await?;
        stream.write_all(b"!").await?;
        stream.flush().await?;
        let peer = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
        std::io::Result::Ok((peer, stream))
    };
    let (answer, seen) = tokio::join!(node, hub);
    anyhow::ensure!(answer? == b'!');
    let (peer, _stream) = seen?;
    let info = CertificateInfo::from_der(&peer.context("the node has shown no certificate")?)?;
    Ok(info.node()?.node_name().to_owned())
}
