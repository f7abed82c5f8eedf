//! Port 10002 over real TLS on loopback, with the embedded API behind it.

mod client;
mod slow;

use apiserver::store::Database;
use apiserver::{ApiServer, Options, User};
use certs::tls::{ClientAuth, server_config};
use certs::{Ca, JoinToken, NodeIdentity, PrivateKey, SanList, TlsIdentity, csr};
use chassis::clock::Clock;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Node;
use kube::api::PostParams;
use kube::{Api, Client};
use proto::ban::{Ban, BanList};
use tokio::io::AsyncReadExt as _;

use self::client::Ask;
use super::*;
use crate::flow::Bans;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A cloud with a server that is not running yet.
struct Cloud {
    ca: Ca,
    kubernetes: Client,
    address: SocketAddr,
}

fn issuer(ca: Ca, bans: Bans) -> Issuer {
    Issuer::new(ca, Lifetimes { certificate: DAY, token: DAY }, bans, Clock::system())
}

impl Cloud {
    /// Runs `work` beside a server, which must end well afterwards.
    async fn serving<T>(work: impl AsyncFnOnce(Self) -> T) -> T {
        Self::serving_but(BanList::default(), work).await
    }

    /// The same, and some nodes are banned.
    async fn serving_but<T>(bans: BanList, work: impl AsyncFnOnce(Self) -> T) -> T {
        let ca = Ca::generate(Timestamp::now()).unwrap();
        let api = ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap();
        let kubernetes = Client::new(api.service(User::admin()), "default");
        let identity = ca.issue_server(&SanList::new(["127.0.0.1"]), Timestamp::now()).unwrap();
        let tls = server_config(ca.cert_der(), &identity, ClientAuth::Optional).unwrap();
        let routes = router(issuer(ca.clone(), Bans::fixed(bans)), kubernetes.clone());
        let any = "127.0.0.1:0".parse().unwrap();
        let server = HttpServer::bind(any, Arc::new(tls), routes).await.unwrap();
        let cloud = Self { ca, kubernetes, address: server.local_addr().unwrap() };
        let (trigger, shutdown) = Shutdown::new();
        let work = async {
            let done = work(cloud).await;
            trigger.request();
            done
        };
        // What is under way between two sockets is nothing to a clock that stands still: it goes on to the next timeout. So
        // it goes by milliseconds.
        let ticks = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(1));
            loop {
                ticks.tick().await;
            }
        };
        let (ran, done) = tokio::select! {
            both = async { tokio::join!(server.run(shutdown), work) } => both,
            () = ticks => unreachable!("they never end"),
        };
        ran.unwrap();
        done
    }

    fn ask(&self, path: &str) -> Ask {
        Ask::new(self.address, self.ca.cert_der().clone(), path)
    }

    fn bearer(&self, ttl: SignedDuration) -> String {
        format!("Bearer {}", JoinToken::issue(&self.ca, Timestamp::now(), ttl).unwrap().bearer())
    }

    fn identity(&self, node: &str) -> TlsIdentity {
        let (key, request) = request(node);
        let certificate = self.ca.sign_node_csr(&request, node, DAY, Timestamp::now()).unwrap();
        TlsIdentity::new(certificate, key)
    }

    /// A right request of `edge1`, to be spoilt.
    fn join(&self) -> Ask {
        let bearer = self.bearer(DAY);
        self.ask("/edge.crt")
            .header("NodeName", "edge1")
            .header("Authorization", &bearer)
            .body(request("edge1").1)
    }
}

fn request(node: &str) -> (PrivateKey, Vec<u8>) {
    let key = PrivateKey::generate().unwrap();
    let request = csr::request(&NodeIdentity::new(node).unwrap(), &key).unwrap();
    (key, request.to_vec())
}

