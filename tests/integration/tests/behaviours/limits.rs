//! Limits that are looked after from outside of the pod: what goes past one costs the pod, and no other.

use super::row::{Row, pages};

/// More than a block or two of any disk, and less than what an argument may have.
const MUCH: usize = 32 << 10;

pub(crate) fn rows() -> Vec<Row> {
    let much = "x".repeat(MUCH);
    let evicted = |row: Row, message: &str| {
        row.shows(&format!("{{phase: Failed, reason: Evicted, message: '~{message}'}}"))
            .event("Evicted", "exceed")
    };
    vec![
        evicted(
            Row::new("an emptyDir that is larger than its limit: Evicted", pages::EMPTY_DIR).spec(&format!(
                "{{volumes: [{{name: v, emptyDir: {{sizeLimit: 4Ki}}}}], containers: [
                   {{name: main, args: [write, /v/x, {much}, then, pause], volumeMounts: [{{name: v, mountPath: /v}}]}}]}}"
            )),
            "EmptyDir volume \"v\" exceeds the limit \"4Ki\"",
        ),
        evicted(
            Row::new("a container that writes more than its limit: Evicted", pages::EPHEMERAL_STORAGE).spec(&format!(
                "{{containers: [{{name: main, args: [write, /x, {much}, then, pause], resources: {{limits: {{ephemeral-storage: 4Ki}}}}}}]}}"
            )),
            "ephemeral",
        ),
        Row::new("an emptyDir within its limit, and a limit of storage that is not reached", pages::EPHEMERAL_STORAGE)
            .spec(
                "{volumes: [{name: v, emptyDir: {sizeLimit: 8Mi}}], containers: [
                   {name: main, args: [write, /v/x, y, then, pause], volumeMounts: [{name: v, mountPath: /v}],
                    resources: {limits: {ephemeral-storage: 16Mi}}}]}",
            )
            .shows("{phase: Running, containerStatuses: [{name: main, ready: true, restartCount: 0}]}"),
        Row::new("huge pages that the node does not have: OutOfhugepages", pages::HUGE_PAGES)
            .spec(
                "{nodeName: edge-1, containers: [{name: main, args: [pause],
                   resources: {limits: {memory: 64Mi, hugepages-2Mi: 1Ti}}}]}",
            )
            .shows("{phase: Failed, reason: OutOfhugepages-2Mi}")
            .event("OutOfhugepages-2Mi", "hugepages-2Mi"),
    ]
}
