//! Against the embedded API.

use apiserver::store::Database;
use apiserver::{ApiServer, Options, User};
use k8s_openapi::api::core::v1::Namespace;

use super::*;

async fn cluster() -> (Client, Bans) {
    let api = ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap();
    let client = Client::new(api.service(User::admin()), "default");
    let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}})).unwrap();
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    let node = serde_json::from_value(json!({"metadata": {"name": "edge-1"}})).unwrap();
    Api::<Node>::all(client.clone()).create(&PostParams::default(), &node).await.unwrap();
    (client.clone(), Bans::new(client))
}

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

const STOLEN: Verdict<'_> = Verdict::Ban { reason: "stolen" };

#[tokio::test]
async fn a_ban_is_written_lifted_and_forgotten() {
    let (_, bans) = cluster().await;
    assert_eq!(bans.list().await.unwrap(), BanList::default());
    for (verdict, is_change, is_banned, is_known) in [
        (Verdict::Lift, false, false, false),
        (STOLEN, true, true, true),
        (STOLEN, false, true, true),
        (Verdict::Lift, true, false, true),
        (Verdict::Lift, false, false, true),
        (STOLEN, true, true, true),
        (Verdict::Forget, true, false, false),
        (Verdict::Forget, false, false, false),
    ] {
        assert_eq!(bans.apply("edge-1", verdict, now()).await.unwrap(), is_change, "{verdict:?}");
        let list = bans.list().await.unwrap();
        assert_eq!(
            (list.is_banned("edge-1"), list.get("edge-1").is_some()),
            (is_banned, is_known),
            "{verdict:?}"
        );
    }
}

/// Two administrators at once: neither ban is lost.
#[tokio::test]
async fn bans_written_at_once_are_all_there() {
    let (_, bans) = cluster().await;
    let write = |node: &'static str| {
        let bans = bans.clone();
        async move { bans.apply(node, STOLEN, now()).await.unwrap() }
    };
    let written = tokio::join!(write("edge-1"), write("edge-2"), write("edge-3"));
    assert_eq!(written, (true, true, true));
    let banned: Vec<_> = bans.list().await.unwrap().iter().map(|(node, _)| node.to_owned()).collect();
    assert_eq!(banned, ["edge-1", "edge-2", "edge-3"]);
}

#[tokio::test]
async fn the_node_shows_its_ban() {
    let (client, bans) = cluster().await;
    let shown = async || {
        let node = Api::<Node>::all(client.clone()).get("edge-1").await.unwrap();
        node.metadata.annotations.unwrap_or_default().remove(ANNOTATION)
    };
    assert!(bans.annotate("edge-1", Some("stolen")).await.unwrap());
    assert_eq!(shown().await.as_deref(), Some("stolen"));
    assert!(bans.annotate("edge-1", None).await.unwrap());
    assert_eq!(shown().await, None);
    assert!(!bans.annotate("edge-9", Some("")).await.unwrap(), "there is no such Node");
}
