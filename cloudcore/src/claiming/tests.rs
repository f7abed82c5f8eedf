use apiserver::store::Database;
use apiserver::{ApiServer, Options, User};
use kube::api::PostParams;
use serde_json::Value;
use tokio::time::advance;

use super::*;
use crate::flow::{LASTS, Peer, Replica, Tenure, Us};

const NODE: &str = "edge-1";

/// A replica and the API.
struct Rig {
    client: Client,
    claimant: Claimant,
    tenure: Tenure,
}

fn us(name: &str) -> Us {
    Us { name: name.into(), address: format!("10.0.0.{name}").into() }
}

fn peer(name: &str) -> Peer {
    let Us { name, address } = us(name);
    let replica = Replica { name, forwarding: format!("{address}:10006").into() };
    Peer { replica, address, lives: true, leaves: false }
}

impl Rig {
    async fn new() -> Self {
        let api = ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap();
        Self::on(Client::new(api.service(User::admin()), "default"), "1", "2")
    }

    fn on(client: Client, name: &str, other: &str) -> Self {
        let (claims, _) = Claims::new(us(name));
        claims.peers(vec![peer(other)]);
        let claimant = Claimant::new(client.clone(), claims, Metrics::default());
        Self { client, claimant, tenure: Tenure::new() }
    }

    fn node() -> NodeName {
        NodeName::new(NODE)
    }

    fn nodes(&self) -> Api<Node> {
        Api::all(self.client.clone())
    }

    async fn create(&self) {
        let node = serde_json::from_value(json!({"metadata": {"name": NODE}})).unwrap();
        self.nodes().create(&PostParams::default(), &node).await.unwrap();
        self.watch().await;
    }

    /// What a watch does.
    async fn watch(&self) {
        let node = self.nodes().get(NODE).await.unwrap();
        self.claimant.claims().seen(&Self::node(), Claim::of(&node));
    }

    async fn holder(&self) -> (Value, String) {
        let node = self.nodes().get(NODE).await.unwrap();
        let annotations = node.metadata.annotations.unwrap_or_default();
        (json!([annotations.get(ADDRESS), annotations.get(HELD_BY)]), node.metadata.resource_version.unwrap())
    }

    async fn open(&self, fence: &Fence) -> Result<(), Closed> {
        self.claimant.open(&Self::node(), fence).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_is_claimed_once_and_a_fleet_that_comes_back_writes_nothing() {
    let rig = Rig::new().await;
    rig.create().await;
    rig.open(&Fence::new(&rig.tenure)).await.unwrap();
    let (holder, version) = rig.holder().await;
    assert_eq!(holder, json!(["10.0.0.1", "1"]));
    rig.watch().await;
    // It connects again, to this process or the next one of that name.
    for rig in [&rig, &Rig::on(rig.client.clone(), "1", "2")] {
        rig.watch().await;
        rig.open(&Fence::new(&rig.tenure)).await.unwrap();
        assert_eq!(rig.holder().await.1, version);
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_counts_against_the_node_as_it_is_and_not_as_it_was_seen() {
    let rig = Rig::new().await;
    rig.create().await;
    let other = Rig::on(rig.client.clone(), "2", "1");
    other.watch().await;
    other.open(&Fence::new(&other.tenure)).await.unwrap();
    let fence = Fence::new(&rig.tenure);
    rig.open(&fence).await.unwrap();
    assert_eq!(rig.holder().await.0, json!(["10.0.0.1", "1"]), "the node came here last");
    // What the watch brings late is from before.
    assert!(!fence.seen(false, 2));
    rig.open(&fence).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_slept_writes_nothing_for_a_node_that_moved_and_takes_nothing_back() {
    let rig = Rig::new().await;
    rig.create().await;
    let held = Fence::new(&rig.tenure);
    rig.open(&held).await.unwrap();
    // This one has just connected when the process is stopped.
    let fresh = Fence::new(&rig.tenure);
    advance(2 * LASTS).await;
    let other = Rig::on(rig.client.clone(), "2", "1");
    other.watch().await;
    other.open(&Fence::new(&other.tenure)).await.unwrap();
    let before = rig.holder().await;
    assert_eq!(before.0, json!(["10.0.0.2", "2"]));
    // It wakes up, and its Lease is renewed before its watch has seen anything.
    rig.tenure.renewed(Instant::now());
    for fence in [&held, &fresh] {
        assert!(matches!(rig.open(fence).await, Err(Closed::Lost)));
        fence.lost().await;
    }
    assert_eq!(rig.holder().await, before);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_slept_and_lost_nothing_goes_on() {
    let rig = Rig::new().await;
    rig.create().await;
    let fence = Fence::new(&rig.tenure);
    rig.open(&fence).await.unwrap();
    let before = rig.holder().await;
    advance(360 * LASTS).await;
    assert_eq!(fence.verdict(), Verdict::InDoubt);
    rig.open(&fence).await.unwrap();
    assert!(fence.is_open());
    assert_eq!(rig.holder().await, before);
}

#[tokio::test(start_paused = true)]
async fn a_node_of_one_that_died_meanwhile_is_taken_and_one_of_stock_is_not() {
    let rig = Rig::new().await;
    rig.create().await;
    for (address, held_by, is_free) in [("10.0.0.2", "2", true), ("10.9.9.9", "1", false)] {
        let fence = Fence::new(&rig.tenure);
        advance(2 * LASTS).await;
        rig.claimant.claims().peers(vec![Peer { lives: false, ..peer("2") }]);
        let patch = json!({"metadata": {"annotations": {ADDRESS: address, HELD_BY: held_by}}});
        rig.nodes().patch(NODE, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        assert_eq!(rig.open(&fence).await.is_ok(), is_free, "{address}");
        let holder = if is_free { json!(["10.0.0.1", "1"]) } else { json!([address, held_by]) };
        assert_eq!(rig.holder().await.0, holder);
    }
}

#[tokio::test(start_paused = true)]
async fn before_there_is_a_node_nothing_has_to_be_claimed() {
    let rig = Rig::new().await;
    let fence = Fence::new(&rig.tenure);
    rig.open(&fence).await.unwrap();
    advance(2 * LASTS).await;
    rig.open(&fence).await.unwrap();
    rig.create().await;
    assert!(!fence.seen(false, 1));
    rig.open(&fence).await.unwrap();
    assert_eq!(rig.holder().await.0, json!(["10.0.0.1", "1"]));
}
