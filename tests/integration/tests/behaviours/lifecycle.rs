//! Init containers, sidecars, and how pods are stopped.

use super::further_images::FITTED;
use super::row::{Row, pages};
use super::run::container_status;

pub(crate) fn rows() -> Vec<Row> {
    [init_containers(), sidecars(), stopping(), held()].concat()
}

fn init_containers() -> Vec<Row> {
    let volume = "volumes: [{name: shared, emptyDir: {}}]";
    let mount = "volumeMounts: [{name: shared, mountPath: /shared}]";
    vec![
        Row::new("init containers run one after the other, before the rest", pages::INIT)
            .spec(&format!(
                "{{restartPolicy: Never, {volume},
                  initContainers: [{{name: one, args: [append, /shared/order, '1'], {mount}}},
                                   {{name: two, args: [append, /shared/order, '2'], {mount}}}],
                  containers: [{{name: main, args: [append, /shared/order, '3', then, report, 'file:/shared/order'], {mount}}}]}}"
            ))
            .says("{'file:/shared/order': {text: '123'}}")
            .shows(
                "{phase: Succeeded, initContainerStatuses: [
                  {name: one, ready: true, state: {terminated: {reason: Completed, exitCode: 0}}},
                  {name: two, ready: true, restartCount: 0, state: {terminated: {reason: Completed}}}]}",
            ),
        Row::new("an init container fails with restart policy Never: Failed", pages::INIT)
            .spec("{restartPolicy: Never, initContainers: [{name: first, args: [exit, '4']}], containers: [{name: main, args: [pause]}]}")
            .shows(
                "{phase: Failed, initContainerStatuses: [{name: first, ready: false, restartCount: 0, state: {terminated: {reason: Error, exitCode: 4}}}],
                  containerStatuses: [{name: main, restartCount: 0, state: {waiting: {reason: PodInitializing}}}],
                  conditions: [{type: Initialized, status: 'False', reason: ContainersNotInitialized}]}",
            ),
        Row::new("an init container that fails is tried again until it succeeds", pages::INIT)
            .spec(&format!(
                "{{restartPolicy: OnFailure, {volume},
                  initContainers: [{{name: first, args: [append, /shared/runs, x, then, at-least, '2', /shared/runs], {mount}}}],
                  containers: [{{name: main, args: [exit, '0']}}]}}"
            ))
            .shows(
                "{phase: Succeeded, initContainerStatuses: [{name: first, restartCount: 1, ready: true}]}",
            ),
        Row::new("while an init container fails the pod is Pending", pages::INIT_STATUS)
            .spec("{initContainers: [{name: first, args: [exit, '1']}], containers: [{name: main, args: [pause]}]}")
            .shows(
                "{phase: Pending, initContainerStatuses: [{name: first, restartCount: '>=1', state: {waiting: {reason: CrashLoopBackOff}}}],
                  containerStatuses: [{name: main, state: {waiting: {reason: PodInitializing}}}],
                  conditions: [{type: Initialized, status: 'False'}, {type: Ready, status: 'False'}]}",
            ),
        Row::new("while an init container runs the others wait", pages::INIT_STATUS)
            .spec("{initContainers: [{name: first, args: [pause]}, {name: second, args: [exit, '0']}], containers: [{name: main, args: [pause]}]}")
            .shows(
                "{phase: Pending, initContainerStatuses: [{name: first, ready: false, state: {running: {}}},
                                                          {name: second, state: {waiting: {reason: PodInitializing}}}],
                  containerStatuses: [{name: main, state: {waiting: {reason: PodInitializing}}}],
                  conditions: [{type: Initialized, status: 'False', message: '~[first second]'}]}",
            ),
        Row::new("the Initialized condition comes when the last has ended", pages::CONDITIONS)
            .spec("{initContainers: [{name: first, args: [exit, '0']}], containers: [{name: main, args: [pause]}]}")
            .shows("{phase: Running, conditions: [{type: Initialized, status: 'True'}, {type: Ready, status: 'True'}]}")
            .showed("{conditions: [{type: Initialized, status: 'False'}]}"),
        Row::new("an init container may hand over through a volume", pages::INIT)
            .spec(&format!(
                "{{restartPolicy: Never, {volume},
                  initContainers: [{{name: first, args: [write, /shared/page, hello], {mount}}}],
                  containers: [{{name: main, args: [report, 'file:/shared/page'], {mount}}}]}}"
            ))
            .says("{'file:/shared/page': {text: hello, kind: file}}"),
    ]
}

