//! A node joins and renews: the real HTTPS server of CloudCore and the real bootstrap of EdgeCore, over TLS on loopback.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::sync::Arc;

use apiserver::store::Database;
use apiserver::{ApiServer, Options, User};
use certs::tls::{ClientAuth, server_config};
use certs::{Ca, CertificateInfo, JoinToken, NodeIdentity, SanList};
use chassis::clock::Clock;
use chassis::module::Module as _;
use chassis::readiness::Readiness;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use cloudcore::cloudhub::authority::{Authority, CaFiles, TokenRefresher};
use cloudcore::cloudhub::httpserver::{HttpServer, Issuer, Lifetimes, router};
use cloudcore::cloudhub::secrets::KubeSecrets;
use cloudcore::flow::{Bans, Leadership};
use edgecore::edgehub::bootstrap::{self, BootstrapError, Joined, RETRY, Rotation, load_or_join};
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use proto::ban::BanList;
use tempfile::TempDir;

const DAY: SignedDuration = SignedDuration::from_hours(24);
const LIFETIMES: Lifetimes = Lifetimes { certificate: DAY, token: DAY };
const TOKEN_PERIOD: std::time::Duration = std::time::Duration::from_secs(12 * 60 * 60);

struct Cloud {
    dir: TempDir,
    secrets: KubeSecrets,
    ca: Ca,
    server: String,
}

/// Runs `work` beside CloudCore's HTTPS server and token refresher, which must both end well afterwards.
async fn with_cloud(work: impl AsyncFnOnce(&Cloud)) {
    let dir = TempDir::new().unwrap();
    let api = ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap();
    let client = Client::new(api.service(User::admin()), "default");
    let secrets = KubeSecrets::new(client.clone());
    let files = CaFiles { certificate: dir.path().join("ca.crt"), key: dir.path().join("ca.key") };
    let (clock, rng) = (Clock::system(), Rng::seeded(1));
    let names = SanList::new(["127.0.0.1", ""]);
    let Authority { ca, server } = Authority::load(&secrets, &files, &names, &clock).await.unwrap();

    let bans = Bans::fixed(BanList::default());
    let tls = server_config(ca.cert_der(), &server, ClientAuth::Optional).unwrap();
    let routes = router(Issuer::new(ca.clone(), LIFETIMES, bans.clone(), clock.clone()), client);
    let https = HttpServer::bind("127.0.0.1:0".parse().unwrap(), Arc::new(tls), routes).await.unwrap();
    let server = format!("https://{}", https.local_addr().unwrap());
    let ready = Readiness::new().register("tokens");
    let tokens = TokenRefresher {
        store: secrets.clone(),
        ca: ca.clone(),
        period: TOKEN_PERIOD,
        clock,
        rng,
        bans,
        leadership: Leadership::always(),
        ready,
    };
    let cloud = Cloud { dir, secrets, ca, server };

    let (trigger, shutdown) = Shutdown::new();
    let work = async {
        work(&cloud).await;
        trigger.request();
    };
    let (https, tokens, ()) = tokio::join!(https.run(shutdown.clone()), tokens.run(shutdown), work);
    https.unwrap();
    tokens.unwrap();
}

impl Cloud {
    /// The token of the moment, as `keadm gettoken` reads it.
    async fn token(&self) -> JoinToken {
        loop {
            if let Some(token) = certs::authority::current_token(&self.secrets).await.unwrap() {
                return token;
            }
            // The refresher is about to write the first one.
            tokio::task::yield_now().await;
        }
    }

    fn config(&self, node: &str, token: Option<JoinToken>) -> bootstrap::Config {
        let file = |name: &str| self.dir.path().join(node).join(name);
        bootstrap::Config {
            server: self.server.parse().unwrap(),
            node: NodeIdentity::new(node).unwrap(),
            token,
            ca_file: file("rootCA.crt"),
            certificate_file: file("server.crt"),
            key_file: file("server.key"),
            retry: RETRY,
        }
    }

    async fn join(&self, node: &str, token: Option<JoinToken>) -> Result<Joined, BootstrapError> {
        load_or_join(&self.config(node, token), &Clock::system(), &Rng::seeded(2)).await
    }
}

#[tokio::test]
async fn a_node_joins_with_the_token_in_the_secret_and_renews_without_it() {
    with_cloud(async |cloud| {
        let joined = cloud.join("edge1", Some(cloud.token().await)).await.unwrap();
        let first = joined.identity.certificate().clone();
        assert!(cloud.ca.issued(&first, Timestamp::now()));

        let late = Clock::fixed(Timestamp::now() + DAY * 95 / 100);
        let config = cloud.config("edge1", None);
        let (rotation, mut credentials) = Rotation::new(config, joined, late, Rng::seeded(3)).unwrap();
        let (trigger, shutdown) = Shutdown::new();
        let renewed = async {
            credentials.changed().await;
            trigger.request();
        };
        tokio::join!(rotation.run(shutdown), renewed).0.unwrap();

        let second = cloud.join("edge1", None).await.unwrap();
        let info = CertificateInfo::from_der(second.identity.certificate()).unwrap();
        assert_ne!(second.identity.certificate(), &first);
        assert_eq!(info.node().unwrap().node_name(), "edge1");
    })
    .await;
}

#[tokio::test]
async fn a_wrong_token_is_refused_by_the_side_that_can_tell() {
    with_cloud(async |cloud| {
        let expired = JoinToken::issue(&cloud.ca, Timestamp::now(), -DAY).unwrap();
        let error = cloud.join("edge1", Some(expired)).await.unwrap_err();
        assert!(matches!(error, BootstrapError::Refused { .. }), "{error}");
        assert!(error.to_string().contains("expired"), "{error}");

        let other = Ca::generate(Timestamp::now()).unwrap();
        let foreign = JoinToken::issue(&other, Timestamp::now(), DAY).unwrap();
        let error = cloud.join("edge1", Some(foreign)).await.unwrap_err();
        assert!(matches!(error, BootstrapError::OtherCa { .. }), "{error}");
    })
    .await;
}
