//! Probes: what asks, what an answer leads to, and how many answers it takes. The files that decide are in the row's
//! own directory, which the container sees as `/dir`.

use std::fs;
use std::path::Path;

use super::row::{Row, pages};
use super::run::container_status;

pub(crate) fn rows() -> Vec<Row> {
    [readiness(), liveness(), startup(), requests(), timing()].concat()
}

/// The rest of a container that sees the row's directory, with its pod's volume.
pub(crate) fn sharing(name: &'static str, page: &'static str, policy: &str, container: &str) -> Row {
    Row::new(name, page)
        .spec(&format!(
            "{{restartPolicy: {policy}, containers: [{{name: main, volumeMounts: [{{name: dir, mountPath: /dir}}], {container}}}]}}"
        ))
        .with("{volumes: [{name: dir, hostPath: {path: '@dir'}}]}")
}

fn row(name: &'static str, container: &str) -> Row {
    sharing(name, pages::PROBES, "Always", container)
}

/// A command that succeeds as long as there is the file.
const UP: &str = "exec: {command: [/demo-app, at-least, '0', /dir/up]}";

pub(crate) fn up(dir: &Path) -> std::io::Result<()> {
    fs::write(dir.join("up"), "")
}

pub(crate) fn down(dir: &Path) -> std::io::Result<()> {
    fs::remove_file(dir.join("up"))
}

fn readiness() -> Vec<Row> {
    vec![
        row(
            "a readiness probe says whether a container is ready, and restarts nothing",
            &format!("args: [pause], readinessProbe: {{{UP}, periodSeconds: 1, failureThreshold: 1}}"),
        )
        .shows(
            "{phase: Running, containerStatuses: [{name: main, ready: false, started: true, state: {running: {}}}],
              conditions: [{type: Ready, status: 'False', reason: ContainersNotReady}]}",
        )
        .event("Unhealthy", "Readiness probe failed: ")
        .does(up)
        .shows("{containerStatuses: [{name: main, ready: true}], conditions: [{type: Ready, status: 'True'}]}")
        .does(down)
        .shows("{containerStatuses: [{name: main, ready: false, restartCount: 0}], conditions: [{type: Ready, status: 'False'}]}"),
        row(
            "a probe whose command is not there says nothing about the container",
            "args: [pause], readinessProbe: {exec: {command: [/nothing]}, periodSeconds: 1, failureThreshold: 1}",
        )
        .event("Unhealthy", "Readiness probe errored and resulted in unknown state")
        .shows("{containerStatuses: [{name: main, ready: false, restartCount: 0, state: {running: {}}}]}"),
        row(
            "a command that takes longer than its timeout has failed",
            "args: [pause], readinessProbe: {exec: {command: [/demo-app, linger, '20000']}, timeoutSeconds: 1, periodSeconds: 1}",
        )
        .event("Unhealthy", "timed out")
        .shows("{containerStatuses: [{name: main, ready: false, restartCount: 0}]}"),
        Row::new("one container that is not ready: the pod is not", pages::PROBES)
            .spec(
                "{containers: [{name: main, args: [pause]},
                  {name: other, args: [pause], readinessProbe: {exec: {command: [/demo-app, exit, '1']}, periodSeconds: 1}}]}",
            )
            .shows(
                "{phase: Running, containerStatuses: [{name: main, ready: true}, {name: other, ready: false}],
                  conditions: [{type: Ready, status: 'False', message: '~[other]'}, {type: ContainersReady, status: 'False'}]}",
            ),
    ]
}