fn sidecars() -> Vec<Row> {
    let sidecar = "{name: side, restartPolicy: Always, args: [pause]}";
    vec![
        Row::new("a sidecar is started before the rest and stays", pages::SIDECARS)
            .spec(&format!("{{initContainers: [{sidecar}], containers: [{{name: main, args: [pause]}}]}}"))
            .shows(
                "{phase: Running, initContainerStatuses: [{name: side, ready: true, started: true, state: {running: {}}}],
                  conditions: [{type: Initialized, status: 'True'}, {type: Ready, status: 'True'}]}",
            )
            .holds("the sidecar was started first", |scene| {
                let started = |name| {
                    let state = container_status(scene.pod, name)?.state.as_ref()?;
                    state.running.as_ref()?.started_at.as_ref().map(|time| time.0)
                };
                anyhow::ensure!(started("side") <= started("main"), "{:?} {:?}", started("side"), started("main"));
                Ok(())
            }),
        Row::new("an init container after a sidecar finds it running", pages::SIDECARS)
            .spec(&format!(
                "{{restartPolicy: Never, shareProcessNamespace: true,
                  initContainers: [{sidecar}, {{name: after, args: [report, processes]}}],
                  containers: [{{name: main, args: [exit, '0']}}]}}"
            ))
            .container_says("after", "{processes: ['/demo-app pause']}"),
        Row::new("a sidecar that ends is started again", pages::SIDECARS)
            .spec(
                "{restartPolicy: Never, initContainers: [{name: side, restartPolicy: Always, args: [exit, '0']}], containers: [{name: main, args: [pause]}]}",
            )
            .shows("{phase: Running, initContainerStatuses: [{name: side, restartCount: '>=1'}]}"),
    ]
}

fn stopping() -> Vec<Row> {
    vec![
        Row::new("a deleted pod's containers get SIGTERM", pages::TERMINATION)
            .spec(
                "{terminationGracePeriodSeconds: 60,
                  containers: [{name: main, args: [signal, then, append, /marks/end, SIGTERM seen], volumeMounts: [{name: marks, mountPath: /marks}]}],
                  volumes: [{name: marks, hostPath: {path: '@dir'}}]}",
            )
            .shows("{phase: Running}")
            .delete(None)
            .gone()
            .left("end", "SIGTERM seen"),
        Row::new("what does not end is killed after the grace period: exit code 137", pages::TERMINATION)
            .spec("{terminationGracePeriodSeconds: 3, containers: [{name: main, args: [deaf]}]}")
            .shows("{phase: Running}")
            .delete(None)
            .gone()
            .showed(
                "{phase: Failed, containerStatuses: [{name: main, ready: false, state: {terminated: {reason: Error, exitCode: 137}}}]}",
            )
            .event("Killing", "Stopping container main"),
        Row::new("a container that ends at SIGTERM has its own exit code", pages::TERMINATION)
            .spec("{terminationGracePeriodSeconds: 60, containers: [{name: main, args: [signal, then, exit, '5']}]}")
            .shows("{phase: Running}")
            .delete(None)
            .gone()
            .showed(
                "{phase: Failed, containerStatuses: [{name: main, state: {terminated: {exitCode: 5, message: SIGTERM}}}]}",
            ),
        Row::new("a pod whose containers end well when it is deleted: Succeeded", pages::PHASE)
            .spec("{terminationGracePeriodSeconds: 60, containers: [{name: main, args: [pause]}]}")
            .shows("{phase: Running}")
            .delete(None)
            .gone()
            .showed("{phase: Succeeded, containerStatuses: [{name: main, state: {terminated: {exitCode: 0}}}]}"),
        Row::new("the image says which signal stops it", pages::TERMINATION)
            .spec(&format!(
                "{{terminationGracePeriodSeconds: 60, containers: [{{name: main, image: '{FITTED}', imagePullPolicy: Never, args: [signal, then, exit, '6']}}]}}"
            ))
            .shows("{phase: Running}")
            .delete(None)
            .gone()
            .showed("{containerStatuses: [{name: main, state: {terminated: {exitCode: 6, message: SIGUSR1}}}]}"),
        Row::new("the container's own stop signal wins over the image's", pages::STOP_SIGNALS)
            .spec(&format!(
                "{{os: {{name: linux}}, terminationGracePeriodSeconds: 60, containers: [{{name: main, image: '{FITTED}', imagePullPolicy: Never,
                   args: [signal, then, exit, '6'], lifecycle: {{stopSignal: SIGUSR2}}}}]}}"
            ))
            .shows("{phase: Running, containerStatuses: [{name: main, stopSignal: SIGUSR2}]}")
            .delete(None)
            .gone()
            .showed(
                "{containerStatuses: [{name: main, stopSignal: SIGUSR2, state: {terminated: {exitCode: 6, message: SIGUSR2}}}]}",
            ),
        Row::new("a container that does not hear its stop signal is killed when its time is over", pages::STOP_SIGNALS)
            .spec(
                "{os: {name: linux}, terminationGracePeriodSeconds: 3, containers: [{name: main, args: [signal, then, deaf],
                  lifecycle: {stopSignal: SIGHUP}}]}",
            )
            .shows("{phase: Running}")
            .delete(None)
            .gone()
            .showed("{containerStatuses: [{name: main, state: {terminated: {exitCode: 137, message: SIGHUP}}}]}"),
        Row::new("a deletion may have a grace period of its own", pages::TERMINATION)
            .spec("{terminationGracePeriodSeconds: 3600, containers: [{name: main, args: [deaf]}]}")
            .shows("{phase: Running}")
            .delete(Some(2))
            .gone(),
        Row::new("a forced deletion takes the pod from the API and its containers from the node", pages::FORCED)
            .spec("{containers: [{name: main, args: [deaf]}]}")
            .shows("{phase: Running}")
            .delete(Some(0))
            .gone(),
        Row::new("a pod may be given no grace at all", pages::TERMINATION)
            .spec("{terminationGracePeriodSeconds: 0, containers: [{name: main, args: [deaf]}]}")
            .shows("{phase: Running}")
            .delete(None)
            .gone(),
        Row::new("a pod can be deleted while it starts", pages::TERMINATION)
            .spec("{initContainers: [{name: first, args: [deaf]}], containers: [{name: main, args: [pause]}]}")
            .delete(None)
            .gone(),
        Row::new("a pod of the same name is another pod", pages::LIFETIME)
            .spec("{containers: [{name: main, args: [pause]}]}")
            .shows("{phase: Running}")
            .delete(None)
            .gone()
            .again()
            .shows("{phase: Running, containerStatuses: [{name: main, restartCount: 0, lastState: {terminated: null}}]}"),
        Row::new("a pod of the same name while the old one's containers still end", pages::FORCED)
            .spec("{terminationGracePeriodSeconds: 5, containers: [{name: main, args: [deaf]}]}")
            .shows("{phase: Running}")
            .delete(Some(0))
            .gone()
            .again()
            .shows("{phase: Running, containerStatuses: [{name: main, restartCount: 0}]}"),
        Row::new("a pod that is active for too long: DeadlineExceeded", pages::DEADLINE)
            .spec("{activeDeadlineSeconds: 1, containers: [{name: main, args: [pause]}]}")
            .shows("{phase: Failed, reason: DeadlineExceeded}")
            .event("DeadlineExceeded", "longer than the specified deadline"),
        Row::new("a finished pod can be deleted", pages::TERMINATION)
            .once("{args: [exit, '0']}")
            .shows("{phase: Succeeded}")
            .delete(None)
            .gone(),
    ]
}