#[tokio::test]
async fn anybody_gets_the_ca_and_a_token_gets_a_certificate() {
    Cloud::serving(async |cloud| {
        let (status, body) = cloud.ask("/ca.crt").send().await;
        assert_eq!((status, body.as_slice()), (StatusCode::OK, cloud.ca.cert_der().as_ref()));

        let (status, body) = cloud.join().send().await;
        assert_eq!(status, StatusCode::OK);
        assert!(cloud.ca.issued(&body.into(), Timestamp::now()));
        let (status, _) = cloud.join().header("ExtKeyUsages", "[2]").send().await;
        assert_eq!(status, StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn a_node_renews_its_own_certificate_and_no_other() {
    Cloud::serving(async |cloud| {
        let renewal = |node, by| {
            let ask = cloud.ask("/edge.crt").header("NodeName", node).body(request(node).1);
            ask.identity(cloud.identity(by)).send()
        };
        let (status, body) = renewal("edge1", "edge1").await;
        assert_eq!(status, StatusCode::OK);
        assert!(cloud.ca.issued(&body.into(), Timestamp::now()));

        let (status, body) = renewal("edge1", "edge2").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(String::from_utf8(body).unwrap().contains("system:node:edge2"));

        // Stock's certificate for everybody, and a token does not help who shows a wrong certificate.
        let legacy = cloud.ca.issue_client("kubeedge.io", "KubeEdge", DAY, Timestamp::now()).unwrap();
        let (status, _) = cloud.join().identity(legacy).send().await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    })
    .await;
}

/// kk#4730: a banned node gets no certificate, in whichever way it asks.
#[tokio::test]
async fn a_banned_node_gets_no_certificate_under_any_name() {
    let mut bans = BanList::default();
    let now = Timestamp::now();
    bans.ban("edge1", Ban::new(now, "stolen"));
    Cloud::serving_but(bans, async |cloud| {
        let renewal = cloud.ask("/edge.crt").header("NodeName", "edge1").body(request("edge1").1);
        let old = JoinToken::issue(&cloud.ca, now - DAY / 24, DAY).unwrap();
        let renamed = cloud.ask("/edge.crt").header("NodeName", "edge2").body(request("edge2").1);
        let with =
            |ask: Ask, token: &JoinToken| ask.header("Authorization", &format!("Bearer {}", token.bearer()));
        let new = JoinToken::issue(&cloud.ca, now + SignedDuration::from_secs(1), DAY).unwrap();
        let again = cloud.ask("/edge.crt").header("NodeName", "edge2").body(request("edge2").1);
        for (what, ask, expected, says) in [
            ("joins again", cloud.join(), 403, "banned"),
            ("renews", renewal.identity(cloud.identity("edge1")), 403, "banned"),
            ("joins under another name", with(renamed, &old), 403, "token"),
            ("another node with a new token", with(again, &new), 200, ""),
        ] {
            let (status, body) = ask.send().await;
            let text = String::from_utf8_lossy(&body);
            assert!(status == expected && text.contains(says), "{what}: {status} {text}");
        }
    })
    .await;
}

#[tokio::test]
async fn after_a_lifted_ban_a_node_joins_anew_and_its_old_certificate_stays_revoked() {
    let mut bans = BanList::default();
    let banned = Timestamp::now() - DAY / 24;
    bans.ban("edge1", Ban::new(banned, "stolen"));
    bans.lift("edge1", Timestamp::now());
    let since = bans.certificates_since("edge1").unwrap();
    Cloud::serving_but(bans, async |cloud| {
        let old = cloud.identity("edge1");
        let renewal = cloud.ask("/edge.crt").header("NodeName", "edge1").body(request("edge1").1);
        let (status, body) = renewal.identity(old).send().await;
        let text = String::from_utf8_lossy(&body);
        assert!(status == 403 && text.contains("revoked"), "{status} {text}");

        let (status, body) = cloud.join().send().await;
        assert_eq!(status, StatusCode::OK);
        let issued = certs::CertificateInfo::from_der(&body.into()).unwrap();
        assert_eq!(issued.not_before, since, "no earlier than what is revoked");
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_gets_its_status_and_a_text_that_says_so() {
    Cloud::serving(async |cloud| {
        let other = Ca::generate(Timestamp::now()).unwrap();
        let stranger = JoinToken::issue(&other, Timestamp::now(), DAY).unwrap();
        let stranger = format!("Bearer {}", stranger.bearer());
        let cases = [
            ("no token", cloud.join().without("Authorization"), 401, "keadm gettoken"),
            ("another scheme", cloud.join().header("Authorization", "Basic x"), 401, "Bearer"),
            ("expired", cloud.join().header("Authorization", &cloud.bearer(-DAY)), 401, "expired"),
            ("malformed", cloud.join().header("Authorization", "Bearer a.b.c"), 401, "keadm gettoken"),
            ("of another CA", cloud.join().header("Authorization", &stranger), 401, "another authority"),
            ("no name", cloud.join().without("NodeName"), 400, "NodeName"),
            ("no node name", cloud.join().header("NodeName", "../a"), 400, "NodeName"),
            ("another node's request", cloud.join().header("NodeName", "edge2"), 403, "edge1"),
            ("another usage", cloud.join().header("ExtKeyUsages", "[1]"), 400, "ExtKeyUsages"),
            ("usages in words", cloud.join().header("ExtKeyUsages", "clientAuth"), 400, "ExtKeyUsages"),
            ("no request", cloud.join().body(Vec::new()), 400, "signing request"),
            ("garbage", cloud.join().body(vec![0x30; 300]), 400, "signing request"),
            ("oversized", cloud.join().body(vec![0; csr::MAX_REQUEST + 1]), 413, ""),
            ("another path", cloud.ask("/"), 404, ""),
            ("another method", cloud.ask("/ca.crt").method("POST"), 405, ""),
        ];
        for (what, ask, expected, says) in cases {
            let (status, body) = ask.send().await;
            let text = String::from_utf8_lossy(&body);
            assert!(status == expected && text.contains(says), "{what}: {status} {text}");
        }
    })
    .await;
}

#[tokio::test]
async fn stock_keadm_learns_whether_a_node_exists() {
    Cloud::serving(async |cloud| {
        let node: Node = serde_json::from_value(serde_json::json!({"metadata": {"name": "edge1"}})).unwrap();
        Api::all(cloud.kubernetes.clone()).create(&PostParams::default(), &node).await.unwrap();
        for (path, expected, says) in [
            ("/node/edge1", 200, "Node found"),
            ("/node/edge2", 404, "Node not found"),
            ("/node/Not%20a%20name", 400, "Invalid node name"),
        ] {
            let (status, body) = cloud.ask(path).send().await;
            assert_eq!((status.as_u16(), String::from_utf8(body).unwrap().as_str()), (expected, says));
        }
    })
    .await;
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_is_not_a_missing_node() {
    let unreachable = tower::service_fn(|_: Request<kube::client::Body>| async {
        Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("connection refused"))
    });
    let issuer = issuer(Ca::generate(Timestamp::now()).unwrap(), Bans::fixed(BanList::default()));
    let routes = router(issuer, Client::new(unreachable, "default"));
    let request = Request::get("/node/edge1").body(axum::body::Body::empty()).unwrap();
    let answer = routes.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

/// A stranger who holds a connection open must not hold up the end of the process.
#[tokio::test(start_paused = true)]
async fn silent_strangers_are_cut_off_and_do_not_delay_shutdown_for_long() {
    let begun = Instant::now();
    let mut silent = Cloud::serving(async |cloud| {
        let silent = TcpStream::connect(cloud.address).await.unwrap();
        tokio::task::yield_now().await;
        silent
    })
    .await;
    assert!(begun.elapsed() <= HANDSHAKE_TIMEOUT);
    assert_eq!(silent.read(&mut [0]).await.unwrap_or(0), 0, "closed by the server");
}