fn liveness() -> Vec<Row> {
    let probe = format!("livenessProbe: {{{UP}, periodSeconds: 1, failureThreshold: 1}}");
    vec![
        row("a container that its liveness probe gives up is restarted", &format!("args: [pause], {probe}"))
            .prepare(up)
            .shows("{containerStatuses: [{name: main, ready: true, restartCount: 0}]}")
            .does(down)
            .event("Unhealthy", "Liveness probe failed: ")
            .event("Killing", "Container main failed liveness probe, will be restarted")
            .does(up)
            .shows("{phase: Running, containerStatuses: [{name: main, ready: true, restartCount: '>=1', lastState: {terminated: {exitCode: 0}}}]}"),
        sharing(
            "with restart policy Never a container that its liveness probe gives up is not restarted",
            pages::RESTART_POLICY,
            "Never",
            &format!("args: [signal, then, exit, '3'], {probe}"),
        )
        .prepare(up)
        .shows("{phase: Running}")
        .does(down)
        .shows("{phase: Failed, containerStatuses: [{name: main, restartCount: 0}]}")
        .ended("Error", 3)
        .last("main", "SIGTERM"),
        row(
            "as many failures in a row as the threshold says, and no fewer",
            "args: [signal, then, report, 'file:/dir/asked'],
             livenessProbe: {exec: {command: [/demo-app, append, /dir/asked, x, then, exit, '1']}, periodSeconds: 1, failureThreshold: 3}",
        )
        .shows("{containerStatuses: [{name: main, restartCount: '>=1'}]}")
        .says("{'file:/dir/asked': {text: xxx}}"),
        sharing(
            "a probe may have a grace period of its own",
            pages::PROBES,
            "Always",
            "args: [deaf], livenessProbe: {exec: {command: [/demo-app, exit, '1']}, periodSeconds: 1, failureThreshold: 1, terminationGracePeriodSeconds: 1}",
        )
        .with("{terminationGracePeriodSeconds: 3600}")
        .shows("{containerStatuses: [{name: main, restartCount: '>=1', lastState: {terminated: {exitCode: 137}}}]}")
        .delete(Some(1))
        .gone(),
        row(
            "a TCP liveness probe of a port that nobody has",
            "args: [pause], livenessProbe: {tcpSocket: {port: 9}, periodSeconds: 1, failureThreshold: 1}",
        )
        .event("Unhealthy", "connection refused")
        .shows("{containerStatuses: [{name: main, restartCount: '>=1'}]}"),
    ]
}

fn startup() -> Vec<Row> {
    vec![
        row(
            "until the startup probe has succeeded there are no other probes",
            &format!(
                "args: [pause], startupProbe: {{{UP}, periodSeconds: 1, failureThreshold: 1000}},
                 livenessProbe: {{exec: {{command: [/demo-app, at-least, '0', /dir/alive]}}, periodSeconds: 1, failureThreshold: 1}}"
            ),
        )
        .shows("{phase: Running, containerStatuses: [{name: main, started: false, ready: false, state: {running: {}}}]}")
        .event("Unhealthy", "Startup probe failed: ")
        .does(|dir| fs::write(dir.join("alive"), ""))
        .does(up)
        .shows("{containerStatuses: [{name: main, started: true, ready: true, restartCount: 0}]}")
        .does(|dir| fs::remove_file(dir.join("alive")))
        .shows("{containerStatuses: [{name: main, restartCount: '>=1'}]}"),
        row(
            "a container that does not start in time is restarted",
            &format!("args: [pause], startupProbe: {{{UP}, periodSeconds: 1, failureThreshold: 2}}"),
        )
        .event("Killing", "Container main failed startup probe, will be restarted")
        .shows("{containerStatuses: [{name: main, started: false, restartCount: '>=1'}]}"),
        row(
            "what has started once is not asked again whether it has",
            &format!("args: [pause], startupProbe: {{{UP}, periodSeconds: 1, failureThreshold: 1}}, readinessProbe: {{exec: {{command: [/demo-app, append, /dir/asked, x]}}, periodSeconds: 1}}"),
        )
        .prepare(up)
        .shows("{containerStatuses: [{name: main, started: true, ready: true}]}")
        .does(down)
        .does(|dir| fs::write(dir.join("asked"), ""))
        // Several periods later.
        .holds("the other probe was asked further", |scene| {
            let asked = fs::read(dir_of(scene.pod).join("asked"))?.len();
            anyhow::ensure!(asked >= 3, "{asked} times");
            Ok(())
        })
        .shows("{containerStatuses: [{name: main, started: true, ready: true, restartCount: 0}]}"),
    ]
}

