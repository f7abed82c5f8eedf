//! Places for connections of strangers. Whoever opens one and says nothing takes a place that others need, so who has
//! had its time gives the place to somebody who waits.
//!
//! Of those who have had their time the one goes whose address holds the most places, and of these the one that came
//! first: whoever fills all places from one address competes with itself, and a node elsewhere keeps its place.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::task::{AbortHandle, Id};
use tokio::time::Instant;

/// Who holds a place, by the task that serves it.
#[derive(Debug)]
pub struct Places {
    limit: usize,
    patience: Duration,
    held: HashMap<Id, Held>,
}

#[derive(Debug)]
struct Held {
    address: IpAddr,
    since: Instant,
    task: AbortHandle,
}

impl Places {
    /// `limit` places, one at least; each is one's own for `patience`.
    #[must_use]
    pub fn new(limit: usize, patience: Duration) -> Self {
        Self { limit: limit.max(1), patience, held: HashMap::new() }
    }

    /// When there will be a place; `None` when there is one now.
    #[must_use]
    pub fn free_at(&self, now: Instant) -> Option<Instant> {
        if self.held.len() < self.limit {
            return None;
        }
        let first = self.held.values().map(|held| held.since).min()?;
        Some(first + self.patience).filter(|at| *at > now)
    }

    /// Makes room for one, if that is what it takes: ends the task of whoever must go, and says how long that one had
    /// its place.
    pub fn make_room(&mut self, now: Instant) -> Option<Duration> {
        if self.held.len() < self.limit {
            return None;
        }
        let mut by_address = HashMap::<IpAddr, usize>::new();
        for held in self.held.values() {
            *by_address.entry(held.address).or_default() += 1;
        }
        let had_time = self.held.iter().filter(|(_, held)| now >= held.since + self.patience);
        let (id, _) = had_time
            .max_by_key(|(_, held)| (by_address.get(&held.address), std::cmp::Reverse(held.since)))?;
        let gone = self.held.remove(&id.clone())?;
        gone.task.abort();
        Some(now - gone.since)
    }

    /// `task` serves a connection from `address`.
    pub fn enter(&mut self, address: IpAddr, task: AbortHandle, now: Instant) {
        self.held.insert(task.id(), Held { address, since: now, task });
    }

    /// The task has ended.
    pub fn leave(&mut self, task: Id) {
        self.held.remove(&task);
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;
    use tracing::Span;

    use super::*;
    use crate::task::spawn_in;

    const PATIENCE: Duration = Duration::from_secs(3);
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    /// Places that are all taken: by one from there, then by three from here, a second apart.
    async fn full() -> (Places, JoinSet<&'static str>) {
        let (mut places, mut tasks) = (Places::new(4, PATIENCE), JoinSet::new());
        for (name, address) in [("there", THERE), ("first", HERE), ("second", HERE), ("third", HERE)] {
            let forever = async move {
                std::future::pending::<()>().await;
                name
            };
            assert_eq!(places.free_at(Instant::now()), None);
            places.enter(address, spawn_in(&mut tasks, Span::none(), forever), Instant::now());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        (places, tasks)
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_goes_before_its_time_or_without_need() {
        let (mut places, _tasks) = full().await;
        let now = Instant::now();
        // The oldest is four seconds old, the next three.
        assert_eq!(places.free_at(now), None);
        let oldest = now - Duration::from_secs(4);
        assert_eq!(places.free_at(oldest), Some(oldest + PATIENCE));
        assert_eq!(places.make_room(oldest), None, "nobody has had its time");
        let (id, _) = places.held.iter().find(|(_, held)| held.address == THERE).unwrap();
        let id = *id;
        places.leave(id);
        assert_eq!(places.make_room(now), None, "there is room");
        assert_eq!(places.held.len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_of_the_address_with_the_most_places_goes() {
        let (mut places, mut tasks) = full().await;
        let gone = places.make_room(Instant::now()).unwrap();
        assert_eq!(gone, Duration::from_secs(3), "not the one from there, which is older");
        assert!(tasks.join_next().await.unwrap().unwrap_err().is_cancelled());
        assert_eq!(places.held.values().filter(|held| held.address == HERE).count(), 2);
        assert_eq!(places.free_at(Instant::now()), None);
    }
}
