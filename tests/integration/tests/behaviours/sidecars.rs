//! Sidecars: in which order they start and end, and what they mean for the pod.

use super::probes::up;
use super::row::{Row, pages};

/// The row's directory, as `/dir`.
const MOUNT: &str = "volumeMounts: [{name: dir, mountPath: /dir}]";
const VOLUME: &str = "volumes: [{name: dir, hostPath: {path: '@dir'}}]";

pub(crate) fn rows() -> Vec<Row> {
    [order(), jobs(), probes()].concat()
}

fn side(name: &str, further: &str) -> String {
    format!("{{name: {name}, restartPolicy: Always, {MOUNT}, {further}}}")
}

fn order() -> Vec<Row> {
    let starting = |name: &str, place: usize| {
        side(
            name,
            &format!(
                "args: [append, /dir/order, '{place}', then, pause],
                 startupProbe: {{exec: {{command: [/demo-app, at-least, '{place}', /dir/order]}}, periodSeconds: 1, failureThreshold: 100}}"
            ),
        )
    };
    let ending = |name: &str| side(name, &format!("args: [signal, then, append, /dir/order, ' {name}']"));
    vec![
        Row::new("sidecars and init containers start in their order, the rest after them", pages::SIDECARS)
            .spec(&format!(
                "{{{VOLUME}, initContainers: [{}, {{name: init, args: [append, /dir/order, '2'], {MOUNT}}}, {}],
                  containers: [{{name: main, args: [append, /dir/order, '4', then, pause], {MOUNT}}}]}}",
                starting("one", 1),
                starting("three", 3),
            ))
            .shows("{phase: Running, conditions: [{type: Ready, status: 'True'}]}")
            .left("order", "1234"),
        Row::new("sidecars end after the rest, the last one first", pages::SIDECARS)
            .spec(&format!(
                "{{terminationGracePeriodSeconds: 60, {VOLUME}, initContainers: [{}, {}, {}],
                  containers: [{{name: main, args: [signal, then, linger, '1000', then, append, /dir/order, main], {MOUNT}}}]}}",
                ending("one"),
                ending("two"),
                ending("three"),
            ))
            .shows("{phase: Running}")
            .delete(None)
            .gone()
            .left("order", "main three two one"),
        Row::new("what is left of the grace period is for the sidecars", pages::SIDECARS)
            .spec(&format!(
                "{{terminationGracePeriodSeconds: 3, {VOLUME}, initContainers: [{}],
                  containers: [{{name: main, args: [deaf]}}]}}",
                ending("side"),
            ))
            .shows("{phase: Running}")
            .delete(None)
            .gone()
            .left("order", " side"),
    ]
}

fn jobs() -> Vec<Row> {
    let job = |name, policy: &str, side: &str, main: &str| {
        Row::new(name, pages::SIDECARS).spec(&format!(
            "{{restartPolicy: {policy}, terminationGracePeriodSeconds: 30,
              initContainers: [{{name: side, restartPolicy: Always, args: {side}}}],
              containers: [{{name: main, args: {main}}}]}}"
        ))
    };
    vec![
        job("a pod is done when all but its sidecars are", "Never", "[signal]", "[exit, '0']").shows(
            "{phase: Succeeded, initContainerStatuses: [{name: side, restartCount: 0, state: {terminated: {exitCode: 0, message: SIGTERM}}}],
              conditions: [{type: Ready, status: 'False', reason: PodCompleted}]}",
        ),
        job("how a sidecar ends does not matter to the pod", "OnFailure", "[signal, then, exit, '9']", "[exit, '0']")
            .shows("{phase: Succeeded, initContainerStatuses: [{name: side, restartCount: 0, state: {terminated: {exitCode: 9}}}]}"),
        job("a pod that has failed ends its sidecars, too", "Never", "[signal]", "[exit, '5']")
            .shows("{phase: Failed, initContainerStatuses: [{name: side, state: {terminated: {exitCode: 0}}}]}")
            .ended("Error", 5),
    ]
}

fn probes() -> Vec<Row> {
    let row = |name, page, probe: &str| {
        Row::new(name, page).spec(&format!(
            "{{{VOLUME}, initContainers: [{}], containers: [{{name: main, args: [pause]}}]}}",
            side(
                "side",
                &format!("args: [pause], {probe}: {{exec: {{command: [/demo-app, at-least, '0', /dir/up]}}, periodSeconds: 1, failureThreshold: 1000}}")
            ),
        ))
    };
    vec![
        row("the rest waits until a sidecar has started", pages::SIDECARS, "startupProbe")
            .shows(
                "{phase: Pending, initContainerStatuses: [{name: side, started: false, state: {running: {}}}],
                  containerStatuses: [{name: main, state: {waiting: {reason: PodInitializing}}}]}",
            )
            .does(up)
            .shows("{phase: Running, initContainerStatuses: [{name: side, started: true}], containerStatuses: [{name: main, ready: true}]}"),
        row("a sidecar that is not ready: the pod is not", pages::SIDECARS, "readinessProbe")
            .shows(
                "{phase: Running, containerStatuses: [{name: main, ready: true}], initContainerStatuses: [{name: side, ready: false}],
                  conditions: [{type: Initialized, status: 'True'}, {type: Ready, status: 'False', message: '~[side]'}]}",
            )
            .does(up)
            .shows("{conditions: [{type: Ready, status: 'True'}]}"),
    ]
}
