//! Whatever happens to a pod, in whatever order: what must never be done is not done, and what should be comes to be.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::edged::pod::fixtures::{end, pod, running, sandbox};
use crate::edged::pod::observed::ObservedContainer;
use crate::edged::runtime::ContainerState;

/// More steps than this in a row, with nothing happening, are a loop.
const MANY: usize = 100;

/// What can happen to a pod.
#[derive(Debug, Clone)]
enum Happening {
    /// One of its containers ends.
    Exit { which: usize, code: i32 },
    /// Its sandbox dies, and everything in it.
    SandboxDies,
    /// The containerd record of everything is lost.
    Forgotten,
    /// The next step fails.
    StepFails(Failure),
    /// An edged that was killed left a container that was only made.
    LeftOver { which: usize },
    /// edged is started anew.
    Restart,
    /// A config map has changed.
    ConfigChanged,
    /// The image of every container is another one.
    NewImage(u8),
    /// Time passes.
    Pass(u64),
    /// A hook or probe comes to something.
    Answer { which: usize, good: bool },
}

struct Simulation {
    state: PodState,
    observed: Observed,
    now: Instant,
    fails: Option<Failure>,
    /// How often each container was started.
    starts: BTreeMap<String, u32>,
}

// === impl Simulation ===

impl Simulation {
    fn new(spec: Value) -> Self {
        let now = Instant::now();
        let state = PodState::new(Arc::new(pod(spec)), now);
        Self { state, observed: Observed::default(), now, fails: None, starts: BTreeMap::new() }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Exit { which, code } => {
                let mut alive: Vec<_> =
                    self.observed.containers.iter_mut().filter(|c| c.is_alive()).collect();
                let count = alive.len().max(1);
                if let Some(container) = alive.get_mut(which % count) {
                    end(container, code);
                }
            }
            Happening::SandboxDies => {
                self.observed.sandboxes.iter_mut().for_each(|sandbox| sandbox.ready = false);
                self.observed.containers.iter_mut().filter(|c| c.is_alive()).for_each(|c| end(c, 255));
                self.observed.ips.clear();
            }
            Happening::Forgotten => {
                for container in &self.observed.containers {
                    self.state.restarts_at_least(&container.record.name, container.record.attempt + 1);
                }
                self.observed = Observed::default();
            }
            Happening::StepFails(failure) => self.fails = Some(failure),
            Happening::LeftOver { which } => self.leave_over(which),
            Happening::Restart => {
                let note = self.state.health().note();
                self.state = PodState::new(self.state.pod().clone(), self.now);
                self.state.remember(note);
            }
            Happening::Answer { which, good } => self.answer(which, good),
            Happening::ConfigChanged => self.state.config_changed(self.now),
            Happening::NewImage(version) => {
                let mut pod = Pod::clone(self.state.pod());
                for container in &mut pod.spec.as_mut().unwrap().containers {
                    container.image = Some(format!("app:{version}"));
                }
                self.state.set_pod(Arc::new(pod), self.now);
            }
            Happening::Pass(seconds) => self.now += Duration::from_secs(seconds),
        }
        self.settle();
    }

    fn leave_over(&mut self, which: usize) {
        let Some(current) = self.observed.ready_sandbox().map(|sandbox| sandbox.attempt) else { return };
        let pod = self.state.pod().clone();
        let containers = &pod.spec.as_ref().unwrap().containers;
        let name = &containers[which % containers.len()].name;
        if self.observed.newest(name).is_some_and(ObservedContainer::is_alive) {
            return;
        }
        let attempt = self.observed.newest(name).map_or(0, |newest| newest.record.attempt + 1);
        let mut made = running(&pod, name, attempt, current);
        made.record.state = ContainerState::Created;
        made.status.state = ContainerState::Created;
        self.put(made);
    }

    /// Performs steps until there is nothing to do now.
    fn settle(&mut self) -> Next {
        for _ in 0..MANY {
            self.state.observe(&self.observed, self.now);
            match self.state.next(&self.observed, self.now) {
                Next::Do(step) => self.perform(step),
                other => return other,
            }
        }
        panic!("this never ends: {:?} {:?}", self.state, self.observed);
    }

    fn perform(&mut self, step: Step) {
        self.check(&step);
        self.state.begin(&step, self.now);
        let before = self.observed.clone();
        let result = match self.fails.take() {
            Some(failure @ Failure::Container { .. }) if !matches!(step, Step::Start { .. }) => {
                self.fails = Some(failure);
                self.apply(&step)
            }
            Some(failure) => Err(failure),
            None => self.apply(&step),
        };
        self.state.done(&step, result, &before, self.now);
    }

    /// What must never be done.
    fn check(&self, step: &Step) {
        let alive = |name: &str| self.observed.of(name).any(ObservedContainer::is_alive);
        match step {
            Step::Start { container, attempt, sandbox } => {
                assert!(!alive(container), "{container} runs twice");
                assert_eq!(Some(sandbox), self.observed.ready_sandbox().map(|sandbox| &sandbox.id));
                assert!(self.observed.of(container).all(|other| other.record.attempt < *attempt));
                assert!(!self.state.is_stopping() && !self.state.is_finished());
                assert!(self.state.preparation.ready, "started without its volumes");
                self.check_order(container);
            }
            Step::RunSandbox { attempt } => {
                assert!(self.observed.alive().next().is_none(), "something runs in another sandbox");
                assert!(self.observed.sandboxes.iter().all(|other| other.attempt < *attempt && !other.ready));
            }
            Step::Remove(id) => {
                let named = |container: &&ObservedContainer| container.record.id == *id;
                assert!(!self.observed.containers.iter().find(named).unwrap().is_alive());
            }
            Step::RemoveSandbox(id) if !self.state.is_stopping() => {
                assert!(
                    self.observed.containers.iter().all(|container| !container.is_in(id)),
                    "history is lost"
                );
            }
            Step::CleanUp => assert!(self.observed.alive().next().is_none(), "volumes are in use"),
            _ => {}
        }
    }

    fn apply(&mut self, step: &Step) -> Result<Success, Failure> {
        match step {
            Step::Prepare => return Ok(Success::Prepared { refresh_at: None }),
            Step::RunSandbox { attempt } => {
                self.observed.sandboxes.insert(0, sandbox(*attempt, true));
                self.observed.ips = vec!["10.1.0.2".parse().unwrap()];
            }
            Step::StopSandbox(id) => {
                let stopped = self.observed.sandboxes.iter_mut().filter(|sandbox| sandbox.id == *id);
                stopped.for_each(|sandbox| sandbox.ready = false);
            }
            Step::RemoveSandbox(id) => {
                self.observed.sandboxes.retain(|sandbox| sandbox.id != *id);
                self.observed.containers.retain(|container| !container.is_in(id));
            }
            Step::Start { container, attempt, .. } => {
                let current = self.observed.ready_sandbox().unwrap().attempt;
                self.put(running(&self.state.pod().clone(), container, *attempt, current));
                *self.starts.entry(container.clone()).or_default() += 1;
            }
            Step::Stop { containers, .. } => {
                let stopped =
                    self.observed.containers.iter_mut().filter(|c| containers.contains(&c.record.id));
                stopped.for_each(|container| end(container, 137));
            }
            Step::Remove(id) => self.observed.containers.retain(|container| container.record.id != *id),
            Step::CleanUp => {}
        }
        Ok(Success::Done)
    }

    fn put(&mut self, container: ObservedContainer) {
        let containers = &mut self.observed.containers;
        containers.push(container);
        containers
            .sort_by(|a, b| (&a.record.name, b.record.attempt).cmp(&(&b.record.name, a.record.attempt)));
    }

    /// Lets every wait pass, `times` over.
    fn calm_down(&mut self, times: usize) -> Next {
        for _ in 0..times {
            if self.settle() == Next::Ended {
                return Next::Ended;
            }
            self.now += super::super::backoff::CRASH_MAX;
        }
        self.settle()
    }

    fn all_run(&self) -> bool {
        let pod = self.state.pod();
        let containers = &pod.spec.as_ref().unwrap().containers;
        containers
            .iter()
            .all(|container| self.observed.newest(&container.name).is_some_and(|newest| newest.is_alive()))
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    let code = prop_oneof![Just(0), Just(1), Just(137)];
    let waiting = |reason| Failure::Container { waiting: Waiting::new(reason, "why"), created: false };
    let failure = prop_oneof![
        Just(Failure::Outage),
        Just(Failure::Other),
        Just(waiting(WaitingReason::ErrImagePull)),
        Just(waiting(WaitingReason::CreateContainerConfigError)),
    ];
    prop_oneof![
        4 => (0_usize..4, code).prop_map(|(which, code)| Happening::Exit { which, code }),
        1 => Just(Happening::SandboxDies),
        1 => Just(Happening::Forgotten),
        2 => failure.prop_map(Happening::StepFails),
        1 => (0_usize..4).prop_map(|which| Happening::LeftOver { which }),
        1 => Just(Happening::Restart),
        1 => Just(Happening::ConfigChanged),
        1 => (1_u8..4).prop_map(Happening::NewImage),
        3 => (0_u64..400).prop_map(Happening::Pass),
        3 => (0_usize..4, any::<bool>()).prop_map(|(which, good)| Happening::Answer { which, good }),
    ]
}

