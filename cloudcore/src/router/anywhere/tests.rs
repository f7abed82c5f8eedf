//! Nodes that move between CloudCores in memory, on paused time.

use std::collections::VecDeque;

use chassis::channel::{Receiver, bounded};
use chassis::task::{self, AbortOnDrop};
use proto::{Content, Group, Operation, Resource, Route, Source, Stamp};

use super::*;
use crate::flow::{HoldersWriter, Replies, UserSession};

const LIMIT: Duration = Duration::from_secs(60);

type Answer = Result<(), NotForwarded>;

/// Another CloudCore, which answers as it is told; and who was asked, when, and within which time it had to answer.
#[derive(Default)]
struct Others {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<(String, Instant, Duration)>>,
}

impl Forward for Others {
    fn forward<'a>(
        &'a self,
        replica: &'a Replica,
        _node: &'a NodeName,
        message: &'a Message,
        _wants: Wants,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Option<Message>, NotForwarded>> {
        self.asked.lock().unwrap().push((replica.name.to_string(), Instant::now(), limit));
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Ok(()));
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            answer.map(|()| Some(message.clone()))
        })
    }
}

struct Rig {
    anywhere: Arc<Anywhere>,
    others: Arc<Others>,
    nodes: LocalNodes,
    writer: HoldersWriter,
    node: NodeName,
    begun: Instant,
}

fn rig(answers: impl IntoIterator<Item = Answer>) -> Rig {
    let (writer, holders) = Holders::new();
    let others = Arc::new(Others { answers: Mutex::new(answers.into_iter().collect()), ..Others::default() });
    let nodes = LocalNodes::default();
    let elsewhere = Elsewhere { holders, forward: others.clone() };
    let anywhere = Arc::new(Anywhere::new(nodes.clone(), elsewhere, Metrics::default()));
    Rig { anywhere, others, nodes, writer, node: NodeName::new("edge-1"), begun: Instant::now() }
}

fn message() -> Message {
    let route = Route {
        source: Source::RouterServiceBus,
        group: Group::User,
        operation: Operation::from("POST"),
        resource: Resource::Topic("8080:/".to_owned()),
    };
    Message::new(Stamp { id: "q".to_owned(), timestamp: 1 }, route, Content::Null)
}

fn replica(name: &str) -> Replica {
    Replica { name: name.into(), forwarding: format!("{name}:10006").into() }
}

fn held_by(name: &str) -> Holder {
    Holder::Replica(replica(name))
}

fn refused(milliseconds: u64) -> Answer {
    Err(NotForwarded::Refused { why: "refused".to_owned(), after: Duration::from_millis(milliseconds) })
}

fn not_held(holder: Holder) -> Answer {
    Err(NotForwarded::NotHeld(holder))
}

impl Rig {
    async fn ask(&self) -> Result<Option<Message>, Unreached> {
        self.anywhere.send(&self.node, message(), Wants::Receipt, LIMIT).await
    }

    /// In the background.
    fn asking(&self) -> AbortOnDrop<Result<Option<Message>, Unreached>> {
        let (anywhere, node) = (Arc::clone(&self.anywhere), self.node.clone());
        task::spawn(tracing::Span::none(), async move {
            anywhere.send(&node, message(), Wants::Receipt, LIMIT).await
        })
    }

    fn asked(&self) -> Vec<String> {
        self.others.asked.lock().unwrap().iter().map(|(name, ..)| name.clone()).collect()
    }