/// KubeEdge's own: an update waits until somebody at the edge agrees to it.
fn held() -> Vec<Row> {
    let annotation = |value: &str| format!("annotations: {{edge.kubeedge.io/hold-upgrade: '{value}'}}");
    vec![
        Row::new("a pod that is held waits until it is let go", pages::ANNOTATIONS)
            .metadata(&format!("{{{}}}", annotation("true")))
            .spec("{containers: [{name: main, args: [pause]}]}")
            .shows("{phase: Pending, conditions: [{type: HeldUpgrade, status: 'True'}, {type: PodScheduled, status: 'True'}]}")
            .holds("nothing of it is made", |scene| {
                let name = scene.pod.metadata.namespace.clone().unwrap_or_default();
                let output = scene.site.ctr()?.args(["containers", "ls"]).arg(format!("labels.\"io.kubernetes.pod.namespace\"=={name}")).output()?;
                let lines = String::from_utf8(output.stdout)?.lines().count();
                anyhow::ensure!(lines == 1, "{lines} lines, the first of which is the head");
                Ok(())
            })
            .apply(&format!("{{kind: Pod, metadata: {{name: pod, {}}}}}", annotation("false")))
            .shows("{phase: Running, conditions: [{type: HeldUpgrade, status: 'False'}, {type: Ready, status: 'True'}]}"),
        Row::new("a pod that is held can be deleted", pages::ANNOTATIONS)
            .metadata(&format!("{{{}}}", annotation("true")))
            .spec("{containers: [{name: main, args: [pause]}]}")
            .shows("{phase: Pending, conditions: [{type: HeldUpgrade, status: 'True'}]}")
            .delete(None)
            .gone(),
    ]
}
