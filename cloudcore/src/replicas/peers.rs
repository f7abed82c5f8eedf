//! Who lives, as a pure state: what was seen of the Leases of CloudCores, and when.
//!
//! That no renewal was seen says nothing while nothing is seen at all. This replica's own Lease comes by the same watch: as long as
//! its renewals arrive, so do those of others. After a gap everybody gets a new chance who
//! lived before it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::EVERY;
use super::lease::{Seen, Whose};
use crate::flow::{Peer, Replica};

/// When no renewal of this replica's own has arrived for longer, the watch shows nothing.
const BLIND: Duration = EVERY.saturating_mul(2);
/// The Lease of a replica that died without giving it up is removed after this: names of pods never come again.
pub(super) const FORGOTTEN: Duration = Duration::from_secs(60 * 60);

#[derive(Debug)]
pub(super) struct Peers {
    us: Arc<str>,
    others: BTreeMap<Arc<str>, Sighting>,
    /// When a renewal of this replica's own has arrived last.
    own: Option<Instant>,
    leader: Sight,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Sighting {
    seen: Seen,
    /// When it was seen to be renewed last.
    at: Instant,
    /// When that was the last time; with no second chance.
    heard: Instant,
}

/// What is known of the Lease of who leads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sight {
    /// Whether it has been looked for.
    pub(super) is_known: bool,
    pub(super) lease: Option<LeaderSeen>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeaderSeen {
    pub(super) holder: Option<String>,
    /// None: it was deleted. Who held it may not know yet.
    pub(super) version: Option<String>,
    /// When it is over, unless it is renewed.
    pub(super) over: Instant,
    renewed: Option<jiff::Timestamp>,
}

impl Peers {
    pub(super) fn new(us: Arc<str>) -> Self {
        Self { us, others: BTreeMap::new(), own: None, leader: Sight::default() }
    }

    /// There is this Lease.
    pub(super) fn seen(&mut self, whose: Whose, seen: Seen, now: Instant) {
        match whose {
            Whose::Leader => self.leader_seen(seen, now),
            Whose::Replica(name) if name == self.us => self.own_seen(now),
            Whose::Replica(name) => {
                let new = Sighting { at: now, heard: now, seen };
                match self.others.get_mut(&name) {
                    Some(known) if known.seen.renewed == new.seen.renewed => known.seen = new.seen,
                    Some(known) => *known = new,
                    None => drop(self.others.insert(name, new)),
                }
            }
        }
    }

    /// There is this Lease no more.
    pub(super) fn gone(&mut self, whose: &Whose) {
        match whose {
            Whose::Leader => {
                if let Some(leader) = &mut self.leader.lease {
                    leader.version = None;
                }
            }
            Whose::Replica(name) => drop(self.others.remove(name)),
        }
    }

    /// There are no Leases but these.
    pub(super) fn only(&mut self, all: Vec<(Whose, Seen)>, now: Instant) {
        let is_there = |name: &Arc<str>| all.iter().any(|(whose, _)| *whose == Whose::Replica(name.clone()));
        self.others.retain(|name, _| is_there(name));
        if all.iter().all(|(whose, _)| *whose != Whose::Leader) {
            self.gone(&Whose::Leader);
        }
        for (whose, seen) in all {
            self.seen(whose, seen, now);
        }
        self.leader.is_known = true;
    }

    /// The others, dead ones as well.
    pub(super) fn all(&self, now: Instant) -> Vec<Peer> {
        let peer = |(name, sighting): (&Arc<str>, &Sighting)| Peer {
            replica: Replica { name: name.clone(), forwarding: sighting.seen.forwarding.clone() },
            address: sighting.seen.address.clone(),
            lives: sighting.seen.holder.is_some() && self.may_live(sighting, now),
            leaves: sighting.seen.leaves,
        };
        self.others.iter().map(peer).collect()
    }

    /// Those whose Leases are of no use to anybody, with the version to be removed.
    pub(super) fn forgotten(&self, now: Instant) -> Vec<(Arc<str>, String)> {
        let is_old = |sighting: &Sighting| now >= sighting.heard + FORGOTTEN;
        let old = self.others.iter().filter(|(_, sighting)| is_old(sighting));
        old.map(|(name, sighting)| (name.clone(), sighting.seen.version.clone())).collect()
    }

    /// When somebody may be dead.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        // While it is blind, the next that it sees is its own renewal.
        let own = self.own.filter(|_| !self.is_blind(now))?;
        let next = self.others.values().map(Sighting::over).filter(|over| *over > now).min()?;
        Some(next.min(own + BLIND))
    }

    pub(super) fn leader(&self) -> &Sight {
        &self.leader
    }

    fn own_seen(&mut self, now: Instant) {
        if self.is_blind(now) {
            let seeing = self.seeing(now);
            for sighting in self.others.values_mut().filter(|sighting| sighting.lives(seeing)) {
                sighting.at = now;
            }
        }
        self.own = Some(now);
    }

    fn leader_seen(&mut self, seen: Seen, now: Instant) {
        let over = match &self.leader.lease {
            Some(known) if known.renewed == seen.renewed && known.holder == seen.holder => known.over,
            _ => now + seen.lasts,
        };
        let Seen { holder, version, renewed, .. } = seen;
        self.leader.lease = Some(LeaderSeen { holder, version: Some(version), over, renewed });
    }

    /// When something was seen last: now, or when the watch went blind. `None`: nothing was seen yet.
    fn seeing(&self, now: Instant) -> Option<Instant> {
        self.own.map(|own| now.min(own + BLIND))
    }

    /// While nothing is seen, those live who did before, and nobody else.
    fn may_live(&self, sighting: &Sighting, now: Instant) -> bool {
        sighting.lives(self.seeing(now))
    }

    fn is_blind(&self, now: Instant) -> bool {
        self.own.is_none_or(|own| now >= own + BLIND)
    }
}

impl Sighting {
    fn over(&self) -> Instant {
        self.at + self.seen.lasts
    }

    fn lives(&self, at: Option<Instant>) -> bool {
        at.is_none_or(|at| at < self.over())
    }
}

#[cfg(test)]
mod tests;
