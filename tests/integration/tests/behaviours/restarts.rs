//! Restarts: how often, how soon, and what is said about it.

use super::row::{Row, pages};

pub(crate) fn rows() -> Vec<Row> {
    let volume = "volumes: [{name: shared, emptyDir: {}}]";
    let mount = "volumeMounts: [{name: shared, mountPath: /shared}]";
    vec![
        Row::new("a container that keeps failing waits: CrashLoopBackOff", pages::CRASHES)
            .spec("{containers: [{name: main, args: [exit, '7']}]}")
            .waits("CrashLoopBackOff", "back-off 10s restarting failed container=main pod=pod_@namespace")
            .shows(
                "{phase: Running, containerStatuses: [{name: main, restartCount: '>=1',
                  lastState: {terminated: {exitCode: 7, reason: Error, startedAt: '*', finishedAt: '*'}}}]}",
            )
            .event("BackOff", "back-off 10s restarting failed container"),
        Row::new("the second restart comes after the first back-off", pages::CRASHES)
            .spec("{containers: [{name: main, args: [exit, '7']}]}")
            .shows("{containerStatuses: [{name: main, restartCount: '>=2'}]}"),
        Row::new("OnFailure restarts until it succeeds, and no more", pages::RESTART_POLICY)
            .spec(&format!(
                "{{restartPolicy: OnFailure, {volume},
                  containers: [{{name: main, args: [append, /shared/runs, x, then, at-least, '2', /shared/runs], {mount}}}]}}"
            ))
            .shows(
                "{phase: Succeeded, containerStatuses: [{name: main, restartCount: 1,
                  state: {terminated: {exitCode: 0}}, lastState: {terminated: {exitCode: 1, reason: Error}}}]}",
            ),
        Row::new("a restarted container has a new id", pages::CRASHES)
            .spec(&format!(
                "{{{volume}, containers: [{{name: main, args: [append, /shared/runs, x, then, at-least, '2', /shared/runs, then, pause], {mount}}}]}}"
            ))
            .shows("{containerStatuses: [{name: main, restartCount: 1, state: {running: {}}}]}")
            .holds("the ids differ", |scene| {
                let status = super::run::container_status(scene.pod, "main");
                let last = status.and_then(|status| status.last_state.clone()?.terminated?.container_id);
                let now = status.and_then(|status| status.container_id.clone());
                anyhow::ensure!(last.is_some() && last != now, "{last:?} {now:?}");
                Ok(())
            }),
        Row::new("one container's restart leaves the other alone", pages::RESTART_POLICY)
            .spec("{containers: [{name: main, args: [exit, '0']}, {name: other, args: [pause]}]}")
            .shows(
                "{containerStatuses: [{name: main, restartCount: '>=1'}, {name: other, restartCount: 0, ready: true}]}",
            ),
        Row::new("the files of a container do not outlive it, those of an emptyDir do", pages::EMPTY_DIR)
            .spec(&format!(
                "{{restartPolicy: OnFailure, {volume},
                  containers: [{{name: main, args: [report, 'file:/own', 'file:/shared/runs', then, append, /own, x, then,
                                                   append, /shared/runs, x, then, at-least, '2', /shared/runs], {mount}}}]}}"
            ))
            .shows("{phase: Succeeded}")
            .says("{'file:/own': {error: ENOENT}, 'file:/shared/runs': {text: x}}"),
        Row::new("a program that is not there: RunContainerError or StartError, and tried again", pages::CRASHES)
            .spec("{containers: [{name: main, command: [/nothing]}]}")
            .showed("{containerStatuses: [{name: main, state: {waiting: {reason: RunContainerError, message: ~nothing}}}]}")
            .shows(
                "{containerStatuses: [{name: main, restartCount: '>=1', lastState: {terminated: {exitCode: 128, reason: StartError, message: ~nothing}}}]}",
            )
            .event("Failed", "nothing"),
        Row::new("a program that is not there with restart policy Never: Failed", pages::PHASE)
            .once("{command: [/nothing]}")
            .shows("{phase: Failed, containerStatuses: [{name: main, restartCount: 0}]}")
            .ended("StartError", 128),
        Row::new("a program that must not be executed", pages::CRASHES)
            .once("{command: [/etc/hosts]}")
            .shows("{phase: Failed}")
            .ended("StartError", 128),
        Row::new("a container's own rule restarts it after this exit code", pages::CONTAINER_RESTARTS)
            .spec(&format!(
                "{{restartPolicy: Never, {volume}, containers: [{{name: main, restartPolicy: Never,
                   restartPolicyRules: [{{action: Restart, exitCodes: {{operator: In, values: [1]}}}}],
                   args: [append, /shared/runs, x, then, at-least, '2', /shared/runs], {mount}}}]}}"
            ))
            .shows(
                "{phase: Succeeded, containerStatuses: [{name: main, restartCount: 1, lastState: {terminated: {exitCode: 1}}}]}",
            ),
        Row::new("a container's own rule leaves other exit codes alone", pages::CONTAINER_RESTARTS)
            .spec(
                "{restartPolicy: Never, containers: [{name: main, restartPolicy: Never,
                  restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [42]}}], args: [exit, '1']}]}",
            )
            .shows("{phase: Failed, containerStatuses: [{name: main, restartCount: 0}]}"),
        Row::new("a sidecar restarts under restart policy Never", pages::SIDECARS)
            .spec(
                "{restartPolicy: Never, initContainers: [{name: side, restartPolicy: Always, args: [exit, '3']}], containers: [{name: main, args: [pause]}]}",
            )
            .shows(
                "{phase: Running, initContainerStatuses: [{name: side, restartCount: '>=1', lastState: {terminated: {exitCode: 3}}}]}",
            ),
        Row::new("an image that is changed restarts its container only", pages::API)
            .spec("{containers: [{name: main, args: [pause]}, {name: other, args: [pause]}]}")
            .shows("{phase: Running}")
            .apply(
                "{kind: Pod, metadata: {name: pod}, spec: {containers: [
                    {name: main, image: 'skerry.local/rolling:latest', imagePullPolicy: Never, args: [pause]},
                    {name: other, image: 'skerry.local/hello:demo', imagePullPolicy: Never, args: [pause]}]}}",
            )
            .shows(
                "{containerStatuses: [{name: main, restartCount: 1, image: 'skerry.local/rolling:latest', state: {running: {}}},
                                      {name: other, restartCount: 0}]}",
            )
            .event("Killing", "Container main definition changed, will be restarted"),
    ]
}
