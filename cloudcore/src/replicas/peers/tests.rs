use jiff::{SignedDuration, Timestamp};
use tokio::time::advance;

use super::*;
use crate::flow::LASTS;

/// What one that looks on has seen.
struct Onlooker {
    peers: Peers,
    /// Of the Leases: the clock of another machine, which may be anything.
    wall: Timestamp,
}

impl Onlooker {
    fn new() -> Self {
        Self { peers: Peers::new("us".into()), wall: Timestamp::UNIX_EPOCH }
    }

    fn seen(&self, holder: Option<&str>) -> Seen {
        Seen {
            holder: holder.map(str::to_owned),
            version: "1".to_owned(),
            renewed: Some(self.wall),
            lasts: LASTS,
            forwarding: "10.0.0.2:10006".into(),
            address: "10.0.0.2".into(),
            leaves: false,
        }
    }

    fn renewed(&mut self, name: &str) {
        // Backwards, for that matter.
        self.wall = self.wall.saturating_sub(SignedDuration::from_secs(1)).unwrap();
        let seen = self.seen(Some(name));
        self.peers.seen(Whose::Replica(name.into()), seen, Instant::now());
    }

    fn lives(&self) -> bool {
        self.peers.all(Instant::now()).iter().any(|peer| peer.lives)
    }

    /// Sees its own renewals for so long.
    async fn look(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            advance(EVERY.min(end - Instant::now())).await;
            self.renewed("us");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_renewed_is_dead_when_its_time_is_over() {
    let mut onlooker = Onlooker::new();
    onlooker.renewed("us");
    onlooker.renewed("b");
    let began = Instant::now();
    assert_eq!(onlooker.peers.deadline(Instant::now()), Some(began + BLIND), "it looks again then");
    onlooker.look(LASTS - Duration::from_secs(1)).await;
    assert!(onlooker.lives());
    assert_eq!(onlooker.peers.deadline(Instant::now()), Some(began + LASTS));
    onlooker.look(Duration::from_secs(1)).await;
    assert!(!onlooker.lives());
    assert_eq!(onlooker.peers.deadline(Instant::now()), None);
    onlooker.renewed("b");
    assert!(onlooker.lives(), "it was only slow");
}

#[tokio::test(start_paused = true)]
async fn nobody_dies_while_nothing_is_seen_and_everybody_gets_a_new_chance() {
    let mut onlooker = Onlooker::new();
    onlooker.renewed("us");
    onlooker.renewed("b");
    advance(BLIND).await;
    assert_eq!(onlooker.peers.deadline(Instant::now()), None, "it does not look again and again");
    advance(100 * LASTS).await;
    assert!(onlooker.lives(), "the API is away");
    assert_eq!(onlooker.peers.deadline(Instant::now()), None);
    onlooker.renewed("us");
    onlooker.look(LASTS - Duration::from_secs(1)).await;
    assert!(onlooker.lives());
    onlooker.look(Duration::from_secs(1)).await;
    assert!(!onlooker.lives());
}

#[tokio::test(start_paused = true)]
async fn one_that_was_dead_before_nothing_was_seen_stays_so() {
    let mut onlooker = Onlooker::new();
    onlooker.renewed("us");
    onlooker.renewed("b");
    onlooker.look(LASTS).await;
    assert!(!onlooker.lives());
    advance(BLIND).await;
    assert!(!onlooker.lives(), "it does not come to life by nobody looking");
    advance(100 * LASTS).await;
    onlooker.renewed("us");
    assert!(!onlooker.lives(), "nor by somebody looking again");
    onlooker.renewed("b");
    assert!(onlooker.lives());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_given_up_or_removed_is_over_at_once() {
    let mut onlooker = Onlooker::new();
    onlooker.renewed("us");
    onlooker.renewed("b");
    let given_up = onlooker.seen(None);
    onlooker.peers.seen(Whose::Replica("b".into()), given_up, Instant::now());
    assert!(!onlooker.lives());
    onlooker.renewed("c");
    onlooker.peers.gone(&Whose::Replica("c".into()));
    assert_eq!(onlooker.peers.all(Instant::now()).len(), 1);
    onlooker.peers.only(Vec::new(), Instant::now());
    assert_eq!(onlooker.peers.all(Instant::now()), []);
}

#[tokio::test(start_paused = true)]
async fn only_what_was_dead_for_long_is_forgotten() {
    let mut onlooker = Onlooker::new();
    onlooker.renewed("us");
    onlooker.renewed("b");
    onlooker.look(FORGOTTEN - Duration::from_secs(1)).await;
    assert_eq!(onlooker.peers.forgotten(Instant::now()), []);
    advance(Duration::from_secs(1)).await;
    assert_eq!(onlooker.peers.forgotten(Instant::now()), [("b".into(), "1".to_owned())]);
    onlooker.renewed("b");
    assert_eq!(onlooker.peers.forgotten(Instant::now()), []);
}

#[tokio::test(start_paused = true)]
async fn who_leads_is_believed_in_until_the_lease_is_over_also_when_it_is_deleted() {
    let mut onlooker = Onlooker::new();
    let now = Instant::now();
    assert!(!onlooker.peers.leader().is_known);
    let seen = onlooker.seen(Some("b"));
    onlooker.peers.only(vec![(Whose::Leader, seen.clone())], now);
    let over = |onlooker: &Onlooker| onlooker.peers.leader().lease.as_ref().map(|lease| lease.over);
    assert_eq!(over(&onlooker), Some(now + LASTS));
    advance(EVERY).await;
    // Somebody has changed a label.
    onlooker.peers.seen(Whose::Leader, Seen { version: "2".to_owned(), ..seen }, Instant::now());
    assert_eq!(over(&onlooker), Some(now + LASTS));
    onlooker.peers.only(Vec::new(), Instant::now());
    let leader = onlooker.peers.leader().clone();
    assert!(leader.is_known);
    assert_eq!(leader.lease.map(|lease| (lease.over, lease.version)), Some((now + LASTS, None)));
}
