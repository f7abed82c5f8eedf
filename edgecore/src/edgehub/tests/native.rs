//! Native links: the hello, and what a keepalive without an answer means.

use proto::codec::binary::{self, Acks, Frame as Native, Push};
use proto::hello::{Held, Hello, VERSION, Welcome};
use proto::{ObjectPath, Resource, ResourceKind};

use super::*;

fn held() -> Held {
    Held { path: "default/pod/web".into(), uid: "u1".into(), version: "7".into(), digest: 8 }
}

fn welcome() -> Native {
    Native::Welcome(Welcome { version: VERSION, software: "test".into(), time: 0 })
}

fn push(seq: u64) -> Push {
    let path =
        ObjectPath { namespace: Some("default".into()), kind: ResourceKind::Pod, name: Some("web".into()) };
    Push { seq, path, uid: "u1".into(), version: "7".into(), digest: 8, object: None }
}

async fn send(link: &mut Link, frame: &Native) {
    link.tx.send(Frame::Binary(binary::encode(frame))).await.unwrap();
}

async fn hear(link: &mut Link) -> Native {
    let frame = link.rx.recv().await.unwrap().expect("the edge closed the link");
    binary::decode(frame.data()).unwrap()
}

impl Rig {
    /// A link of which the edge has said hello.
    async fn greeted(&mut self) -> (Link, Hello) {
        let mut link = self.acceptor.accept().await.unwrap();
        let Some(FromCloud::Connected(Some(hello))) = self.down.recv().await else { panic!("no hello") };
        hello.send(vec![held()]).unwrap();
        match hear(&mut link).await {
            Native::Hello(hello) => (link, hello),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn it_begins_with_what_it_holds_and_sends_nothing_before_the_welcome() {
    let mut rig = Rig::speaking(Dialect::Native);
    let (mut link, hello) = rig.greeted().await;
    assert_eq!((hello.versions, hello.held), (vec![VERSION], vec![held()]));
    rig.up.send(ToCloud::Acks(Acks { stored: vec![1], refused: Vec::new() })).await.unwrap();
    let early = tokio::time::timeout(Duration::from_secs(5), link.rx.recv()).await;
    assert!(early.is_err(), "{early:?}");
    // On another lane a push may overtake the welcome: it counts.
    send(&mut link, &Native::Push(Box::new(push(1)))).await;
    send(&mut link, &welcome()).await;
    let mut said = [hear(&mut link).await, hear(&mut link).await];
    said.sort_by_key(|frame| *frame != Native::Keepalive);
    assert_eq!(said[0], Native::Keepalive);
    assert!(matches!(&said[1], Native::Acks(acks) if acks.stored == [1]));
    assert!(matches!(rig.down.recv().await, Some(FromCloud::Push(got)) if got.seq == 1));
}

#[tokio::test(start_paused = true)]
async fn messages_and_pushes_go_both_ways() {
    let mut rig = Rig::speaking(Dialect::Native);
    let (mut link, _) = rig.greeted().await;
    send(&mut link, &welcome()).await;
    assert_eq!(hear(&mut link).await, Native::Keepalive);
    let query = message("m1", Operation::Query);
    rig.up.send(ToCloud::Message(Box::new(query.clone()))).await.unwrap();
    assert_eq!(hear(&mut link).await, Native::Message(Box::new(query)));
    let answer = message("m2", Operation::Response);
    send(&mut link, &Native::Message(Box::new(answer.clone()))).await;
    assert!(matches!(rig.down.recv().await, Some(FromCloud::Message(got)) if *got == answer));
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_does_not_answer_keepalives_is_given_up_after_three_heartbeats() {
    let mut rig = Rig::speaking(Dialect::Native);
    let (mut link, _) = rig.greeted().await;
    send(&mut link, &welcome()).await;
    for _ in 0..10 {
        assert_eq!(hear(&mut link).await, Native::Keepalive);
        send(&mut link, &Native::Keepalive).await;
    }
    assert!(rig.down.try_recv().is_none(), "it lives");
    let silent_since = Instant::now();
    assert!(matches!(rig.down.recv().await, Some(FromCloud::Disconnected)));
    let waited = silent_since.elapsed();
    assert!(waited <= HEARTBEAT * DEAD_AFTER_HEARTBEATS, "{waited:?}");
}

/// What is answered anyway is a sign of life of both sides: keepalives come in between only when there is none.
#[tokio::test(start_paused = true)]
async fn a_lease_that_is_renewed_takes_the_place_of_a_keepalive() {
    let mut rig = Rig::speaking(Dialect::Native);
    let (mut link, _) = rig.greeted().await;
    send(&mut link, &welcome()).await;
    assert_eq!(hear(&mut link).await, Native::Keepalive);
    let mut renewal = message("m1", Operation::Patch);
    renewal.route.resource = Resource::object(Some("kube-node-lease"), ResourceKind::Lease, "edge-1");
    for _ in 0..6 {
        tokio::time::sleep(HEARTBEAT * 2 / 3).await;
        rig.up.send(ToCloud::Message(Box::new(renewal.clone()))).await.unwrap();
        assert_eq!(hear(&mut link).await, Native::Message(Box::new(renewal.clone())));
        send(&mut link, &Native::Message(Box::new(message("m2", Operation::Response)))).await;
        assert!(matches!(rig.down.recv().await, Some(FromCloud::Message(_))));
    }
    let last = Instant::now();
    assert_eq!(hear(&mut link).await, Native::Keepalive);
    assert_eq!(last.elapsed(), HEARTBEAT);
    // An answer to the lease would have done, and there is none to this.
    assert!(matches!(rig.down.recv().await, Some(FromCloud::Disconnected)));
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_speaks_another_version_or_nonsense_is_left() {
    let other = Native::Welcome(Welcome { version: 99, software: "test".into(), time: 0 });
    for answer in [Frame::Binary(binary::encode(&other)), Frame::Text(Bytes::from_static(b"{}"))] {
        let mut rig = Rig::speaking(Dialect::Native);
        let (mut link, _) = rig.greeted().await;
        link.tx.send(answer).await.unwrap();
        assert!(matches!(rig.down.recv().await, Some(FromCloud::Disconnected)));
        rig.greeted().await;
    }
}
