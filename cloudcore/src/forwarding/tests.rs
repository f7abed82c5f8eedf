//! CloudCores and their nodes in memory, on paused time; and one with real sockets and real certificates.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use certs::replica::replica_client_config;
use certs::{Ca, SanList};
use chassis::clock::Clock;
use chassis::module::Module as _;
use chassis::rng::Rng;
use chassis::shutdown::{Shutdown, ShutdownTrigger};
use chassis::task::{self, AbortOnDrop};
use futures::future::{BoxFuture, join_all};
use jiff::SignedDuration;
use proto::codec::MAX_MESSAGE_BYTES;
use proto::{Content, Group, Message, Operation, Resource, Route, Source, Stamp};
use rustls_pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::peers::{Dial, Io};
use super::server::Office;
use super::*;
use crate::flow::{
    Forward as _, Holder, Holders, HoldersWriter, NodeName, NotForwarded, Reach, Replica, Serving, Unreached,
    Wants,
};

const LIMIT: Duration = Duration::from_secs(60);
const PIPE: usize = 64 << 10;

/// What becomes of a message at the other end.
#[derive(Debug, Clone, Copy)]
enum Then {
    Answered,
    Received,
    Failed(Unreached),
    Silence,
}

/// The nodes of the other end, which all do the same.
struct Nodes {
    then: Mutex<Then>,
    sent: Mutex<Vec<(String, Message, Wants, Duration)>>,
}

impl Reach for Nodes {
    fn send<'a>(
        &'a self,
        node: &'a NodeName,
        message: Message,
        wants: Wants,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Option<Message>, Unreached>> {
        self.sent.lock().unwrap().push((node.to_string(), message.clone(), wants, limit));
        let then = *self.then.lock().unwrap();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            match then {
                Then::Answered => Ok(Some(message)),
                Then::Received => Ok(None),
                Then::Failed(why) => Err(why),
                Then::Silence => {
                    tokio::time::sleep(limit).await;
                    Err(Unreached::TimedOut(limit))
                }
            }
        })
    }
}

/// How the other end takes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    Shut,
    /// It takes it, and says nothing.
    Silent,
    /// It says that it speaks HTTP/2, and nothing more.
    Dead,
}

/// The other end.
struct Other {
    office: Arc<Office>,
    door: Mutex<Door>,
    dials: AtomicUsize,
    serving: Mutex<Vec<AbortOnDrop<()>>>,
    trigger: ShutdownTrigger,
    shutdown: Shutdown,
}

impl Dial for Other {
    fn dial<'a>(&'a self, _address: &'a str) -> BoxFuture<'a, anyhow::Result<Box<dyn Io>>> {
        Box::pin(async move {
            self.dials.fetch_add(1, Ordering::Relaxed);
            let door = *self.door.lock().unwrap();
            anyhow::ensure!(door != Door::Shut, "connection refused");
            let (near, mut far) = tokio::io::duplex(PIPE);
            let (office, shutdown) = (Arc::clone(&self.office), self.shutdown.clone());
            let task = task::spawn(tracing::Span::none(), async move {
                match door {
                    Door::Open | Door::Shut => office.serve(far, "one", &shutdown).await,
                    Door::Silent => std::future::pending().await,
                    Door::Dead => {
                        // An empty SETTINGS frame (RFC 9113 section 6.5).
                        far.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
                        std::future::pending::<()>().await;
                        drop(far);
                    }
                }
            });
            self.serving.lock().unwrap().push(task);
            Ok(Box::new(near) as Box<dyn Io>)
        })
    }
}

struct Rig {
    peers: Peers,
    other: Arc<Other>,
    nodes: Arc<Nodes>,
    holders: HoldersWriter,
}

fn rig(then: Then) -> Rig {
    let nodes = Arc::new(Nodes { then: Mutex::new(then), sent: Mutex::default() });
    let (holders, seen) = Holders::new();
    let office = Arc::new(Office::new(nodes.clone(), seen, Metrics::default()));
    let (trigger, shutdown) = Shutdown::new();
    let other = Arc::new(Other {
        office,
        door: Mutex::new(Door::Open),
        dials: AtomicUsize::new(0),
        serving: Mutex::default(),
        trigger,
        shutdown,
    });
    let peers = Peers::with(other.clone(), Rng::seeded(1), Metrics::default());
    Rig { peers, other, nodes, holders }
}

fn message(content: Content) -> Message {
    let route = Route {
        source: Source::RouterServiceBus,
        group: Group::User,
        operation: Operation::from("POST"),
        resource: Resource::Topic("8080:/a?b=c".to_owned()),
    };
    Message::new(Stamp { id: "q".to_owned(), timestamp: 1 }, route, content)
}

