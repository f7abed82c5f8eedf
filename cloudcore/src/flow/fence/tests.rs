use tokio::time::{advance, timeout};

use super::*;

/// How often a Lease is renewed, more or less.
const EVERY: Duration = Duration::from_secs(3);

/// A tenure that is renewed, for so long.
async fn renewed_for(tenure: &Tenure, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        tenure.renewed(Instant::now());
        advance(EVERY).await;
    }
    tenure.renewed(Instant::now());
}

#[tokio::test(start_paused = true)]
async fn a_node_has_to_be_claimed_once_and_the_fence_stays_open() {
    let tenure = Tenure::new();
    let fence = Fence::new(&tenure);
    assert_eq!(fence.verdict(), Verdict::Unclaimed);
    fence.claimed(7, Some(Instant::now()));
    for _ in 0..3 {
        renewed_for(&tenure, 10 * LASTS).await;
        assert!(fence.is_open());
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_was_paused_writes_nothing_before_it_has_looked() {
    let tenure = Tenure::new();
    let fence = Fence::new(&tenure);
    fence.claimed(7, Some(Instant::now()));
    renewed_for(&tenure, LASTS).await;
    advance(TRUSTED).await;
    assert_eq!(fence.verdict(), Verdict::InDoubt, "it has just woken up");
    tenure.renewed(Instant::now());
    assert_eq!(fence.verdict(), Verdict::InDoubt, "that the Lease is renewed says nothing of the gap");
    // It looks, and the node is still its own.
    fence.claimed(9, Some(Instant::now()));
    assert!(fence.is_open());
    renewed_for(&tenure, 10 * LASTS).await;
    assert!(fence.is_open());
    // A connection of the time after the gap has nothing to be in doubt of.
    assert_eq!(Fence::new(&tenure).verdict(), Verdict::Unclaimed);
}

#[tokio::test(start_paused = true)]
async fn a_look_at_the_node_counts_while_the_lease_cannot_be_renewed() {
    let fence = Fence::new(&Tenure::new());
    advance(TRUSTED * 2).await;
    assert_eq!(fence.verdict(), Verdict::InDoubt, "a connection that was never claimed");
    fence.claimed(1, None);
    assert_eq!(fence.verdict(), Verdict::InDoubt, "what a watch has may be old");
    fence.claimed(1, Some(Instant::now()));
    advance(TRUSTED - Duration::from_millis(1)).await;
    assert!(fence.is_open());
    advance(Duration::from_millis(1)).await;
    assert_eq!(fence.verdict(), Verdict::InDoubt);
}

#[tokio::test(start_paused = true)]
async fn who_has_lost_the_node_hears_of_it_and_never_gets_it_back() {
    let tenure = Tenure::new();
    let fence = Fence::new(&tenure);
    assert!(timeout(LASTS, fence.lost()).await.is_err());
    fence.claimed(7, Some(Instant::now()));
    assert!(!fence.seen(false, 6), "from before the claim");
    assert!(!fence.seen(true, 8));
    assert!(!fence.seen(false, 8));
    assert!(fence.is_open());
    assert!(fence.seen(false, 9));
    assert!(!fence.seen(false, 10), "once");
    fence.lost().await;
    fence.lost().await;
    fence.claimed(11, Some(Instant::now()));
    assert!(!fence.seen(true, 12));
    assert_eq!(fence.verdict(), Verdict::Lost);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_made_while_it_is_connected_is_claimed_then() {
    let tenure = Tenure::new();
    let fence = Fence::new(&tenure);
    fence.no_node(None);
    assert!(fence.is_open());
    assert!(!fence.seen(false, 3), "somebody has made it, and says nothing of who holds it");
    assert_eq!(fence.verdict(), Verdict::Unclaimed);
    assert!(!fence.seen(true, 4));
    assert!(fence.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_was_overtaken_before_it_was_heard_of_opens_nothing() {
    let tenure = Tenure::new();
    let fence = Fence::new(&tenure);
    // The watch is faster than the answer to our own write: the node is elsewhere already.
    assert!(!fence.seen(false, 8));
    assert!(fence.claimed(7, Some(Instant::now())));
    assert_eq!(fence.verdict(), Verdict::Lost);
    fence.lost().await;
    assert!(!fence.claimed(9, Some(Instant::now())), "for good");
    assert_eq!(fence.verdict(), Verdict::Lost);
    // Who held it before is no reason.
    let fence = Fence::new(&tenure);
    assert!(!fence.seen(false, 8));
    assert!(!fence.claimed(9, Some(Instant::now())));
    assert!(fence.is_open());
    // What is heard late makes nothing older.
    assert!(!fence.claimed(5, None) && !fence.seen(false, 8));
    assert!(fence.is_open());
}
