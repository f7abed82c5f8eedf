//! kk#5691: no listener speaks anything older than TLS 1.2, nor with a cipher that is broken. All of them have their
//! configuration from [`certs::tls::server_config`].
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::sync::Arc;

use certs::tls::{ClientAuth, client_config, server_config};
use certs::{Ca, SanList};
use jiff::Timestamp;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

const TLS_1_0: u16 = 0x0301;
const TLS_1_1: u16 = 0x0302;
const TLS_1_2: u16 = 0x0303;
/// Record types and alerts of RFC 8446 sections 5.1 and 6.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const FATAL: u8 = 2;
const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;

/// SWEET32, RC4, and what has no forward secrecy or encrypts in CBC mode.
const WEAK: [u16; 9] = [
    0x000a, // TLS_RSA_WITH_3DES_EDE_CBC_SHA
    0xc008, // TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA
    0xc012, // TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA
    0x0005, // TLS_RSA_WITH_RC4_128_SHA
    0xc007, // TLS_ECDHE_ECDSA_WITH_RC4_128_SHA
    0x002f, // TLS_RSA_WITH_AES_128_CBC_SHA
    0xc009, // TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA
    0x009c, // TLS_RSA_WITH_AES_128_GCM_SHA256
    0x0000, // TLS_NULL_WITH_NULL_NULL
];
const STRONG: [u16; 1] = [0xc02b]; // TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256

fn configurations() -> [(ClientAuth, ServerConfig); 2] {
    let now = Timestamp::now();
    let ca = Ca::generate(now).unwrap();
    let identity = ca.issue_server(&SanList::new(["127.0.0.1"]), now).unwrap();
    [ClientAuth::Required, ClientAuth::Optional]
        .map(|clients| (clients, server_config(ca.cert_der(), &identity, clients).unwrap()))
}

fn with_length(bytes: &[u8], width: usize) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length[4 - width..], bytes].concat()
}

/// A ClientHello (RFC 5246 section 7.4.1.2) of a client that knows this version and these ciphers.
fn hello(version: u16, ciphers: &[u16]) -> Vec<u8> {
    let ciphers: Vec<u8> = ciphers.iter().flat_map(|cipher| cipher.to_be_bytes()).collect();
    let extension = |kind: u16, body: &[u8]| [kind.to_be_bytes().to_vec(), with_length(body, 2)].concat();
    let extensions = [
        extension(10, &[0, 4, 0, 23, 0, 29]), // supported groups: P-256, X25519
        extension(11, &[1, 0]),               // point formats: uncompressed
        extension(13, &[0, 4, 4, 3, 8, 4]),   // signatures: ECDSA with P-256, RSA-PSS
        extension(23, &[]),                   // extended master secret
    ]
    .concat();
    let body = [
        version.to_be_bytes().to_vec(),
        vec![7; 32],
        vec![0],
        with_length(&ciphers, 2),
        vec![1, 0],
        with_length(&extensions, 2),
    ]
    .concat();
    let handshake = [vec![1], with_length(&body, 3)].concat();
    [vec![HANDSHAKE, 3, 1], with_length(&handshake, 2)].concat()
}

/// The first record that the server sends back: its type and how it begins.
async fn answer(config: ServerConfig, hello: &[u8]) -> (u8, [u8; 2]) {
    let (mut near, far) = tokio::io::duplex(64 * 1024);
    near.write_all(hello).await.unwrap();
    let accepting = TlsAcceptor::from(Arc::new(config)).accept(far);
    let reading = async {
        let mut record = [0; 7];
        near.read_exact(&mut record).await.unwrap();
        drop(near);
        (record[0], [record[5], record[6]])
    };
    let (accepted, record) = tokio::join!(accepting, reading);
    assert!(accepted.is_err());
    record
}

#[tokio::test]
async fn kk_5691_versions_before_tls_1_2_are_refused() {
    for version in [TLS_1_0, TLS_1_1] {
        for (clients, config) in configurations() {
            let refused = answer(config, &hello(version, &[&WEAK[..], &STRONG[..]].concat())).await;
            assert_eq!(refused, (ALERT, [FATAL, PROTOCOL_VERSION]), "{version:#x} {clients:?}");
        }
    }
}

#[tokio::test]
async fn kk_5691_weak_ciphers_are_refused() {
    for (clients, config) in configurations() {
        let refused = answer(config.clone(), &hello(TLS_1_2, &WEAK)).await;
        assert_eq!(refused, (ALERT, [FATAL, HANDSHAKE_FAILURE]), "{clients:?}");
        // The same client with one good cipher gets a ServerHello: it is the ciphers that are refused.
        let taken = answer(config, &hello(TLS_1_2, &[&WEAK[..], &STRONG[..]].concat())).await;
        assert_eq!(taken.0, HANDSHAKE, "{clients:?}");
    }
}

/// What we offer and accept is authenticated encryption with forward secrecy, and nothing else.
#[test]
fn kk_5691_every_cipher_that_is_known_is_a_good_one() {
    let is_good = |suite: &rustls::SupportedCipherSuite| {
        let name = format!("{:?}", suite.suite());
        let has_forward_secrecy = name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_");
        has_forward_secrecy && (name.contains("_GCM_") || name.contains("_CHACHA20_POLY1305_"))
    };
    let ca = Ca::generate(Timestamp::now()).unwrap();
    let client = client_config(ca.cert_der(), None).unwrap();
    let [(_, server), _] = configurations();
    for provider in [client.crypto_provider(), server.crypto_provider()] {
        assert!(provider.cipher_suites.iter().all(is_good), "{:?}", provider.cipher_suites);
    }
}
