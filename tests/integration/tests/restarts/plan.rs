//! A round: which pods come and go, and when what is killed, all from one number.

use std::fmt;
use std::time::Duration;

use chassis::rng::Rng;

use super::kinds::{KINDS, Kind};

/// So that no other test with the same seed draws the same numbers.
const OWN: u64 = 0x4e57_a275;

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    EdgeCore,
    Containerd,
    Both,
}

/// When.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// So long after the point has begun.
    After(Duration),
    /// When so many containers have said that they start.
    Starts(usize),
    /// When so many network namespaces have come: a sandbox is being made.
    Namespaces(usize),
    /// When the API has shown so many changes of pods.
    Reports(usize),
}

/// What the cloud wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Create(usize),
    /// With this grace period, or the pod's own.
    Delete(usize, Option<u32>),
    Rest(Duration),
}

/// One pod of the round.
#[derive(Debug, Clone)]
pub(crate) struct PodPlan {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Milliseconds that things take in it.
    pub(crate) pace: u32,
}

/// One kill.
#[derive(Debug)]
pub(crate) struct Point {
    pub(crate) acts: Vec<Act>,
    pub(crate) trigger: Trigger,
    pub(crate) victim: Victim,
    /// Whether EdgeCore is the first to be started again.
    pub(crate) edge_first: bool,
    /// How long it is down.
    pub(crate) down: Duration,
}

/// Pods come, and are killed under; then they may come to rest; at the last point all of them go.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) seed: u64,
    pub(crate) pods: Vec<PodPlan>,
    pub(crate) points: Vec<Point>,
    /// All of them go.
    pub(crate) last: Point,
}

struct Draw(Rng);

// === impl Round ===

impl Round {
    /// The same, but it is always EdgeCore that is killed.
    pub(crate) fn of_edgecore(mut self) -> Self {
        self.points.iter_mut().for_each(|point| point.victim = Victim::EdgeCore);
        self.last.victim = Victim::EdgeCore;
        self
    }

    /// With `kills` points and about so many pods at a time.
    pub(crate) fn new(seed: u64, kills: usize, together: usize) -> Self {
        let draw = Draw(Rng::seeded(seed ^ OWN));
        let (mut pods, mut alive) = (Vec::new(), Vec::new());
        let mut points = Vec::new();
        for _ in 1..kills {
            let acts = draw.churn(seed, together, &mut pods, &mut alive);
            points.push(draw.point(acts));
        }
        let acts = alive.into_iter().flat_map(|pod| [Act::Delete(pod, draw.grace()), draw.rest()]).collect();
        let last = draw.point(acts);
        Self { seed, pods, points, last }
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "round {}:", self.seed)?;
        for (number, point) in self.points.iter().chain([&self.last]).enumerate() {
            writeln!(
                f,
                "  point {number}: {:?} at {:?}, down {:?}",
                point.victim, point.trigger, point.down
            )?;
            for act in &point.acts {
                match act {
                    Act::Create(pod) => {
                        writeln!(f, "    + {} {:?}", self.pods[*pod].name, self.pods[*pod].kind)?
                    }
                    Act::Delete(pod, grace) => writeln!(f, "    - {} {grace:?}", self.pods[*pod].name)?,
                    Act::Rest(time) => writeln!(f, "    . {time:?}")?,
                }
            }
        }
        Ok(())
    }
}

// === impl Draw ===

impl Draw {
    /// Some go, others come, and some of those go at once.
    fn churn(&self, seed: u64, together: usize, pods: &mut Vec<PodPlan>, alive: &mut Vec<usize>) -> Vec<Act> {
        let mut acts = Vec::new();
        for _ in 0..self.0.below(alive.len() / 3 + 1) {
            let pod = alive.swap_remove(self.0.below(alive.len()));
            acts.extend([Act::Delete(pod, self.grace()), self.rest()]);
        }
        while alive.len() < together {
            let pod = pods.len();
            let kind = KINDS[self.0.below(KINDS.len())];
            let pace = u32::try_from(200 + self.0.below(2_000)).unwrap_or_default();
            pods.push(PodPlan { name: format!("r{seed}-{pod}"), kind, pace });
            acts.extend([Act::Create(pod), self.rest()]);
            if self.0.below(8) == 0 {
                acts.extend([Act::Rest(self.up_to(900)), Act::Delete(pod, self.grace())]);
            } else {
                alive.push(pod);
            }
        }
        acts
    }

    fn point(&self, acts: Vec<Act>) -> Point {
        let trigger = match self.0.below(8) {
            0..3 => Trigger::After(self.up_to(4_000)),
            3 => Trigger::After(self.up_to(300)),
            4..6 => Trigger::Starts(1 + self.0.below(6)),
            6 => Trigger::Namespaces(1 + self.0.below(4)),
            _ => Trigger::Reports(1 + self.0.below(20)),
        };
        let victim = [Victim::EdgeCore, Victim::Containerd, Victim::Both][self.0.below(3)];
        let down = if self.0.below(3) == 0 { self.up_to(3_000) } else { self.up_to(300) };
        Point { acts, trigger, victim, edge_first: self.0.below(2) == 0, down }
    }

    fn grace(&self) -> Option<u32> {
        [None, None, Some(0), Some(1)][self.0.below(4)]
    }

    fn rest(&self) -> Act {
        Act::Rest(self.up_to(60))
    }

    fn up_to(&self, milliseconds: usize) -> Duration {
        Duration::from_millis(self.0.below(milliseconds) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::Round;

    #[test]
    fn the_same_number_makes_the_same_round() {
        let round = |seed| Round::new(seed, 5, 30).to_string();
        assert_eq!(round(7), round(7));
        assert_ne!(round(7), round(8));
    }
}
