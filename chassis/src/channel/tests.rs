use super::*;
use crate::task;

fn exposition(registry: &Registry) -> String {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    text
}

fn metered(capacity: usize) -> (Registry, Sender<u32>, Receiver<u32>) {
    let mut registry = Registry::default();
    let metrics = ChannelMetrics::register(&mut registry);
    let (tx, rx) = bounded_with("pods", capacity, &metrics);
    (registry, tx, rx)
}

#[tokio::test]
async fn depth_and_drops_are_counted() {
    let (registry, tx, mut rx) = metered(2);
    tx.send(1).await.unwrap();
    tx.try_send(2).unwrap();
    assert_eq!(tx.try_send(3), Err(TrySend::Full(3)));
    assert_eq!(tx.try_send(4), Err(TrySend::Full(4)));
    let text = exposition(&registry);
    assert!(text.contains("channel_depth_messages{queue=\"pods\"} 2"), "{text}");
    assert!(text.contains("channel_dropped_messages_total{queue=\"pods\"} 2"), "{text}");

    assert_eq!(rx.recv().await, Some(1));
    assert!(exposition(&registry).contains("channel_depth_messages{queue=\"pods\"} 1"));
    drop(rx);
    assert!(exposition(&registry).contains("channel_depth_messages{queue=\"pods\"} 0"));
}

#[tokio::test]
async fn a_gone_receiver_gives_the_message_back_and_is_not_a_drop() {
    let (registry, tx, rx) = metered(1);
    drop(rx);
    assert_eq!(tx.send(1).await, Err(Closed(1)));
    assert_eq!(tx.try_send(2), Err(TrySend::Closed(2)));
    assert!(tx.reserve().await.is_err());
    assert!(exposition(&registry).contains("channel_dropped_messages_total{queue=\"pods\"} 0"));
}

#[tokio::test]
async fn a_closed_queue_is_still_emptied() {
    let (tx, mut rx) = bounded("pods", 4);
    for n in 1..=3 {
        tx.send(n).await.unwrap();
    }
    drop(tx);
    let mut batch = Vec::new();
    assert_eq!(rx.recv_many(&mut batch, 2).await, 2);
    assert_eq!(rx.recv_many(&mut batch, 2).await, 1);
    assert_eq!(rx.recv_many(&mut batch, 2).await, 0);
    assert_eq!(batch, [1, 2, 3]);
}

#[tokio::test]
async fn room_that_was_reserved_is_kept_and_room_that_is_not_used_is_given_back() {
    let (tx, mut rx) = bounded("pods", 1);
    let permit = tx.reserve().await.unwrap();
    assert_eq!(tx.try_send(2), Err(TrySend::Full(2)));
    permit.send(1);
    assert_eq!(rx.try_recv(), Some(1));
    assert_eq!(rx.try_recv(), None);
    drop(tx.reserve().await.unwrap());
    tx.try_send(3).unwrap();
}

#[tokio::test]
async fn capacity_zero_means_one() {
    let (tx, _rx) = bounded("pods", 0);
    tx.try_send(1).unwrap();
}

/// Two modules push at each other: `below` answers each command with three reports, through queues of one.
#[tokio::test]
async fn forwarding_in_both_directions_does_not_deadlock() {
    const COMMANDS: u32 = 1000;
    let (command, mut commands) = bounded::<u32>("command", 1);
    let (down, mut below) = bounded::<u32>("down", 1);
    let (report, mut reports) = bounded::<u32>("report", 1);
    let (up, mut above) = bounded::<u32>("up", 1);

    let mut tasks = tokio::task::JoinSet::new();
    let none = tracing::Span::none;
    task::spawn_in(&mut tasks, none(), async move {
        for n in 0..COMMANDS {
            command.send(n).await.unwrap();
        }
    });
    task::spawn_in(&mut tasks, none(), async move { forward(&mut commands, &down, |n| n).await.unwrap() });
    task::spawn_in(&mut tasks, none(), async move { forward(&mut reports, &up, |n| n).await.unwrap() });
    task::spawn_in(&mut tasks, none(), async move {
        while let Some(n) = below.recv().await {
            for _ in 0..3 {
                report.send(n).await.unwrap();
            }
        }
    });
    let mut arrived = 0;
    while above.recv().await.is_some() {
        arrived += 1;
    }
    assert_eq!(arrived, COMMANDS * 3);
    tasks.join_all().await;
}

#[tokio::test]
async fn forwarding_ends_with_the_outbox_and_takes_nothing_it_cannot_deliver() {
    let (tx, mut inbox) = bounded("in", 1);
    let (outbox, rx) = bounded("out", 1);
    drop(rx);
    tx.send(1).await.unwrap();
    assert_eq!(forward(&mut inbox, &outbox, |n: u32| n).await, Err(Closed(())));
    assert_eq!(inbox.recv().await, Some(1));
}