fn spec(policy: &str) -> Value {
    let side = json!({"name": "side", "image": "side:1", "restartPolicy": "Always"});
    json!({
        "restartPolicy": policy,
        "initContainers": [{"name": "init", "image": "init:1"}, side],
        "containers": [{"name": "a", "image": "app:1"}, {"name": "b", "image": "app:1"}],
    })
}

mod care;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_pod_that_always_restarts_runs_in_the_end(happenings in prop::collection::vec(happening(), 0..30)) {
        let mut simulation = Simulation::new(json!({"containers": [{"name": "a", "image": "app:1"}, {"name": "b", "image": "app:1"}]}));
        simulation.settle();
        for happening in happenings {
            simulation.happen(happening);
        }
        simulation.calm_down(4);
        prop_assert!(simulation.all_run(), "{:?}", simulation.observed);
        prop_assert_eq!(simulation.observed.sandboxes.iter().filter(|sandbox| sandbox.ready).count(), 1);
        let dead = simulation.observed.containers.iter().filter(|container| !container.is_alive()).count();
        prop_assert!(dead <= 2, "one of each is kept: {:?}", simulation.observed.containers);
    }

    #[test]
    fn a_deleted_pod_leaves_nothing(
        policy in prop_oneof![Just("Always"), Just("OnFailure"), Just("Never")],
        happenings in prop::collection::vec(happening(), 0..20),
        by_force in any::<bool>(),
    ) {
        let mut simulation = Simulation::new(spec(policy));
        simulation.settle();
        for happening in happenings {
            simulation.happen(happening);
        }
        simulation.state.stop_within(Duration::from_secs(30), simulation.now);
        if by_force {
            simulation.state.remove(simulation.now);
        }
        prop_assert_eq!(simulation.calm_down(4), Next::Ended);
        prop_assert!(simulation.observed.is_empty());
    }

    #[test]
    fn what_never_restarts_runs_once(happenings in prop::collection::vec(happening(), 0..30)) {
        let mut simulation = Simulation::new(json!({
            "restartPolicy": "Never", "containers": [{"name": "a", "image": "app:1"}],
        }));
        simulation.settle();
        for happening in happenings {
            // Who has lost every record cannot know that something ran; the pod's status tells the actor.
            if !matches!(happening, Happening::Forgotten) {
                simulation.happen(happening);
            }
        }
        prop_assert!(simulation.starts.get("a").copied().unwrap_or_default() <= 1, "{:?}", simulation.starts);
    }
}

