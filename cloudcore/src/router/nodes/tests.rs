use chassis::channel::{Receiver, bounded};
use proto::{Content, Group, Resource, Route, Source, Stamp};

use super::*;
use crate::flow::Replies;

const LIMIT: Duration = Duration::from_secs(60);

fn edge(name: &str, is_native: bool, nodes: &LocalNodes) -> (NodeName, Receiver<Message>) {
    let (tx, rx) = bounded("replies", 1);
    let node = NodeName::new(name);
    nodes.connected(UserSession { node: node.clone(), replies: Replies::new(tx), is_native });
    (node, rx)
}

fn question() -> Message {
    let route = Route {
        source: Source::RouterServiceBus,
        group: Group::User,
        operation: Operation::from("POST"),
        resource: Resource::Topic("8080:/".to_owned()),
    };
    Message::new(Stamp { id: "q".to_owned(), timestamp: 1 }, route, Content::Null)
}

fn answer(to: &Message) -> Message {
    let mut answer = to.clone();
    answer.header.parent_id = Some(to.header.id.clone());
    answer.header.id = "a".to_owned();
    answer.route.operation = Operation::Upload;
    answer
}

#[tokio::test(start_paused = true)]
async fn an_answer_finds_who_asked_and_only_of_the_node_that_was_asked() {
    let nodes = LocalNodes::default();
    let (one, mut rx) = edge("one", true, &nodes);
    let (other, _rx) = edge("other", true, &nodes);
    let asking = nodes.ask(&one, question(), Wants::Answer, LIMIT);
    let answering = async {
        let asked = rx.recv().await.unwrap();
        assert!(!nodes.answered(&other, answer(&asked)), "it was not asked");
        assert!(nodes.answered(&one, answer(&asked)));
        assert!(!nodes.answered(&one, answer(&asked)), "once");
    };
    let (answered, ()) = tokio::join!(asking, answering);
    assert_eq!(answered.unwrap().unwrap().header.id, "a");
    assert!(nodes.lock().asked.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stock_node_gives_no_receipt_and_none_is_waited_for() {
    let nodes = LocalNodes::default();
    let (node, mut rx) = edge("one", false, &nodes);
    assert_eq!(nodes.ask(&node, question(), Wants::Receipt, LIMIT).await, Ok(None));
    assert!(rx.recv().await.is_some());
    assert!(nodes.lock().asked.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_is_told_from_what_was_not() {
    let nodes = LocalNodes::default();
    let node = NodeName::new("one");
    assert_eq!(nodes.ask(&node, question(), Wants::Answer, LIMIT).await, Err(Unreached::NotConnected));
    let (_, rx) = edge("one", true, &nodes);
    let start = Instant::now();
    assert_eq!(nodes.ask(&node, question(), Wants::Answer, LIMIT).await, Err(Unreached::TimedOut(LIMIT)));
    assert_eq!(start.elapsed(), LIMIT);
    // The queue of one is full now.
    assert_eq!(nodes.ask(&node, question(), Wants::Answer, LIMIT).await, Err(Unreached::Busy(LIMIT)));
    drop(rx);
    assert_eq!(nodes.ask(&node, question(), Wants::Answer, LIMIT).await, Err(Unreached::NotConnected));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_back_may_still_answer() {
    let nodes = LocalNodes::default();
    let (node, mut rx) = edge("one", true, &nodes);
    let asking = nodes.ask(&node, question(), Wants::Answer, LIMIT);
    let answering = async {
        let asked = rx.recv().await.unwrap();
        drop(rx);
        tokio::time::sleep(BACK / 2).await;
        let (_, rx) = edge("one", true, &nodes);
        nodes.answered(&node, answer(&asked));
        rx
    };
    let (answered, rx) = tokio::join!(asking, answering);
    assert!(answered.is_ok());
    drop(rx);
    let (_, mut rx) = edge("one", true, &nodes);
    let start = Instant::now();
    let ending = async {
        rx.recv().await.unwrap();
        drop(rx);
    };
    let (answered, ()) = tokio::join!(nodes.ask(&node, question(), Wants::Answer, LIMIT), ending);
    assert_eq!((answered, start.elapsed()), (Err(Unreached::Lost), BACK));
}
