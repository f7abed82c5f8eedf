//! A schedule: which nodes there are, what pods may exist, and what happens, all from one number.

use std::fmt;
use std::time::Duration;

use chassis::link::Dialect;
use chassis::rng::Rng;

/// So that the schedule does not repeat the sequence that the world's weather is made of.
const OWN: u64 = 0x5eed_0f5c_ed01;
/// Few, so that the same names come and go.
const PODS: usize = 6;
/// Of each kind; some are used by no pod.
pub(crate) const CONFIGS: usize = 4;
/// Power cuts of one node: more would only test how long a crashing container is left alone.
const POWER_CUTS: usize = 1;

/// See the module.
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Their dialects; the nodes are called `edge-0`, `edge-1`, ...
    pub(crate) nodes: Vec<Dialect>,
    pub(crate) pods: Vec<PodPlan>,
    pub(crate) steps: Vec<(Step, Duration)>,
}

/// A pod as it is whenever it exists.
#[derive(Debug)]
pub(crate) struct PodPlan {
    /// Bound to this node; otherwise the scheduler chooses.
    pub(crate) node: Option<usize>,
    pub(crate) config: Option<usize>,
    pub(crate) optional_config: Option<usize>,
    pub(crate) secret: Option<usize>,
    /// It is not started again when it ends.
    pub(crate) once: bool,
}

/// One thing that happens. What makes no sense when its turn comes (the end of a pod that is not there) is left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Step {
    /// Creates the pod, or gives it other labels.
    ApplyPod(usize),
    /// The same, and another image.
    UpgradePod(usize),
    DeletePod(usize),
    /// Without waiting for its node (`--force --grace-period=0`).
    ForgetPod(usize),
    ApplyConfig(Kind, usize, Size),
    DeleteConfig(Kind, usize),
    LabelNode(usize),
    /// The first pod of the node that runs once ends, with this code.
    EndJob(usize, i32),
    Wire(usize, Wire),
    /// All nodes lose their connection at the same moment, and may come back at the same moment.
    Storm,
    KillEdge(usize),
    StopEdge(usize),
    PowerCut(usize),
    StartEdge(usize),
    KillCloud,
    StopCloud,
    StartCloud,
    Api(Api),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    ConfigMap,
    Secret,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Size {
    Small,
    /// More than a frame of the state lane.
    Bulk,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wire {
    Cut,
    /// Connections that are open stay as they are.
    Heal,
    Hold,
    HoldTowardsCloud,
    HoldTowardsEdge,
    /// What was held arrives late.
    Release,
    /// What was held is lost with its connection, as when a NAT has forgotten it.
    Reset,
    Delay(u64),
    Reorder,
    Duplicate,
    Calm,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Api {
    Unavailable,
    Refused,
    Hanging,
    LosesAnswers,
    Slow(u64),
    BreaksWatches,
    /// Watches break, and may not go on from where they were.
    Expires,
    Fine,
}

impl Plan {
    pub(crate) fn from_seed(seed: u64) -> Self {
        let draw = Draw(Rng::seeded(seed ^ OWN));
        let nodes: Vec<_> = (0..draw.pick(&[1, 1, 2, 3])).map(|_| draw.dialect()).collect();
        let pods = (0..PODS).map(|_| draw.pod(nodes.len())).collect();
        let count = 12 + draw.below(16);
        let mut cuts = vec![0; nodes.len()];
        let steps = (0..count).map(|_| {
            let step = match draw.step(nodes.len()) {
                Step::PowerCut(node) if cuts[node] == POWER_CUTS => Step::KillEdge(node),
                step => step,
            };
            if let Step::PowerCut(node) = step {
                cuts[node] += 1;
            }
            (step, draw.pause())
        });
        let steps = steps.collect();
        Self { seed, nodes, pods, steps }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "schedule of seed {}, nodes {:?}", self.seed, self.nodes)?;
        for (index, pod) in self.pods.iter().enumerate() {
            writeln!(f, "  p{index}: {pod:?}")?;
        }
        for (index, (step, pause)) in self.steps.iter().enumerate() {
            writeln!(f, "  {index:>2}. {step:?}, then {} ms", pause.as_millis())?;
        }
        Ok(())
    }
}

struct Draw(Rng);

impl Draw {
    fn below(&self, end: usize) -> usize {
        self.0.below(end)
    }

    fn pick<T: Copy>(&self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn one_in(&self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn maybe(&self, end: usize) -> Option<usize> {
        (!self.one_in(3)).then(|| self.below(end))
    }

    fn dialect(&self) -> Dialect {
        self.pick(&[Dialect::Native, Dialect::Stock])
    }

    fn pod(&self, nodes: usize) -> PodPlan {
        let config = self.maybe(CONFIGS);
        // A volume is named after what it shows.
        let optional_config = self.maybe(CONFIGS).filter(|other| Some(*other) != config);
        PodPlan {
            node: (!self.one_in(4)).then(|| self.below(nodes)),
            config,
            optional_config,
            secret: self.maybe(CONFIGS),
            once: self.one_in(3),
        }
    }

    /// Mostly as fast as things happen in a cluster, now and then long enough that somebody gives up.
    fn pause(&self) -> Duration {
        let milliseconds = match self.below(10) {
            0..4 => self.below(50),
            4..7 => self.below(3_000),
            7..9 => self.below(20_000),
            _ => 30_000 + self.below(60_000),
        };
        Duration::from_millis(milliseconds as u64)
    }

    fn step(&self, nodes: usize) -> Step {
        let node = self.below(nodes);
        let (pod, config) = (self.below(PODS), self.below(CONFIGS));
        let kind = self.pick(&[Kind::ConfigMap, Kind::Secret]);
        match self.below(100) {
            0..24 => Step::ApplyPod(pod),
            24..28 => Step::UpgradePod(pod),
            28..34 => Step::DeletePod(pod),
            34..37 => Step::ForgetPod(pod),
            37..48 => Step::ApplyConfig(kind, config, self.pick(&[Size::Small, Size::Small, Size::Bulk])),
            48..53 => Step::DeleteConfig(kind, config),
            53..55 => Step::LabelNode(node),
            55..59 => Step::EndJob(node, self.pick(&[0, 3])),
            59..78 => Step::Wire(node, self.wire()),
            78..80 => Step::Storm,
            80..82 => Step::KillEdge(node),
            82 => Step::StopEdge(node),
            83 => Step::PowerCut(node),
            84..87 => Step::StartEdge(node),
            87 => Step::KillCloud,
            88 => Step::StopCloud,
            89..91 => Step::StartCloud,
            _ => Step::Api(self.api()),
        }
    }

    fn wire(&self) -> Wire {
        let delay = Wire::Delay(self.pick(&[20, 700, 4_000]));
        self.pick(&[
            Wire::Cut,
            Wire::Cut,
            Wire::Heal,
            Wire::Heal,
            Wire::Hold,
            Wire::HoldTowardsCloud,
            Wire::HoldTowardsEdge,
            Wire::Release,
            Wire::Reset,
            delay,
            Wire::Reorder,
            Wire::Duplicate,
            Wire::Calm,
        ])
    }

    fn api(&self) -> Api {
        self.pick(&[
            Api::Unavailable,
            Api::Refused,
            Api::Hanging,
            Api::LosesAnswers,
            Api::Slow(self.pick(&[200, 3_000])),
            Api::BreaksWatches,
            Api::Expires,
            Api::Fine,
            Api::Fine,
            Api::Fine,
        ])
    }
}