fn replica(name: &str) -> Replica {
    Replica { name: name.into(), forwarding: format!("{name}.example:10006").into() }
}

impl Rig {
    async fn ask(&self) -> Result<Option<Message>, NotForwarded> {
        self.ask_within(LIMIT).await
    }

    async fn ask_within(&self, limit: Duration) -> Result<Option<Message>, NotForwarded> {
        let message = message(Content::text("x"));
        self.peers.forward(&replica("b"), &NodeName::new("edge-1"), &message, Wants::Answer, limit).await
    }

    fn asking(&self) -> AbortOnDrop<Result<Option<Message>, NotForwarded>> {
        let peers = self.peers.clone();
        task::spawn(tracing::Span::none(), async move {
            let message = message(Content::text("x"));
            peers.forward(&replica("b"), &NodeName::new("edge-1"), &message, Wants::Answer, LIMIT).await
        })
    }

    fn dials(&self) -> usize {
        self.other.dials.load(Ordering::Relaxed)
    }

    fn sent(&self) -> usize {
        self.nodes.sent.lock().unwrap().len()
    }

    fn door(&self, door: Door) {
        *self.other.door.lock().unwrap() = door;
    }

    /// The other end dies, with all its connections.
    fn die(&self) {
        self.other.serving.lock().unwrap().clear();
    }
}

/// Paused time moves only when nobody has anything left to do.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_and_its_answer_arrive_as_they_were_over_one_connection() {
    let rig = rig(Then::Answered);
    let contents = [
        Content::Null,
        Content::text("ä\n\"x\""),
        Content::text("x".repeat(3 << 20)),
        Content::bytes(b"{\"a\": [1.0, 1e400]}"),
    ];
    for (content, wants) in contents.into_iter().zip([Wants::Answer, Wants::Receipt].into_iter().cycle()) {
        let asked = message(content);
        let answer = rig.peers.forward(&replica("b"), &NodeName::new("edge-1"), &asked, wants, LIMIT).await;
        assert_eq!(answer.unwrap().unwrap(), asked);
        let (node, sent, wanted, limit) = rig.nodes.sent.lock().unwrap().pop().unwrap();
        assert_eq!((node.as_str(), sent, wanted), ("edge-1", asked, wants));
        assert!(limit < LIMIT && limit > LIMIT - Duration::from_secs(1), "{limit:?}");
    }
    *rig.nodes.then.lock().unwrap() = Then::Received;
    assert_eq!(rig.ask().await, Ok(None));
    let many = join_all((0..500).map(|_| rig.ask())).await;
    assert!(many.iter().all(|answer| *answer == Ok(None)));
    assert_eq!((rig.sent(), rig.dials()), (501, 1));
}

