//! Joining and renewing against a small cloud on loopback: what works, and what a person gets to read when it does not.

mod cloud;
mod hostile;
mod kills;

use certs::files::MODE_SECRET;
use certs::token::TokenError;
use chassis::module::Module as _;
use chassis::shutdown::Shutdown;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use self::cloud::{Behaviour, Cloud};
use super::*;

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn node(name: &str) -> NodeIdentity {
    NodeIdentity::new(name).unwrap()
}

fn config(dir: &TempDir, cloud: &Cloud, token: Option<JoinToken>) -> Config {
    Config {
        server: cloud.endpoint(),
        node: node("edge1"),
        token,
        ca_file: dir.path().join("ca/rootCA.crt"),
        certificate_file: dir.path().join("certs/server.crt"),
        key_file: dir.path().join("certs/server.key"),
        retry: BackoffPolicy { initial: Duration::from_millis(1), max: Duration::from_millis(1), ..RETRY },
    }
}

/// A node in a directory of its own, and what it gets from `cloud` with `token`.
/// As [`load_or_join`] does it, without trying again.
async fn join_once(config: &Config, token: &JoinToken) -> Result<Joined, BootstrapError> {
    join(config, token, &Clock::system(), PrivateKey::generate().unwrap()).await
}

async fn joining(cloud: &Cloud, token: Option<JoinToken>) -> (TempDir, Result<Joined, BootstrapError>) {
    let dir = TempDir::new().unwrap();
    let config = config(&dir, cloud, token);
    let joined = cloud.beside(load_or_join(&config, &Clock::system(), &Rng::seeded(1))).await;
    (dir, joined)
}

#[tokio::test]
async fn a_node_joins_once_and_then_lives_from_its_files() {
    let cloud = Cloud::new(Behaviour::Good).await;
    let (dir, joined) = joining(&cloud, Some(cloud.token())).await;
    let joined = joined.unwrap();
    assert_eq!(CertificateInfo::from_der(joined.identity.certificate()).unwrap().node(), Ok(node("edge1")));

    // No token, and nobody serves the cloud any more.
    let config = config(&dir, &cloud, None);
    let again = load_or_join(&config, &Clock::system(), &Rng::seeded(1)).await.unwrap();
    assert_eq!(again.identity.certificate(), joined.identity.certificate());
    assert_eq!(again.ca, joined.ca);
}

#[tokio::test]
async fn without_token_and_certificate_the_error_says_what_to_do() {
    let cloud = Cloud::new(Behaviour::Good).await;
    let error = joining(&cloud, None).await.1.unwrap_err();
    assert!(error.to_string().contains("modules.edgeHub.token"), "{error}");
    assert!(error.hint().unwrap().contains("keadm gettoken"));
}

