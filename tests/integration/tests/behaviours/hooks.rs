//! What is done after a container's start and before its stop.

use std::fs;

use super::probes::{down, later_than_the_start, sharing, up};
use super::row::{Row, pages};

pub(crate) fn rows() -> Vec<Row> {
    [after_the_start(), before_the_stop()].concat()
}

fn after_the_start() -> Vec<Row> {
    let row = |name, container: &str| sharing(name, pages::HOOKS, "Always", container);
    vec![
        row(
            "a container waits until its postStart hook has ended",
            "args: [pause], lifecycle: {postStart: {exec: {command: [/demo-app, until, /dir/go, 'yes']}}}",
        )
        .event("Started", "Started container main")
        .shows("{phase: Pending, containerStatuses: [{name: main, ready: false, state: {waiting: {reason: ContainerCreating}}}]}")
        .does(|dir| fs::write(dir.join("go"), "yes"))
        .shows("{phase: Running, containerStatuses: [{name: main, ready: true, restartCount: 0, state: {running: {}}}]}"),
        row(
            "a container whose postStart hook fails is ended and started again",
            "args: [pause], lifecycle: {postStart: {exec: {command: [/demo-app, at-least, '0', /dir/up]}}}",
        )
        .event("FailedPostStartHook", "PostStartHook failed")
        .event("Killing", "FailedPostStartHook")
        .does(up)
        .shows("{phase: Running, containerStatuses: [{name: main, ready: true, restartCount: '>=1'}]}"),
        row(
            "a postStart hook may be a request",
            "args: [pause], lifecycle: {postStart: {httpGet: {host: 127.0.0.1, port: '@https', scheme: HTTPS, path: '@dir/hello'}}}",
        )
        .shows("{phase: Running, containerStatuses: [{name: main, ready: true}]}")
        .left("hello.asked", "yes"),
        row(
            "a postStart hook may be a sleep",
            "args: [pause], lifecycle: {postStart: {sleep: {seconds: 4}}}",
        )
        .shows("{conditions: [{type: Ready, status: 'True'}]}")
        .holds("it took its time", |scene| later_than_the_start(scene.pod, 3)),
        row(
            "a request of a postStart hook that nobody answers",
            "args: [pause], lifecycle: {postStart: {httpGet: {port: 9}}}",
        )
        .event("FailedPostStartHook", "connection refused")
        .shows("{containerStatuses: [{name: main, ready: false, restartCount: '>=1'}]}"),
    ]
}

fn before_the_stop() -> Vec<Row> {
    let row = |name, policy, container: &str| {
        sharing(name, pages::HANDLERS, policy, container).with("{terminationGracePeriodSeconds: 30}")
    };
    vec![
        row(
            "a preStop hook has ended when the signal comes",
            "Always",
            "args: [signal, then, append, /dir/log, ' then the signal'],
             lifecycle: {preStop: {exec: {command: [/demo-app, linger, '1000', then, append, /dir/log, the hook]}}}",
        )
        .shows("{phase: Running}")
        .delete(None)
        .gone()
        .left("log", "the hook then the signal"),
        row(
            "a preStop hook may be a request",
            "Always",
            "args: [pause], lifecycle: {preStop: {httpGet: {host: 127.0.0.1, port: '@https', scheme: HTTPS, path: '@dir/bye'}}}",
        )
        .shows("{phase: Running}")
        .delete(None)
        .gone()
        .left("bye.asked", "yes"),
        Row::new("a preStop hook may be a sleep", pages::HANDLERS)
            .spec(
                "{terminationGracePeriodSeconds: 60, volumes: [{name: dir, hostPath: {path: '@dir'}}], containers: [
                  {name: main, args: [signal, then, append, /dir/order, a], lifecycle: {preStop: {sleep: {seconds: 4}}}, volumeMounts: [{name: dir, mountPath: /dir}]},
                  {name: other, args: [signal, then, append, /dir/order, b], volumeMounts: [{name: dir, mountPath: /dir}]}]}",
            )
            .shows("{phase: Running}")
            .delete(None)
            .gone()
            .left("order", "ba"),
        row(
            "a preStop hook that fails is told, and the container is stopped all the same",
            "Always",
            "args: [signal, then, append, /dir/log, stopped], lifecycle: {preStop: {exec: {command: [/demo-app, exit, '3']}}}",
        )
        .shows("{phase: Running}")
        .delete(None)
        .event("FailedPreStopHook", "PreStopHook failed")
        .gone()
        .left("log", "stopped"),
        row(
            "a preStop hook that does not end uses up the grace period",
            "Always",
            "args: [signal, then, append, /dir/log, stopped], lifecycle: {preStop: {exec: {command: [/demo-app, deaf]}}}",
        )
        .with("{terminationGracePeriodSeconds: 2}")
        .shows("{phase: Running}")
        .delete(None)
        .event("FailedPreStopHook", "PreStopHook failed")
        .gone()
        .left("log", "stopped"),
        row(
            "a container that its liveness probe gives up has its preStop hook",
            "Never",
            "args: [signal, then, append, /dir/log, ' then the signal'],
             lifecycle: {preStop: {exec: {command: [/demo-app, append, /dir/log, the hook]}}},
             livenessProbe: {exec: {command: [/demo-app, at-least, '0', /dir/up]}, periodSeconds: 1, failureThreshold: 1}",
        )
        .prepare(up)
        .shows("{phase: Running}")
        .does(down)
        .shows("{phase: Succeeded}")
        .left("log", "the hook then the signal"),
        row(
            "a container that has ended by itself has no preStop hook",
            "Never",
            "args: [exit, '0'], lifecycle: {preStop: {exec: {command: [/demo-app, append, /dir/log, the hook]}}}",
        )
        .prepare(|dir| fs::write(dir.join("log"), "nothing"))
        .shows("{phase: Succeeded}")
        .delete(None)
        .gone()
        .left("log", "nothing"),
    ]
}
