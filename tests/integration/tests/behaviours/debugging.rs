//! What is done to a pod that runs already: ephemeral containers, readiness gates, deadlines.

use super::row::{Row, pages};

pub(crate) fn rows() -> Vec<Row> {
    [ephemeral(), gates(), deadlines(), memory()].concat()
}

fn ephemeral() -> Vec<Row> {
    let row = |name, container: &str| {
        Row::new(name, pages::EPHEMERAL)
            .spec("{containers: [{name: main, args: [pause]}]}")
            .shows("{conditions: [{type: Ready, status: 'True'}]}")
            .debug(&format!("{{name: look, imagePullPolicy: Never, {container}}}"))
    };
    let undisturbed = "{phase: Running, containerStatuses: [{name: main, ready: true, restartCount: 0}], conditions: [{type: Ready, status: 'True'}]}";
    vec![
        row("an ephemeral container runs beside the others, once", "image: 'skerry.local/hello:demo', args: [say, hello]")
            .shows("{ephemeralContainerStatuses: [{name: look, restartCount: 0, state: {terminated: {exitCode: 0, reason: Completed, message: hello}}}]}")
            .shows(undisturbed)
            .event("Started", "Started container look"),
        row("an ephemeral container that fails is not started again", "image: 'skerry.local/hello:demo', args: [exit, '3']")
            .shows("{ephemeralContainerStatuses: [{name: look, restartCount: 0, state: {terminated: {exitCode: 3, reason: Error}}}]}")
            .shows(undisturbed),
        row("an ephemeral container may see the processes of another", "image: 'skerry.local/hello:demo', targetContainerName: main, args: [report, processes]")
            .container_says("look", "{processes: ['/demo-app pause']}")
            .shows(undisturbed),
        row("an ephemeral container without its image leaves the pod as it is", "image: 'skerry.local/none:1', args: [pause]")
            .shows("{ephemeralContainerStatuses: [{name: look, state: {waiting: {reason: ErrImageNeverPull}}}]}")
            .shows(undisturbed),
        row("an ephemeral container ends with its pod", "image: 'skerry.local/hello:demo', args: [pause]")
            .shows("{ephemeralContainerStatuses: [{name: look, state: {running: {}}}]}")
            .delete(None)
            .gone(),
    ]
}

fn gates() -> Vec<Row> {
    let row = |name| {
        Row::new(name, pages::READINESS_GATES).spec(
            "{readinessGates: [{conditionType: example.com/gate}], containers: [{name: main, args: [pause]}]}",
        )
    };
    let gate = |value: &str| format!("{{conditions: [{{type: example.com/gate, status: '{value}'}}]}}");
    vec![
        row("a pod is ready when its gate is opened, and no more when it is closed")
            .shows("{conditions: [{type: Ready, status: 'False', reason: ReadinessGatesNotReady}]}")
            .status(&gate("True"))
            .shows("{conditions: [{type: Ready, status: 'True'}, {type: ContainersReady, status: 'True'}, {type: example.com/gate, status: 'True'}]}")
            .status(&gate("False"))
            .shows("{conditions: [{type: Ready, status: 'False', reason: ReadinessGatesNotReady, message: ~example.com/gate}, {type: example.com/gate, status: 'False'}]}"),
    ]
}

fn deadlines() -> Vec<Row> {
    let row = |name, spec: &str| Row::new(name, pages::DEADLINE).spec(spec);
    vec![
        row("the deadline counts from the pod's start, init containers included", "{activeDeadlineSeconds: 3, initContainers: [{name: first, args: [pause]}], containers: [{name: main, args: [pause]}]}")
            .shows("{phase: Failed, reason: DeadlineExceeded, initContainerStatuses: [{name: first, state: {terminated: {}}}]}"),
        row("a pod that runs may be given a deadline", "{containers: [{name: main, args: [signal]}]}")
            .shows("{phase: Running}")
            .apply("{kind: Pod, metadata: {name: pod}, spec: {activeDeadlineSeconds: 1}}")
            .shows("{phase: Failed, reason: DeadlineExceeded, message: '~longer than the specified deadline'}")
            .last("main", "SIGTERM"),
        row("a pod that is done in time has no deadline", "{activeDeadlineSeconds: 600, restartPolicy: Never, containers: [{name: main, args: [exit, '0']}]}")
            .shows("{phase: Succeeded, reason: null}"),
    ]
}

fn memory() -> Vec<Row> {
    vec![
        Row::new("a container that is killed for its memory leaves the others alone", pages::MEMORY)
            .spec(
                "{containers: [{name: main, args: [allocate, '200'], resources: {limits: {memory: 32Mi}}}, {name: other, args: [pause]}]}",
            )
            .shows(
                "{containerStatuses: [{name: main, restartCount: '>=1', lastState: {terminated: {exitCode: 137}}}, {name: other, ready: true, restartCount: 0}]}",
            ),
        Row::new("an init container leaves a last message, too", pages::LAST_WORDS)
            .spec(
                "{restartPolicy: Never, initContainers: [{name: first, terminationMessagePolicy: FallbackToLogsOnError, args: [print, no database, then, exit, '1']}],
                  containers: [{name: main, args: [pause]}]}",
            )
            .shows("{phase: Failed, initContainerStatuses: [{name: first, state: {terminated: {exitCode: 1, message: ~no database}}}]}"),
    ]
}