/// ADA-KE-06: the first request is to whoever answers, and nothing secret is in it.
#[tokio::test]
async fn a_cloud_with_another_ca_than_the_token_gets_neither_token_nor_request() {
    let cloud = Cloud::new(Behaviour::Good).await;
    let other = Cloud::new(Behaviour::Good).await;
    let (dir, joined) = joining(&cloud, Some(other.token())).await;
    let error = joined.unwrap_err();
    assert!(matches!(&error, BootstrapError::OtherCa { source: TokenError::OtherCa { .. }, .. }), "{error}");
    assert!(error.to_string().contains("/ca.crt") && error.hint().is_some(), "{error}");
    assert_eq!(cloud.requests(), ["/ca.crt"]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing of it is kept");
}

#[tokio::test]
async fn an_expired_token_is_refused_with_the_words_of_the_cloud() {
    let cloud = Cloud::new(Behaviour::Good).await;
    let error = joining(&cloud, Some(cloud.expired_token())).await.1.unwrap_err();
    let BootstrapError::Refused { status, ref text, ref url } = error else { panic!("{error}") };
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(text.contains("expired") && url.ends_with("/edge.crt"), "{error}");
    assert!(error.hint().unwrap().contains("keadm gettoken"));
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_certificate_for_another_node_or_of_another_ca_is_not_taken() {
    for behaviour in [Behaviour::SignsForAnotherNode, Behaviour::SignsWithAnotherCa] {
        let cloud = Cloud::new(behaviour).await;
        let (dir, joined) = joining(&cloud, Some(cloud.token())).await;
        let error = joined.unwrap_err();
        assert!(matches!(error, BootstrapError::WrongCertificate { .. }), "{behaviour:?}: {error}");
        assert!(!dir.path().join("certs").exists());
    }
}

/// ADA-KE-11 (CVE-2022-31080), for the requests of joining.
#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let cloud = Cloud::new(Behaviour::Floods).await;
    let config = config(&TempDir::new().unwrap(), &cloud, None);
    let error = cloud.beside(join_once(&config, &cloud.token())).await.unwrap_err();
    assert!(matches!(error, BootstrapError::Exchange { .. }), "{error}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_cloud_that_is_not_there_yet_is_asked_until_it_is() {
    let cloud = Cloud::new(Behaviour::FailsTwice).await;
    let (_dir, joined) = joining(&cloud, Some(cloud.token())).await;
    joined.unwrap();
    assert_eq!(cloud.requests(), ["/ca.crt", "/ca.crt", "/ca.crt", "/edge.crt"]);
}

#[tokio::test]
async fn a_certificate_of_another_node_is_replaced_and_an_expired_one_when_there_is_a_cloud() {
    let cloud = Cloud::new(Behaviour::Good).await;
    let dir = TempDir::new().unwrap();
    let mut config = config(&dir, &cloud, Some(cloud.token()));
    let other = cloud.identity("edge2", DAY);
    write_ca(config.clone(), cloud.ca().cert_der().clone()).await.unwrap();
    write_identity(config.clone(), other).await.unwrap();
    let clock = Clock::system();
    let joined = cloud.beside(load_or_join(&config, &clock, &Rng::seeded(1))).await.unwrap();
    assert_eq!(CertificateInfo::from_der(joined.identity.certificate()).unwrap().node(), Ok(node("edge1")));

    let expired = cloud.identity("edge1", SignedDuration::from_secs(-1));
    write_identity(config.clone(), expired.clone()).await.unwrap();
    // Nobody serves the cloud: the pods do not wait for it.
    let kept = load_or_join(&config, &clock, &Rng::seeded(1)).await.unwrap();
    assert_eq!(kept.identity.certificate(), expired.certificate());
    let (mut rotation, credentials) =
        Rotation::new(config.clone(), kept.clone(), clock.clone(), Rng::seeded(7)).unwrap();
    assert!(rotation.has_expired());
    cloud.beside(rotation.rotate()).await.unwrap();
    assert!(!rotation.has_expired() && credentials.validity().not_after > clock.now());
    let held = load_or_join(&config, &clock, &Rng::seeded(1)).await.unwrap();
    assert_ne!(held.identity.certificate(), expired.certificate());
    assert_eq!(held.identity.key().public_point(), expired.key().public_point(), "it is the same machine");
    // A token that has expired as well helps nobody, and says so.
    config.token = Some(cloud.expired_token());
    let (mut rotation, _) = Rotation::new(config, kept, clock, Rng::seeded(7)).unwrap();
    let error = cloud.beside(rotation.rotate()).await.unwrap_err();
    assert!(error.to_string().contains("401"), "{error}");
}

#[tokio::test]
async fn files_that_cannot_be_written_are_named() {
    let cloud = Cloud::new(Behaviour::Good).await;
    let dir = TempDir::new().unwrap();
    write_atomically(&dir.path().join("certs"), b"a file in the way", MODE_SECRET).unwrap();
    let config = config(&dir, &cloud, Some(cloud.token()));
    let error = cloud.beside(load_or_join(&config, &Clock::system(), &Rng::seeded(1))).await.unwrap_err();
    assert!(error.to_string().contains("certs/server"), "{error}");
    assert!(error.hint().is_some());
}

/// A clock by which the certificate's window of renewal is over.
fn late() -> Clock {
    Clock::fixed(Timestamp::now() + DAY * 99 / 100)
}

#[tokio::test]
async fn a_certificate_is_renewed_with_the_present_one_and_failures_are_tried_again() {
    let cloud = Cloud::new(Behaviour::FailsTwice).await;
    let dir = TempDir::new().unwrap();
    let config = config(&dir, &cloud, None);
    let joined = Joined { ca: cloud.ca().cert_der().clone(), identity: cloud.identity("edge1", DAY) };
    let old = joined.identity.certificate().clone();
    let (rotation, credentials) = Rotation::new(config.clone(), joined, late(), Rng::seeded(7)).unwrap();
    let before = credentials.client_config();

    let (trigger, shutdown) = Shutdown::new();
    let mut changes = credentials.clone();
    let watching = async {
        changes.changed().await;
        trigger.request();
    };
    let (ran, ()) = cloud.beside(async { tokio::join!(rotation.run(shutdown), watching) }).await;
    ran.unwrap();

    assert_eq!(cloud.requests()[..3], ["/edge.crt by edge1"; 3]);
    assert!(!Arc::ptr_eq(&before, &credentials.client_config()));
    let held = read_pair(&config.certificate_file, &config.key_file).unwrap().unwrap();
    assert_ne!(held.certificate(), &old);
    assert!(certificate::is_signed_by(held.certificate(), cloud.ca().key().public_point()));
}

#[tokio::test]
async fn a_new_certificate_that_cannot_be_kept_is_not_used() {
    let cloud = Cloud::new(Behaviour::Good).await;
    let dir = TempDir::new().unwrap();
    write_atomically(&dir.path().join("certs"), b"a file in the way", MODE_SECRET).unwrap();
    let config = config(&dir, &cloud, None);
    let joined = Joined { ca: cloud.ca().cert_der().clone(), identity: cloud.identity("edge1", DAY) };
    let (rotation, credentials) = Rotation::new(config, joined, late(), Rng::seeded(7)).unwrap();
    let before = credentials.client_config();
    let (trigger, shutdown) = Shutdown::new();
    let asked_twice = async {
        while cloud.requests().len() < 2 {
            tokio::task::yield_now().await;
        }
        trigger.request();
    };
    let (ran, ()) = cloud.beside(async { tokio::join!(rotation.run(shutdown), asked_twice) }).await;
    ran.unwrap();
    assert!(Arc::ptr_eq(&before, &credentials.client_config()));
}