    /// A stock node comes here: it gives no receipts, so whatever it is sent ends with that.
    fn connect(&self) -> Receiver<Message> {
        let (tx, rx) = bounded("replies", 8);
        let replies = Replies::new(tx);
        self.nodes.connected(UserSession { node: self.node.clone(), replies, is_native: false });
        rx
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_is_asked_where_it_is() {
    let rig = rig([]);
    rig.writer.set(&rig.node, held_by("b"));
    assert!(rig.ask().await.unwrap().is_some());
    assert_eq!(rig.asked(), ["b"]);
    rig.writer.set(&rig.node, Holder::Us);
    let mut here = rig.connect();
    assert_eq!(rig.ask().await, Ok(None));
    assert!(here.try_recv().is_some());
    assert_eq!(rig.asked(), ["b"], "not again");
    // Nobody has said yet who holds it, but it is here.
    rig.writer.set(&rig.node, Holder::Nobody);
    assert_eq!(rig.ask().await, Ok(None));
    rig.writer.set(&rig.node, Holder::Stock("10.0.0.9".into()));
    assert_eq!(rig.ask().await, Ok(None));
    assert!(rig.begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_moves_is_followed() {
    // b has lost it; c is about to have it.
    let rig = rig([not_held(Holder::Nobody), Ok(())]);
    rig.writer.set(&rig.node, held_by("b"));
    let asking = rig.asking();
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.writer.set(&rig.node, Holder::Nobody);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!asking.is_finished());
    rig.writer.set(&rig.node, held_by("c"));
    assert!(asking.await.unwrap().unwrap().is_some());
    assert_eq!(rig.asked(), ["b", "c"]);
    assert_eq!(rig.begun.elapsed().as_secs(), 2);
    // What is left of its time goes along.
    let asked = rig.others.asked.lock().unwrap();
    assert!(asked[1].2 <= LIMIT - Duration::from_secs(2), "{:?}", asked[1].2);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_here_meanwhile_is_asked_here() {
    let rig = rig([not_held(Holder::Nobody)]);
    rig.writer.set(&rig.node, held_by("b"));
    let asking = rig.asking();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut here = rig.connect();
    // Who holds it is still said to be b, whose turn it was already: it says no again.
    rig.others.answers.lock().unwrap().push_back(not_held(Holder::Nobody));
    assert_eq!(asking.await.unwrap(), Ok(None));
    assert!(here.try_recv().is_some() && here.try_recv().is_none(), "once");
}

#[tokio::test(start_paused = true)]
async fn this_one_holds_a_node_that_the_router_has_not_heard_of() {
    let rig = rig([]);
    rig.writer.set(&rig.node, Holder::Us);
    let asking = rig.asking();
    tokio::time::sleep(COMES / 2).await;
    let mut here = rig.connect();
    assert_eq!(asking.await.unwrap(), Ok(None));
    assert!(here.try_recv().is_some());
    assert_eq!(rig.begun.elapsed(), COMES / 2);
}

#[tokio::test(start_paused = true)]
async fn who_was_asked_may_know_better_and_nobody_is_asked_for_ever() {
    let circle = |name: &str| not_held(held_by(name));
    let rig = rig([circle("c"), Ok(())]);
    rig.writer.set(&rig.node, held_by("b"));
    assert!(rig.ask().await.unwrap().is_some());
    assert_eq!(rig.asked(), ["b", "c"]);
    assert!(rig.begun.elapsed() < Duration::from_secs(1));

    let rig = self::rig(["c", "b", "c", "b", "c", "b", "c", "b", "c"].map(circle));
    rig.writer.set(&rig.node, held_by("b"));
    assert_eq!(rig.ask().await, Err(Unreached::NotConnected));
    assert_eq!(rig.asked(), ["b", "c", "b", "c"], "then it waits for news");
    assert_eq!(rig.begun.elapsed().as_secs(), MOVES.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_cannot_be_reached_is_tried_again_when_that_makes_sense() {
    let rig = rig([refused(200), refused(400), Ok(())]);
    rig.writer.set(&rig.node, held_by("b"));
    assert!(rig.ask().await.unwrap().is_some());
    let times: Vec<_> =
        rig.others.asked.lock().unwrap().iter().map(|(_, at, _)| (*at - rig.begun).as_millis()).collect();
    assert_eq!(times, [0, 201, 602]);
    // For as long as a node takes to move, and no longer.
    let rig = self::rig(std::iter::repeat_with(|| refused(2000)).take(100));
    rig.writer.set(&rig.node, held_by("b"));
    assert_eq!(rig.ask().await, Err(Unreached::Away));
    assert_eq!((rig.asked().len(), rig.begun.elapsed().as_secs()), (3, MOVES.as_secs()));
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_sent_is_not_sent_again() {
    for why in [Unreached::Lost, Unreached::TimedOut(LIMIT)] {
        let rig = rig([Err(why.into()), Ok(())]);
        rig.writer.set(&rig.node, held_by("b"));
        let asking = rig.asking();
        rig.writer.set(&rig.node, held_by("b"));
        tokio::time::sleep(Duration::from_secs(1)).await;
        rig.writer.set(&rig.node, held_by("c"));
        assert_eq!(asking.await.unwrap(), Err(why));
        assert_eq!(rig.asked(), ["b"]);
    }
    // Its time is over.
    let rig = rig([Err(Unreached::Busy(LIMIT).into())]);
    rig.writer.set(&rig.node, held_by("b"));
    assert_eq!(rig.ask().await, Err(Unreached::Busy(LIMIT)));
}

#[tokio::test(start_paused = true)]
async fn requests_for_a_node_that_is_away_wait_no_longer_than_it_takes_to_move() {
    let rig = rig([]);
    let first = rig.asking();
    tokio::time::sleep(MOVES / 2).await;
    let second = rig.asking();
    assert_eq!(first.await.unwrap(), Err(Unreached::NotConnected));
    assert_eq!(second.await.unwrap(), Err(Unreached::NotConnected));
    assert_eq!(rig.begun.elapsed(), MOVES, "both");
    assert_eq!(rig.ask().await, Err(Unreached::NotConnected));
    assert_eq!(rig.begun.elapsed(), MOVES, "at once");
    // Another chance, later on.
    tokio::time::sleep(AWAY).await;
    let begun = Instant::now();
    assert_eq!(rig.ask().await, Err(Unreached::NotConnected));
    assert_eq!(begun.elapsed(), MOVES);
    // It was here since: it may be moving now.
    let here = rig.connect();
    assert_eq!(rig.ask().await, Ok(None));
    drop(here);
    let begun = Instant::now();
    assert_eq!(rig.ask().await, Err(Unreached::NotConnected));
    assert_eq!(begun.elapsed(), MOVES);
    // No longer than whoever asks would wait.
    let begun = Instant::now();
    let other = NodeName::new("edge-2");
    let limit = Duration::from_millis(100);
    let answer = rig.anywhere.send(&other, message(), Wants::Answer, limit).await;
    assert_eq!((answer, begun.elapsed()), (Err(Unreached::NotConnected), limit));
}

#[tokio::test(start_paused = true)]
async fn a_node_of_stock_is_not_ours_to_send_to() {
    let rig = rig([]);
    rig.writer.set(&rig.node, Holder::Stock("10.0.0.9".into()));
    assert_eq!(rig.ask().await, Err(Unreached::WithStock));
    assert!(rig.asked().is_empty());
}

#[test]
fn the_nodes_that_are_known_to_be_away_are_bounded() {
    let (away, now) = (Away::default(), Instant::now());
    for number in 0..KNOWN {
        assert_eq!(away.patience(&NodeName::new(format!("n{number}")), now), now + MOVES);
    }
    assert_eq!(away.patience(&NodeName::new("one-more"), now), now, "it is not waited for");
    assert_eq!(away.patience(&NodeName::new("n1"), now), now + MOVES);
    let later = now + AWAY;
    assert_eq!(away.patience(&NodeName::new("one-more"), later), later + MOVES);
    assert_eq!(away.0.lock().unwrap().len(), 1);
}
