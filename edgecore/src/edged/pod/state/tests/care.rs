//! The same with hooks and probes, whatever they come to.

use super::*;
use crate::edged::pod::containers::{Role, init_containers};
use crate::edged::pod::health::Duty;
use crate::edged::probe::ProbeKind;

impl Simulation {
    /// One of the hooks and probes that are being run comes to something.
    pub(super) fn answer(&mut self, which: usize, good: bool) {
        let pod = self.state.pod().clone();
        let ends = self.state.is_stopping() || self.state.is_finished();
        let duties = self.state.health().duties(pod.spec.as_ref().unwrap(), &self.observed, ends);
        let Some((name, duty, _)) = duties.get(which % duties.len().max(1)) else { return };
        let attempt = self.observed.newest(name).unwrap().record.attempt;
        let mut verdict = Verdict { attempt, ..Verdict::default() };
        match duty {
            Duty::PostStart => verdict.hook = Some(good.then_some(()).ok_or_else(|| "no".to_owned())),
            Duty::Probe(ProbeKind::Startup) => verdict.started = Some(good),
            Duty::Probe(ProbeKind::Liveness) => verdict.alive = Some(good),
            Duty::Probe(ProbeKind::Readiness) => verdict.ready = Some(good),
        }
        self.state.take_verdicts(&[(name.clone(), verdict)].into(), self.now);
    }

    /// Nothing is started for the first time before what it waits for.
    pub(super) fn check_order(&self, name: &str) {
        let pod = self.state.pod();
        let spec = pod.spec.as_ref().unwrap();
        let current = &self.observed.ready_sandbox().unwrap().id;
        let here = |name: &str| {
            let newest = self.observed.newest(name)?;
            Some(newest)
                .filter(|newest| newest.is_in(current) && newest.record.state != ContainerState::Created)
        };
        let Some(place) = spec.containers.iter().position(|container| container.name == name) else { return };
        if here(name).is_some() {
            return;
        }
        let health = self.state.health();
        for before in &spec.containers[..place] {
            let awaits = here(&before.name).is_some_and(|one| one.is_alive() && health.awaits_hook(one));
            assert!(!awaits, "{name} is started while the hook of {} runs", before.name);
        }
        let initialized = spec.containers.iter().any(|container| here(&container.name).is_some());
        for (role, init) in init_containers(spec).filter(|_| !initialized) {
            let up = here(&init.name).is_some_and(|one| health.has_started(init, one));
            assert!(role == Role::Init || up, "{name} is started before {}", init.name);
        }
    }

    fn all_ready(&self) -> bool {
        let pod = self.state.pod().clone();
        let spec = pod.spec.as_ref().unwrap();
        let sidecars = spec.init_containers.iter().flatten();
        sidecars.chain(&spec.containers).all(|container| {
            let newest = self.observed.newest(&container.name).filter(|newest| newest.is_alive());
            newest.is_some_and(|newest| self.state.health().is_ready(container, newest))
        })
    }
}

fn cared_for() -> Value {
    let probe = json!({"exec": {"command": ["x"]}});
    let hook = json!({"postStart": {"sleep": {"seconds": 1}}});
    json!({
        "initContainers": [{"name": "side", "image": "side:1", "restartPolicy": "Always", "startupProbe": probe}],
        "containers": [
            {"name": "a", "image": "app:1", "lifecycle": hook, "livenessProbe": probe, "readinessProbe": probe},
            {"name": "b", "image": "app:1", "startupProbe": probe, "livenessProbe": probe},
        ],
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_pod_is_ready_in_the_end_when_its_probes_say_so(
        happenings in prop::collection::vec(happening(), 0..40),
    ) {
        let mut simulation = Simulation::new(cared_for());
        simulation.settle();
        for happening in happenings {
            simulation.happen(happening);
        }
        for _ in 0..8 {
            simulation.calm_down(2);
            (0..4).for_each(|which| simulation.answer(which, true));
        }
        prop_assert!(simulation.all_run() && simulation.all_ready(), "{:?}", simulation.observed);
    }
}

#[test]
fn what_follows_waits_for_startup_probes_and_hooks() {
    let mut simulation = Simulation::new(cared_for());
    let names = |simulation: &Simulation| -> Vec<String> {
        simulation.observed.alive().map(|container| container.record.name.clone()).collect()
    };
    simulation.settle();
    assert_eq!(names(&simulation), ["side"]);
    simulation.happen(Happening::Answer { which: 0, good: true });
    assert_eq!(names(&simulation), ["a", "side"], "b waits for the hook of a");
    simulation.happen(Happening::Restart);
    assert_eq!(names(&simulation), ["a", "side"]);
    // What was reported is not in this simulation, so that the sidecar has to start once more.
    simulation.happen(Happening::Answer { which: 1, good: true });
    assert_eq!(names(&simulation), ["a", "b", "side"]);
    simulation.happen(Happening::Exit { which: 1, code: 1 });
    assert_eq!(names(&simulation), ["a", "b", "side"], "later on nobody waits for the other");
}

#[test]
fn a_step_gives_way_to_a_container_that_has_failed() {
    let mut simulation = Simulation::new(cared_for());
    simulation.settle();
    let begun_with = simulation.state.pod().clone();
    let now = simulation.now;
    let stop = |why| Step::Stop { containers: Vec::new(), kill_at: now + Duration::from_secs(5), why };
    let unhealthy = stop(StopReason::Unhealthy(ProbeKind::Liveness));
    assert!(!simulation.state.is_urgent(&Step::Prepare, &simulation.observed));
    simulation.answer(0, false);
    assert!(simulation.state.is_urgent(&Step::Prepare, &simulation.observed));
    assert!(!simulation.state.is_urgent(&unhealthy, &simulation.observed), "that is what it is for");
    assert!(!simulation.state.is_overtaken(&unhealthy, &begun_with));
    simulation.state.stop_within(Duration::from_secs(30), now);
    assert!(simulation.state.is_overtaken(&unhealthy, &begun_with), "the others need their time, too");
    assert!(!simulation.state.is_overtaken(&stop(StopReason::PodEnds), &begun_with));
}
