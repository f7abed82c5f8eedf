//! Whether this CloudCore does what only one of all replicas is to do, as state: one writer, and everybody who does such
//! work looks, right before each write.
//!
//! Who leads knows it by a deadline on its own monotonic clock, so that a process that was stopped for a while knows without
//! asking anybody that it leads no more.

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Leadership {
    rank: watch::Receiver<Rank>,
}

/// The writing end. When it is dropped, what it said last counts until its deadline.
#[derive(Debug)]
pub struct LeadershipWriter {
    rank: watch::Sender<Rank>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    /// Nobody has said anything yet.
    Unknown,
    /// Another one leads, or nobody, as far as is known.
    Following,
    /// This one leads, until then.
    Leading(Instant),
    /// There is no other one.
    Alone,
}

// === impl Leadership ===

impl Leadership {
    /// Nobody leads yet.
    #[must_use]
    pub fn new() -> (LeadershipWriter, Self) {
        let (tx, rank) = watch::channel(Rank::Unknown);
        (LeadershipWriter { rank: tx }, Self { rank })
    }

    /// Of a part that runs without replicas.
    #[must_use]
    pub fn always() -> Self {
        Self { rank: watch::channel(Rank::Alone).1 }
    }

    /// Whether this one leads at this moment.
    #[must_use]
    pub fn is_leading(&self) -> bool {
        self.rank.borrow().is_leading()
    }

    /// Ends when this one leads.
    pub async fn gained(&self) {
        let mut rank = self.rank.clone();
        loop {
            rank.mark_unchanged();
            if self.is_leading() {
                return;
            }
            changed(&mut rank).await;
        }
    }

    /// Ends when this one does not lead (any more).
    pub async fn lost(&self) {
        let mut rank = self.rank.clone();
        loop {
            let now = *rank.borrow_and_update();
            match now {
                Rank::Leading(until) if until > Instant::now() => {
                    timeout_at(until, changed(&mut rank)).await.ok();
                }
                Rank::Alone => changed(&mut rank).await,
                _ => return,
            }
        }
    }

    /// Ends when it is known who leads, or that nobody will say so soon.
    pub async fn settled(&self) {
        let mut rank = self.rank.clone();
        if rank.wait_for(|rank| *rank != Rank::Unknown).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn changed(rank: &mut watch::Receiver<Rank>) {
    if rank.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl Rank {
    fn is_leading(self) -> bool {
        match self {
            Self::Unknown | Self::Following => false,
            Self::Leading(until) => Instant::now() < until,
            Self::Alone => true,
        }
    }
}

// === impl LeadershipWriter ===

impl LeadershipWriter {
    /// A reading end.
    #[must_use]
    pub fn reader(&self) -> Leadership {
        Leadership { rank: self.rank.subscribe() }
    }

    /// Whether this one leads at this moment.
    #[must_use]
    pub fn is_leading(&self) -> bool {
        self.rank.borrow().is_leading()
    }

    /// Whether anything was said.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        *self.rank.borrow() != Rank::Unknown
    }

    /// This one leads, until then. Whether it did not before.
    pub fn lead(&self, until: Instant) -> bool {
        !self.rank.send_replace(Rank::Leading(until)).is_leading()
    }

    /// Another one leads, or nobody. Whether this one did.
    pub fn follow(&self) -> bool {
        let mut led = false;
        self.rank.send_if_modified(|rank| {
            led = rank.is_leading();
            std::mem::replace(rank, Rank::Following) != Rank::Following
        });
        led
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TERM: Duration = Duration::from_secs(8);

    #[tokio::test(start_paused = true)]
    async fn who_is_not_renewed_leads_no_more_and_hears_of_it() {
        let (writer, leadership) = Leadership::new();
        assert!(!leadership.is_leading());
        assert!(writer.lead(Instant::now() + TERM));
        leadership.settled().await;
        leadership.gained().await;
        let begun = Instant::now();
        tokio::time::sleep(TERM / 2).await;
        assert!(!writer.lead(Instant::now() + TERM), "it leads on");
        leadership.lost().await;
        assert_eq!(begun.elapsed(), TERM / 2 + TERM);
        assert!(!leadership.is_leading());
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_slept_knows_at_once() {
        let (writer, leadership) = Leadership::new();
        writer.lead(Instant::now() + TERM);
        tokio::time::advance(10 * TERM).await;
        assert!(!leadership.is_leading());
        leadership.lost().await;
        assert!(!writer.follow(), "it was lost before it was said");
        writer.lead(Instant::now() + TERM);
        assert!(leadership.is_leading());
        assert!(writer.follow());
        assert!(!leadership.is_leading());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_alone_leads_for_ever() {
        let leadership = Leadership::always();
        leadership.settled().await;
        leadership.gained().await;
        assert!(tokio::time::timeout(1000 * TERM, leadership.lost()).await.is_err());
    }
}