fn requests() -> Vec<Row> {
    let port = "ports: [{name: web, containerPort: 8080}]";
    let page: fn(&Path) -> std::io::Result<()> = |dir| fs::write(dir.join("page"), "hello");
    vec![
        row(
            "an HTTP probe by the name of a port",
            &format!("args: [http, '8080', /dir/page], {port}, readinessProbe: {{httpGet: {{port: web, path: /}}, periodSeconds: 1, failureThreshold: 1}}"),
        )
        .event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 500")
        .does(page)
        .shows("{containerStatuses: [{name: main, ready: true}]}"),
        row(
            "an HTTP liveness probe that is answered with an error",
            &format!("args: [http, '8080', /dir/page], {port}, livenessProbe: {{httpGet: {{port: 8080}}, periodSeconds: 1, failureThreshold: 1, initialDelaySeconds: 2}}"),
        )
        .prepare(page)
        .shows("{phase: Running}")
        .does(|dir| fs::remove_file(dir.join("page")))
        .event("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500")
        .shows("{containerStatuses: [{name: main, restartCount: '>=1'}]}"),
        row(
            "an HTTPS probe does not care whose certificate it is",
            "args: [pause], readinessProbe: {httpGet: {host: 127.0.0.1, port: '@https', scheme: HTTPS, path: '@dir/up'}, periodSeconds: 1, failureThreshold: 1}",
        )
        .event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
        .does(up)
        .shows("{containerStatuses: [{name: main, ready: true}]}"),
        row(
            "a TCP probe waits until the port is open",
            &format!("args: [until, /dir/open, 'yes', then, http, '8080', /dir/page], {port}, readinessProbe: {{tcpSocket: {{port: web}}, periodSeconds: 1, failureThreshold: 1}}"),
        )
        .event("Unhealthy", "Readiness probe failed: dial tcp ")
        .does(|dir| fs::write(dir.join("open"), "yes"))
        .shows("{containerStatuses: [{name: main, ready: true}]}"),
        row(
            "a gRPC probe asks the health service for a service",
            "args: [pause], readinessProbe: {grpc: {port: '@grpc', service: '@dir/up'}, periodSeconds: 1, failureThreshold: 1}",
        )
        .with("{hostNetwork: true}")
        .event("Unhealthy", "Readiness probe failed: service unhealthy (responded with \"NOT_SERVING\")")
        .does(up)
        .shows("{containerStatuses: [{name: main, ready: true}]}"),
        row(
            "a gRPC liveness probe that nobody answers",
            "args: [pause], livenessProbe: {grpc: {port: 9}, periodSeconds: 1, failureThreshold: 1}",
        )
        .event("Unhealthy", "Liveness probe failed: error: failed to connect service")
        .shows("{containerStatuses: [{name: main, restartCount: '>=1'}]}"),
    ]
}

fn timing() -> Vec<Row> {
    vec![
        row(
            "the first question waits for the initial delay",
            "args: [pause], readinessProbe: {exec: {command: [/demo-app, exit, '0']}, initialDelaySeconds: 4, periodSeconds: 1}",
        )
        .showed("{containerStatuses: [{name: main, ready: false, started: true, state: {running: {}}}]}")
        .shows("{conditions: [{type: Ready, status: 'True'}]}")
        // Times have whole seconds.
        .holds("the delay", |scene| later_than_the_start(scene.pod, 3)),
        row(
            "as many successes in a row as the threshold says",
            "args: [pause], readinessProbe: {exec: {command: [/demo-app, exit, '0']}, periodSeconds: 1, successThreshold: 5}",
        )
        .shows("{conditions: [{type: Ready, status: 'True'}]}")
        .holds("it took some periods", |scene| later_than_the_start(scene.pod, 3)),
    ]
}

/// That the pod became ready so many seconds after its container was started.
pub(crate) fn later_than_the_start(
    pod: &k8s_openapi::api::core::v1::Pod,
    seconds: i64,
) -> anyhow::Result<()> {
    let status = pod.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready");
    let ready = ready.and_then(|condition| condition.last_transition_time.as_ref()).map(|time| time.0);
    let started = container_status(pod, "main").and_then(|status| status.state.as_ref()?.running.as_ref());
    let started = started.and_then(|running| running.started_at.as_ref()).map(|time| time.0);
    let took = ready.zip(started).map(|(ready, started)| ready.as_second() - started.as_second());
    anyhow::ensure!(took.is_some_and(|took| took >= seconds), "{ready:?} {started:?}");
    Ok(())
}

/// The row's directory, by the pod's hostPath.
pub(crate) fn dir_of(pod: &k8s_openapi::api::core::v1::Pod) -> std::path::PathBuf {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes
        .filter_map(|volume| volume.host_path.as_ref())
        .map(|source| (&source.path).into())
        .next()
        .unwrap_or_default()
}
