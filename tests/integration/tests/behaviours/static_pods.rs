//! Static pods: those of files on the node.

use super::row::{Row, pages};

pub(crate) fn rows() -> Vec<Row> {
    let row = |name, spec: &str| Row::new(name, pages::STATIC_PODS).spec(spec).of_a_file();
    let pause = "{containers: [{name: main, args: [pause]}]}";
    vec![
        row("a static pod runs, and a mirror shows it", pause)
            .is(
                "{metadata: {annotations: {kubernetes.io/config.source: file, kubernetes.io/config.mirror: '*', kubernetes.io/config.hash: '*'}},
                  spec: {nodeName: edge-1}}",
            )
            .shows("{phase: Running, podIP: '~.', containerStatuses: [{name: main, ready: true, restartCount: 0}], conditions: [{type: Ready, status: 'True'}]}"),
        row("a static pod goes with its file", pause).shows("{phase: Running}").forget().gone(),
        row("who deletes the mirror does not end the pod", pause)
            .shows("{phase: Running}")
            .delete(Some(0))
            .gone()
            .shows("{phase: Running, containerStatuses: [{name: main, ready: true, restartCount: 0}]}"),
        row("a static pod's containers are restarted as any other's", "{containers: [{name: main, args: [say, why, then, exit, '4']}]}")
            .shows("{phase: Running, containerStatuses: [{name: main, restartCount: '>=1', lastState: {terminated: {exitCode: 4, message: why}}}]}"),
        row("a file that comes again is the pod again", pause)
            .shows("{phase: Running}")
            .forget()
            .gone()
            .again()
            .shows("{phase: Running, containerStatuses: [{name: main, ready: true}]}"),
        row("a static pod with a probe", "{containers: [{name: main, args: [pause], readinessProbe: {exec: {command: [/demo-app, exit, '1']}, periodSeconds: 1, failureThreshold: 1}}]}")
            .shows("{phase: Running, containerStatuses: [{name: main, ready: false}], conditions: [{type: Ready, status: 'False'}]}"),
    ]
}
