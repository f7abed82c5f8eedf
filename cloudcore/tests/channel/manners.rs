//! One node with a good certificate and bad manners, in both dialects: it harms itself at most, and nobody else notices.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chassis::link::Dialect;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Node};
use kube::Api;
use proto::Operation;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::evil::{BOTH, EVIL, Evil, Heard, OTHER, Push, is_undisturbed};
use crate::objects;

#[tokio::test(start_paused = true)]
async fn a_node_that_never_acknowledges_has_a_window_under_way_and_no_more() {
    for (dialect, window) in [(Dialect::Stock, 12), (Dialect::Native, 256)] {
        let (cloud, mut other, mut evil) = Evil::begin(dialect).await;
        for n in 0..300 {
            cloud.create_pod(&format!("pod-{n:03}"), EVIL).await;
        }
        let mut seen = BTreeMap::<String, String>::new();
        for _ in 0..15 {
            evil.keepalive().await;
            other.keepalive().await;
            let pushes = evil.pushes().await;
            // In the stock dialect what was not acknowledged lets others go first after five seconds.
            assert!(pushes.len() <= window, "{dialect:?}: {} at once", pushes.len());
            seen.extend(pushes.into_iter().map(|push| (push.id, push.what)));
        }
        assert!(seen.len() >= window, "{dialect:?}");
        let objects: BTreeSet<_> = seen.values().collect();
        assert_eq!(
            objects.len(),
            seen.len(),
            "{dialect:?}: one message for each object, however often it is sent"
        );
        is_undisturbed(&cloud, &mut other, "theirs").await;
        // It changes its mind: everything comes, and nothing is lost.
        let mut taken: Vec<String> = seen.values().cloned().collect();
        for id in seen.keys() {
            evil.ack(id).await;
        }
        while let Some(heard) = evil.hear().await {
            if let Heard::Push(push) = heard {
                evil.ack(&push.id).await;
                taken.push(push.what);
            }
        }
        taken.sort();
        taken.dedup();
        taken.retain(|what| what.contains("/pod/"));
        assert_eq!(taken.len(), 300, "{dialect:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn acknowledging_twice_and_what_was_never_sent_opens_no_window_and_loses_nothing() {
    for (dialect, window) in [(Dialect::Stock, 12), (Dialect::Native, 256)] {
        let (cloud, mut other, mut evil) = Evil::begin(dialect).await;
        evil.keepalive().await;
        for push in evil.pushes().await {
            evil.ack(&push.id).await;
        }
        for n in 0..600 {
            cloud.create_pod(&format!("pod-{n:03}"), EVIL).await;
        }
        let first = evil.pushes().await;
        assert!(!first.is_empty(), "{dialect:?}");
        for push in &first {
            evil.ack(&push.id).await;
            evil.ack(&push.id).await;
            evil.ack(&format!("9{}", push.id)).await;
            evil.ack("").await;
        }
        let mut second: Vec<Push> = evil.pushes().await;
        second.sort();
        second.dedup();
        assert_eq!(second.len(), window, "{dialect:?}: a window is a window");
        let again = second.iter().filter(|push| first.iter().any(|known| known.what == push.what)).count();
        assert_eq!(again, 0, "{dialect:?}: what was stored is not sent again");
        is_undisturbed(&cloud, &mut other, "theirs").await;
        let mut taken = first.len() + second.len();
        for push in second {
            evil.ack(&push.id).await;
        }
        while let Some(heard) = evil.hear().await {
            if let Heard::Push(push) = heard {
                evil.ack(&push.id).await;
                evil.ack(&push.id).await;
                taken += 1;
            }
        }
        assert!(taken >= 600, "{dialect:?}: {taken}");
    }
}

/// A recorded message is the same message, and says nothing new.
#[tokio::test(start_paused = true)]
async fn replayed_requests_are_answered_each_and_change_nothing() {
    for dialect in BOTH {
        let (cloud, mut other, mut evil) = Evil::begin(dialect).await;
        let event = json!({
            "metadata": {"name": "node.1", "namespace": "default"},
            "involvedObject": {"kind": "Node", "name": EVIL}, "reason": "Odd", "message": "Well", "count": 1,
        });
        let lease_path = format!("kube-node-lease/lease/{EVIL}");
        for (operation, path, content) in [
            (Operation::Insert, "default/event/node.1", &event),
            (Operation::Insert, lease_path.as_str(), &objects::lease(EVIL)),
            (Operation::Insert, &format!("default/node/{EVIL}"), &objects::node(EVIL)),
        ] {
            let recorded = evil.request("r1", operation, path, content);
            for n in 0..100 {
                evil.send_frame(recorded.clone()).await;
                let answer = evil.answer().await;
                assert_eq!(answer.header.parent_id.as_deref(), Some("r1"), "{dialect:?} {path} {n}");
            }
        }
        let events = Api::<Event>::namespaced(cloud.client.clone(), "default");
        assert_eq!(events.list(&Default::default()).await.unwrap().items.len(), 1);
        assert_eq!(events.get("node.1").await.unwrap().count, Some(1));
        let leases = Api::<Lease>::namespaced(cloud.client.clone(), "kube-node-lease");
        assert_eq!(leases.list(&Default::default()).await.unwrap().items.len(), 1);
        assert_eq!(
            Api::<Node>::all(cloud.client.clone()).list(&Default::default()).await.unwrap().items.len(),
            2
        );
        is_undisturbed(&cloud, &mut other, "theirs").await;
    }
}

/// What a session before was told counts for nothing in the next: the node may have lost it.
#[tokio::test(start_paused = true)]
async fn replayed_acknowledgements_of_an_earlier_session_count_for_nothing() {
    let (cloud, _other, mut evil) = Evil::begin(Dialect::Stock).await;
    cloud.create_pod("web", EVIL).await;
    let before = evil.pushes().await;
    assert!(before.iter().any(|push| push.what == "default/pod/web"));
    drop(evil);
    let mut evil = Evil::connect(&cloud, Dialect::Stock).await;
    for push in &before {
        evil.ack(&push.id).await;
    }
    let after = evil.pushes().await;
    assert!(after.iter().any(|push| push.what == "default/pod/web"));
    assert!(after.iter().all(|push| before.iter().all(|known| known.id != push.id)));
}

/// USERS 3.3: authorization of nodes is on by default: nothing is configured here.
#[tokio::test(start_paused = true)]
async fn what_belongs_to_another_node_can_be_neither_read_nor_touched() {
    for dialect in BOTH {
        let (cloud, mut other, mut evil) = Evil::begin(dialect).await;
        cloud.create_secret("web-secret").await;
        cloud.create_config_map("web-cfg").await;
        let uid = cloud.create_pod("web", OTHER).await.metadata.uid.unwrap();
        for _ in 0..3 {
            other.take().await;
        }
        let running = json!({"metadata": {"uid": uid}, "status": {"phase": "Failed"}});
        let node = objects::node(OTHER);
        let lease = objects::lease(OTHER);
        let lie = json!({
            "metadata": {"name": "lie", "namespace": "default"},
            "involvedObject": {"kind": "Node", "name": OTHER}, "reason": "Lie", "message": "It is gone",
        });
        let path_of_node = format!("default/node/{OTHER}");
        let cases = [
            (Operation::Query, "default/secret/web-secret", &Value::Null),
            (Operation::Query, "default/configmap/web-cfg", &Value::Null),
            (Operation::Query, &path_of_node, &Value::Null),
            (Operation::Insert, &path_of_node, &node),
            (Operation::Update, &path_of_node, &node),
            (Operation::Delete, "default/pod/web", &json!(uid)),
            (Operation::Patch, "default/podpatch/web", &running),
            (Operation::Patch, &format!("default/nodepatch/{OTHER}"), &json!({"status": {}})),
            (Operation::Insert, &format!("kube-node-lease/lease/{OTHER}"), &lease),
            (Operation::Update, &format!("kube-node-lease/lease/{OTHER}"), &lease),
            (Operation::Query, &format!("kube-node-lease/lease/{OTHER}"), &Value::Null),
            (Operation::Insert, "default/event/lie", &lie),
        ];
        let before = cloud.pods().get("web").await.unwrap();
        for (n, (operation, path, content)) in cases.into_iter().enumerate() {
            let request = evil.request(&format!("q{n}"), operation.clone(), path, content);
            evil.send_frame(request).await;
            let answer = evil.answer().await;
            let said = String::from_utf8_lossy(&answer.content.data()).into_owned();
            assert!(said.contains("Forbidden"), "{dialect:?} {operation} {path}: {said}");
        }
        assert_eq!(cloud.pods().get("web").await.unwrap(), before);
        is_undisturbed(&cloud, &mut other, "theirs").await;
    }
}

/// Its requests wait where it must wait too: nothing piles up in the cloud, and who never listens is cut off.
#[tokio::test(start_paused = true)]
async fn a_flood_is_taken_no_faster_than_it_is_answered_and_the_deaf_are_cut_off() {
    for dialect in BOTH {
        let (cloud, mut other, mut evil) = Evil::begin(dialect).await;
        let question = evil.request("f", Operation::Query, &format!("null/node/{EVIL}"), &Value::Null);
        let mut taken = 0;
        let flooding = async {
            loop {
                let tx = match &mut evil {
                    Evil::Stock(edge) => &mut edge.link.tx,
                    Evil::Native(edge) => &mut edge.link.tx,
                };
                if tx.send(question.clone()).await.is_err() {
                    return;
                }
                taken += 1;
            }
        };
        let ended = timeout(Duration::from_secs(120), flooding);
        let meanwhile = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            is_undisturbed(&cloud, &mut other, "theirs").await;
        };
        let (ended, ()) = tokio::join!(ended, meanwhile);
        ended.expect("it is cut off");
        // Two queues of the hub, of 64 each, those of the link each way, and what is in hand.
        assert!(taken < 400, "{dialect:?}: {taken} requests were taken that nobody reads the answers of");
        let stuck = cloud.metric(r#"cloudhub_ended_sessions_total{reason="stuck"}"#);
        assert_eq!(stuck.as_deref(), Some("1"), "{dialect:?}");
    }
}

/// ADA-KE-03 (CVE-2022-31076, CVE-2022-31077): JSON that is `null` where an object should be brought a server down.
#[tokio::test(start_paused = true)]
async fn ada_ke_03_null_and_other_odd_contents_of_any_request_are_answered_with_an_error() {
    let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
    let deep: Value = serde_json::from_str(&deep).unwrap();
    let odd = [Value::Null, json!([]), json!(0), json!(""), json!("null"), json!([null]), json!({}), deep];
    for dialect in BOTH {
        let (cloud, mut other, mut evil) = Evil::begin(dialect).await;
        let paths = [
            format!("null/node/{EVIL}"),
            format!("default/node/{EVIL}"),
            format!("default/nodepatch/{EVIL}"),
            format!("kube-node-lease/lease/{EVIL}"),
            "default/podstatus".to_owned(),
            "default/podpatch/web".to_owned(),
            "default/pod/web".to_owned(),
            "default/event/web.1".to_owned(),
            "default/secret/web-secret".to_owned(),
            "default/serviceaccounttoken/default".to_owned(),
            "default/certificatesigningrequest/c1".to_owned(),
            "null/persistentvolume/v".to_owned(),
        ];
        let operations =
            [Operation::Insert, Operation::Update, Operation::Patch, Operation::Delete, Operation::Query];
        for (n, path) in paths.iter().enumerate() {
            for operation in &operations {
                for (m, content) in odd.iter().enumerate() {
                    let id = format!("{n}-{operation}-{m}");
                    evil.send_frame(evil.request(&id, operation.clone(), path, content)).await;
                }
                evil.keepalive().await;
                other.keepalive().await;
                // Whatever the answers are: the session goes on.
                while let Some(heard) = evil.hear().await {
                    if let Heard::Push(push) = heard {
                        evil.ack(&push.id).await;
                    }
                }
            }
        }
        is_undisturbed(&cloud, &mut other, "theirs").await;
    }
}