#[test]
fn init_containers_come_first_and_sidecars_stay() {
    let mut simulation = Simulation::new(spec("Always"));
    simulation.settle();
    let names = |simulation: &Simulation| -> Vec<String> {
        simulation.observed.alive().map(|container| container.record.name.clone()).collect()
    };
    assert_eq!(names(&simulation), ["init"]);
    simulation.happen(Happening::Exit { which: 0, code: 0 });
    assert_eq!(names(&simulation), ["a", "b", "side"]);
    simulation.happen(Happening::SandboxDies);
    assert_eq!(names(&simulation), ["init"], "a new sandbox is initialized anew");
}

#[test]
fn a_step_is_broken_off_when_it_makes_no_sense_any_more() {
    let mut simulation = Simulation::new(spec("Always"));
    let begun_with = simulation.state.pod().clone();
    let now = simulation.now;
    let stop = Step::Stop {
        containers: Vec::new(),
        kill_at: now + Duration::from_secs(30),
        why: StopReason::PodEnds,
    };
    assert!(!simulation.state.is_overtaken(&Step::Prepare, &begun_with));
    simulation.state.stop_within(Duration::from_secs(30), now);
    assert!(simulation.state.is_overtaken(&Step::Prepare, &begun_with));
    assert!(!simulation.state.is_overtaken(&stop, &begun_with));
    simulation.state.stop_within(Duration::from_secs(60), now);
    assert!(!simulation.state.is_overtaken(&stop, &begun_with), "a grace period never grows");
    simulation.state.remove(now);
    assert!(simulation.state.is_overtaken(&stop, &begun_with));
    let run = Step::RunSandbox { attempt: 0 };
    assert!(!simulation.state.is_overtaken(&run, &begun_with), "a sandbox half made is not left behind");
}

/// A pod that has succeeded gives back what it had and keeps its logs; when it is deleted at that moment, they go, too.
#[test]
fn what_is_cleaned_up_for_a_pod_that_is_deleted_meanwhile_is_cleaned_up_once_more() {
    let mut simulation = Simulation::new(spec("Never"));
    let (now, nothing) = (simulation.now, Observed::default());
    simulation.state.begin(&Step::CleanUp, now);
    simulation.state.stop_within(Duration::from_secs(30), now);
    simulation.state.done(&Step::CleanUp, Ok(Success::Done), &nothing, now);
    assert_eq!(simulation.state.next(&nothing, now), Next::Do(Step::CleanUp));
    simulation.state.begin(&Step::CleanUp, now);
    simulation.state.done(&Step::CleanUp, Ok(Success::Done), &nothing, now);
    assert_eq!(simulation.state.next(&nothing, now), Next::Ended);
}