#[tokio::test(start_paused = true)]
async fn what_became_of_it_there_is_what_is_heard_here() {
    let limit = Duration::from_secs(3);
    for why in [Unreached::Busy(limit), Unreached::Lost, Unreached::TimedOut(limit)] {
        let rig = rig(Then::Failed(why));
        assert_eq!(rig.ask().await, Err(why.into()));
        assert_eq!(rig.sent(), 1);
    }
    let rig = rig(Then::Failed(Unreached::NotConnected));
    assert_eq!(rig.ask().await, Err(NotForwarded::NotHeld(Holder::Nobody)));
    // It says whom it believes, and asks nobody itself.
    rig.holders.set(&NodeName::new("edge-1"), Holder::Replica(replica("c")));
    assert_eq!(rig.ask().await, Err(NotForwarded::NotHeld(Holder::Replica(replica("c")))));
    assert_eq!((rig.sent(), rig.dials()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_slow_is_given_up_by_the_one_that_holds_it() {
    let rig = rig(Then::Silence);
    let begun = Instant::now();
    let Err(NotForwarded::Unreached(Unreached::TimedOut(limit))) = rig.ask().await else { panic!() };
    assert!(limit < LIMIT && begun.elapsed() < LIMIT, "{limit:?}");
    assert_eq!((rig.sent(), rig.dials()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_dies_after_it_was_asked_is_not_asked_again() {
    let rig = rig(Then::Silence);
    let asking = rig.asking();
    settle().await;
    assert_eq!(rig.sent(), 1);
    rig.die();
    assert_eq!(asking.await.unwrap(), Err(Unreached::Lost.into()));
    assert_eq!((rig.sent(), rig.dials()), (1, 1));
    // The next one is asked by a new connection.
    *rig.nodes.then.lock().unwrap() = Then::Answered;
    assert!(rig.ask().await.is_ok());
    assert_eq!((rig.sent(), rig.dials()), (2, 2));
    // One that died while nobody asked anything costs nothing.
    rig.die();
    settle().await;
    assert!(rig.ask().await.is_ok());
    assert_eq!(rig.dials(), 3);
}

/// It has taken the connection and may take the request, whenever it wakes up.
#[tokio::test(start_paused = true)]
async fn a_peer_that_stands_still_may_have_been_asked() {
    let rig = rig(Then::Answered);
    rig.door(Door::Dead);
    let begun = Instant::now();
    assert_eq!(rig.ask().await, Err(Unreached::Lost.into()));
    assert!(begun.elapsed() < Duration::from_secs(11), "its silence is noticed");
    let begun = Instant::now();
    let short = Duration::from_secs(2);
    assert_eq!(rig.ask_within(short).await, Err(Unreached::TimedOut(short).into()));
    assert_eq!(begun.elapsed(), short);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_cannot_be_reached_is_tried_when_somebody_wants_it_and_not_too_often() {
    let rig = rig(Then::Answered);
    rig.door(Door::Shut);
    let many = join_all((0..100).map(|_| rig.ask())).await;
    assert!(many.iter().all(|answer| matches!(answer, Err(NotForwarded::Refused { .. }))), "{many:?}");
    assert_eq!(rig.dials(), 1, "all of them by one attempt");
    let Err(NotForwarded::Refused { after, why }) = rig.ask().await else { panic!() };
    assert!(why.contains("connection refused"), "{why}");
    assert_eq!(rig.dials(), 1);
    tokio::time::sleep(after).await;
    assert!(rig.ask().await.is_err());
    assert_eq!(rig.dials(), 2);
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(rig.ask().await.is_err());
    }
    assert!(rig.dials() < 10, "{}", rig.dials());
    rig.door(Door::Open);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(rig.ask().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_the_connection_and_says_nothing_was_not_asked() {
    let rig = rig(Then::Answered);
    rig.door(Door::Silent);
    let begun = Instant::now();
    assert!(matches!(rig.ask().await, Err(NotForwarded::Refused { .. })));
    assert_eq!(begun.elapsed().as_secs(), 5);
    tokio::time::sleep(Duration::from_secs(1)).await;
    // One that has less time than connecting may take.
    assert!(matches!(rig.ask_within(Duration::from_secs(1)).await, Err(NotForwarded::Refused { .. })));
    assert_eq!(begun.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn what_came_of_an_attempt_is_known_also_when_nobody_has_waited_for_it() {
    let rig = rig(Then::Answered);
    rig.door(Door::Silent);
    assert!(rig.ask_within(Duration::from_secs(1)).await.is_err());
    // The attempt fails by itself meanwhile, and its time is over.
    tokio::time::sleep(Duration::from_secs(10)).await;
    rig.door(Door::Open);
    assert!(rig.ask().await.is_ok());
    assert_eq!(rig.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_finishes_what_it_was_asked() {
    let rig = rig(Then::Silence);
    let peers = rig.peers.clone();
    let asking = task::spawn(tracing::Span::none(), async move {
        let limit = Duration::from_secs(1);
        peers
            .forward(&replica("b"), &NodeName::new("edge-1"), &message(Content::Null), Wants::Answer, limit)
            .await
    });
    settle().await;
    rig.other.trigger.request();
    settle().await;
    // It takes nothing more by this connection, and says so before it is asked.
    rig.door(Door::Shut);
    assert!(matches!(rig.ask().await, Err(NotForwarded::Refused { .. })));
    assert_eq!((rig.sent(), rig.dials()), (1, 2));
    assert!(matches!(asking.await.unwrap(), Err(NotForwarded::Unreached(Unreached::TimedOut(_)))));
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_refused() {
    let rig = rig(Then::Answered);
    let large = message(Content::text("x".repeat(MAX_MESSAGE_BYTES)));
    let answer =
        rig.peers.forward(&replica("b"), &NodeName::new("edge-1"), &large, Wants::Answer, LIMIT).await;
    assert_eq!(answer, Err(Unreached::TooLarge.into()));
    assert_eq!(rig.sent(), 0);
    assert!(rig.ask().await.is_ok(), "the connection is as good as before");
    assert_eq!(rig.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_users_messages_of_the_router_reach_a_node() {
    let rig = rig(Then::Answered);
    for (source, group, is_sent) in [
        (Source::RouterServiceBus, Group::User, true),
        (Source::RouterEventBus, Group::User, true),
        (Source::Router, Group::User, false),
        (Source::RouterServiceBus, Group::Resource, false),
        (Source::EdgeController, Group::Resource, false),
        (Source::EdgeController, Group::User, false),
        (Source::DeviceController, Group::Twin, false),
    ] {
        let shown = format!("{source:?} {group:?}");
        let mut message = message(Content::text("x"));
        (message.route.source, message.route.group) = (source, group);
        let before = rig.sent();
        let answer =
            rig.peers.forward(&replica("b"), &NodeName::new("edge-1"), &message, Wants::Answer, LIMIT).await;
        assert_eq!(rig.sent() - before, usize::from(is_sent), "{shown}");
        assert!(is_sent == answer.is_ok() || answer == Err(Unreached::Invalid.into()), "{shown}: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_peer_has_a_few_connections_and_no_more() {
    let rig = rig(Then::Answered);
    let others: Vec<_> =
        (0..4).map(|_| Peers::with(rig.other.clone(), Rng::seeded(1), Metrics::default())).collect();
    let (node, message) = (NodeName::new("edge-1"), message(Content::Null));
    for peers in &others {
        assert!(peers.forward(&replica("b"), &node, &message, Wants::Answer, LIMIT).await.is_ok());
    }
    assert!(matches!(rig.ask().await, Err(NotForwarded::Refused { .. })));
    drop(others);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(rig.ask().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_after_its_time_and_nobody_notices() {
    let rig = rig(Then::Answered);
    for _ in 0..5 {
        assert!(rig.ask().await.is_ok());
        tokio::time::sleep(Duration::from_secs(1800)).await;
    }
    assert_eq!(rig.dials(), 3);
}

/// Over TCP, with the certificates of one CA; and with one that a node has.
#[tokio::test]
async fn replicas_know_each_other_by_their_certificates() {
    certs::tls::install_provider();
    let clock = Clock::system();
    let ca = Ca::generate(clock.now()).unwrap();
    let credentials = |name: &str| {
        Credentials::new(ca.clone(), name.to_owned(), SanList::new(["10.0.0.1"]), clock.clone()).unwrap().1
    };
    let nodes = Arc::new(Nodes { then: Mutex::new(Then::Answered), sent: Mutex::default() });
    let listen = "127.0.0.1:0".parse().unwrap();
    let (last_node, served) = Serving::new();
    let server = ForwardingServer::bind(
        listen,
        credentials("one"),
        nodes.clone(),
        Holders::new().1,
        served,
        Metrics::default(),
    );
    let server = server.await.unwrap();
    let address: Arc<str> = server.local_addr().unwrap().to_string().into();
    let (trigger, shutdown) = Shutdown::new();
    let serving = task::spawn(tracing::Span::none(), server.run(shutdown));
    let one = Replica { name: "one".into(), forwarding: address };
    let ask = async |peers: &Peers| {
        peers.forward(&one, &NodeName::new("edge-1"), &message(Content::Null), Wants::Answer, LIMIT).await
    };
    // Who shows nothing takes no place of theirs.
    let mut strangers = Vec::new();
    for _ in 0..200 {
        strangers.push(tokio::net::TcpStream::connect(&*one.forwarding).await.unwrap());
    }
    let peers = Peers::new(credentials("two"), Rng::seeded(1), Metrics::default());
    assert!(ask(&peers).await.unwrap().is_some());
    drop(strangers);

    let hour = SignedDuration::from_hours(1);
    let identity = ca.issue_client("system:node:a", "system:nodes", hour, clock.now()).unwrap();
    let node = AsNode(Arc::new(replica_client_config(ca.cert_der(), &identity).unwrap()));
    let node = Peers::with(Arc::new(node), Rng::seeded(1), Metrics::default());
    assert!(matches!(ask(&node).await, Err(NotForwarded::Refused { .. })));
    assert_eq!(nodes.sent.lock().unwrap().len(), 1);
    // Nodes leave one after another: until the last one has, they are found here.
    trigger.request();
    let late = Peers::new(credentials("three"), Rng::seeded(1), Metrics::default());
    assert!(ask(&late).await.unwrap().is_some());
    assert!(ask(&peers).await.unwrap().is_some());
    drop(last_node);
    serving.await.unwrap().unwrap();
    assert!(matches!(ask(&peers).await, Err(NotForwarded::Refused { .. })));
}

/// A node that tries to pass for a replica.
struct AsNode(Arc<rustls::ClientConfig>);

impl Dial for AsNode {
    fn dial<'a>(&'a self, address: &'a str) -> BoxFuture<'a, anyhow::Result<Box<dyn Io>>> {
        Box::pin(async move {
            let stream = tokio::net::TcpStream::connect(address).await?;
            let name = ServerName::try_from(certs::replica::REPLICA_SERVER_NAME)?;
            let stream = tokio_rustls::TlsConnector::from(Arc::clone(&self.0)).connect(name, stream).await?;
            Ok(Box::new(stream) as Box<dyn Io>)
        })
    }
}
