//! The configurations against each other, over memory pipes.

use std::io;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use rcgen::SanType;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::ca::Ca;
use crate::san::SanList;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const PIPE: usize = 64 * 1024;

fn now() -> Timestamp {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_second(since.as_secs().try_into().unwrap()).unwrap()
}

fn ca() -> Ca {
    Ca::generate(now()).unwrap()
}

fn server(ca: &Ca) -> TlsIdentity {
    ca.issue_server(&SanList::new(["10.0.0.1", "cloud.example"]), now()).unwrap()
}

fn node(ca: &Ca) -> TlsIdentity {
    ca.issue_client("system:node:a", "system:nodes", HOUR, now()).unwrap()
}

/// One byte there, the number of client certificates back.
async fn exchange(server: ServerConfig, client: ClientConfig, name: &str) -> io::Result<u8> {
    let (near, far) = tokio::io::duplex(PIPE);
    let serve = async {
        let mut stream = TlsAcceptor::from(Arc::new(server)).accept(far).await?;
        let certificates = stream.get_ref().1.peer_certificates().map_or(0, <[_]>::len);
        stream.read_u8().await?;
        stream.write_u8(certificates.try_into().unwrap()).await?;
        stream.shutdown().await
    };
    let ask = async {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut stream = TlsConnector::from(Arc::new(client)).connect(name, near).await?;
        stream.write_u8(1).await?;
        stream.flush().await?;
        stream.read_u8().await
    };
    let (_, asked) = tokio::join!(serve, ask);
    asked
}

#[tokio::test]
async fn both_sides_are_verified_on_the_channel() {
    let ca = ca();
    let required = || server_config(ca.cert_der(), &server(&ca), ClientAuth::Required).unwrap();
    let with = |identity: Option<&TlsIdentity>| client_config(ca.cert_der(), identity).unwrap();

    assert_eq!(exchange(required(), with(Some(&node(&ca))), "10.0.0.1").await.unwrap(), 1);
    assert!(exchange(required(), with(None), "10.0.0.1").await.is_err(), "no certificate");
    let stranger = node(&self::ca());
    assert!(exchange(required(), with(Some(&stranger)), "10.0.0.1").await.is_err(), "of another CA");
    let expired = ca.issue_client("system:node:a", "system:nodes", -HOUR / 2, now()).unwrap();
    assert!(exchange(required(), with(Some(&expired)), "10.0.0.1").await.is_err(), "expired");
    let server_as_client = server(&ca);
    assert!(exchange(required(), with(Some(&server_as_client)), "10.0.0.1").await.is_err(), "wrong usage");
}

/// Were it resumed, a certificate that has run out since the first connection would not be looked at again.
#[tokio::test]
async fn no_session_is_resumed() {
    let ca = ca();
    for clients in [ClientAuth::Required, ClientAuth::Optional] {
        let server =
            TlsAcceptor::from(Arc::new(server_config(ca.cert_der(), &server(&ca), clients).unwrap()));
        for client in [client_config(ca.cert_der(), Some(&node(&ca))).unwrap(), only_tls12(&ca, &node(&ca))] {
            let client = TlsConnector::from(Arc::new(client));
            for _ in 0..3 {
                let (near, far) = tokio::io::duplex(PIPE);
                let name = ServerName::try_from("10.0.0.1").unwrap();
                let (served, asked) = tokio::join!(server.accept(far), client.connect(name, near));
                let (mut served, mut asked) = (served.unwrap(), asked.unwrap());
                // Tickets come after the handshake.
                served.write_u8(1).await.unwrap();
                served.flush().await.unwrap();
                assert_eq!(asked.read_u8().await.unwrap(), 1);
                assert_eq!(asked.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Full));
            }
        }
    }
}

fn only_tls12(ca: &Ca, identity: &TlsIdentity) -> ClientConfig {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(ca.cert_der()).unwrap(), provider());
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_webpki_verifier(verifier.build().unwrap())
        .with_client_auth_cert(chain(identity), identity.key.to_rustls())
        .unwrap()
}

#[tokio::test]
async fn an_optional_certificate_is_verified_if_there_is_one() {
    let ca = ca();
    let optional = || server_config(ca.cert_der(), &server(&ca), ClientAuth::Optional).unwrap();
    let with = |identity: Option<&TlsIdentity>| client_config(ca.cert_der(), identity).unwrap();
    assert_eq!(exchange(optional(), with(None), "cloud.example").await.unwrap(), 0);
    assert_eq!(exchange(optional(), with(Some(&node(&ca))), "cloud.example").await.unwrap(), 1);
    let stranger = node(&self::ca());
    assert!(exchange(optional(), with(Some(&stranger)), "cloud.example").await.is_err());
}

#[tokio::test]
async fn the_client_verifies_name_and_authority_unless_it_only_fetches_the_ca() {
    let (ca, other) = (ca(), ca());
    let optional = || server_config(ca.cert_der(), &server(&ca), ClientAuth::Optional).unwrap();
    let trusting = |ca: &Ca| client_config(ca.cert_der(), None).unwrap();
    assert!(exchange(optional(), trusting(&ca), "other.example").await.is_err());
    assert!(exchange(optional(), trusting(&other), "cloud.example").await.is_err());
    let any = unverified_client_config().unwrap();
    assert_eq!(exchange(optional(), any, "other.example").await.unwrap(), 0);
}

/// A stock CloudCore with the default `dnsNames: [""]` has an empty dNSName in its certificate; a Skerry edge must be able to
/// connect to it all the same.
#[tokio::test]
async fn a_stock_server_certificate_with_an_empty_dns_name_is_accepted() {
    let ca = ca();
    let key = PrivateKey::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    let address: IpAddr = "10.0.0.1".parse().unwrap();
    params.subject_alt_names = vec![SanType::DnsName("".try_into().unwrap()), SanType::IpAddress(address)];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let issuer = rcgen::Issuer::from_ca_cert_der(ca.cert_der(), ca.key().clone()).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let stock = TlsIdentity::new(certificate.der().clone(), key);
    let config = server_config(ca.cert_der(), &stock, ClientAuth::Optional).unwrap();
    let client = client_config(ca.cert_der(), None).unwrap();
    assert_eq!(exchange(config, client, "10.0.0.1").await.unwrap(), 0);
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let ca = ca();
    let mixed = TlsIdentity::new(server(&ca).certificate().clone(), PrivateKey::generate().unwrap());
    assert!(matches!(server_config(ca.cert_der(), &mixed, ClientAuth::Required), Err(TlsError::Identity(_))));
    assert!(matches!(client_config(&CertificateDer::from(b"x".to_vec()), None), Err(TlsError::Root(_))));
}
