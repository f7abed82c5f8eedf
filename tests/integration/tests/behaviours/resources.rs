//! Requests and limits: what the kernel is told, by container and by pod.

use std::path::PathBuf;

use super::row::{Row, Scene, pages};

pub(crate) fn rows() -> Vec<Row> {
    let row = |name, page, resources: &str| {
        Row::new(name, page).once(&format!(
            "{{args: [report, limits, 'file:/proc/self/oom_score_adj', 'file:/proc/self/cgroup'], resources: {resources}}}"
        ))
    };
    [
        vec![
            row("a memory limit", pages::MEMORY, "{limits: {memory: 64Mi}}")
                .says("{limits: {memory: 67108864}}"),
            row("no memory limit", pages::MEMORY, "{requests: {memory: 16Mi}}")
                .says("{limits: {memory: null}}"),
            row("a CPU limit is a share of the time", pages::RESOURCES, "{limits: {cpu: 250m}}")
                .says("{limits: {cpu: 250}}"),
            row("a CPU limit of more than one core", pages::RESOURCES, "{limits: {cpu: '1.5'}}")
                .says("{limits: {cpu: 1500}}"),
            row("no CPU limit", pages::RESOURCES, "{requests: {cpu: 100m}}").says("{limits: {cpu: null}}"),
            row("a CPU request is a weight", pages::RESOURCES, "{requests: {cpu: 500m}}")
                .holds("half a core's weight", |scene| weight(scene, 512, 20)),
            row("no CPU request is the least weight", pages::RESOURCES, "{}")
                .holds("the least weight", |scene| weight(scene, 2, 1)),
            row("a limit without a request requests as much", pages::RESOURCES, "{limits: {cpu: 250m}}")
                .is("{spec: {containers: [{name: main, resources: {requests: {cpu: 250m}}}]}}")
                .holds("a quarter core's weight", |scene| weight(scene, 256, 10)),
            row("quantities have many forms", pages::RESOURCES, "{limits: {cpu: '0.1', memory: 128974848}}")
                .says("{limits: {cpu: 100, memory: 128974848}}"),
            row("more quantities", pages::RESOURCES, "{limits: {cpu: 100m, memory: 129M}}")
                .says("{limits: {memory: 128999424}}"),
            row("BestEffort is killed first", pages::OOM_SCORE, "{}")
                .says("{'file:/proc/self/oom_score_adj': {text: \"1000\\n\"}}"),
            row("Burstable is between", pages::OOM_SCORE, "{requests: {memory: 16Mi}}")
                .says("{'file:/proc/self/oom_score_adj': {text: \"999\\n\"}}"),
        ],
        groups(),
        odd(),
    ]
    .concat()
}

fn groups() -> Vec<Row> {
    let row = |name, resources: &str| {
        Row::new(name, pages::QOS)
            .spec(&format!("{{containers: [{{name: main, args: [pause], resources: {resources}}}]}}"))
            .shows("{phase: Running}")
    };
    vec![
        row("a Guaranteed pod's cgroup", "{limits: {cpu: 100m, memory: 64Mi}}")
            .holds("it is directly below that of all pods", |scene| class_of_group(scene, "kubepods")),
        row("a Burstable pod's cgroup", "{requests: {cpu: 100m}}")
            .holds("it is below that of its class", |scene| class_of_group(scene, "burstable")),
        row("a BestEffort pod's cgroup", "{}")
            .holds("it is below that of its class", |scene| class_of_group(scene, "besteffort")),
        Row::new("the pod's own cgroup has the sum of the limits", pages::RESOURCES)
            .spec(
                "{containers: [{name: main, args: [pause], resources: {limits: {cpu: 100m, memory: 32Mi}}},
                               {name: other, args: [pause], resources: {limits: {cpu: 200m, memory: 32Mi}}}]}",
            )
            .shows("{phase: Running}")
            .holds("64 MiB and 0.3 of the time", |scene| {
                let read = |file: &str| groups_of(scene).ok()?.iter().find_map(|g| std::fs::read_to_string(g.join(file)).ok());
                let memory = read("memory.limit_in_bytes").or_else(|| read("memory.max"));
                anyhow::ensure!(memory.as_deref() == Some("67108864\n"), "{memory:?}");
                let quota = read("cpu.cfs_quota_us").or_else(|| read("cpu.max"));
                anyhow::ensure!(quota.as_ref().is_some_and(|quota| quota.starts_with("30000")), "{quota:?}");
                Ok(())
            }),
    ]
}

fn odd() -> Vec<Row> {
    vec![
        Row::new("more memory than the node has stays Pending: Unschedulable", pages::RESOURCES)
            .spec("{containers: [{name: main, args: [pause], resources: {requests: {memory: 100Ti}}}]}")
            .shows("{phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: ~memory}]}")
            .event("FailedScheduling", "memory"),
        Row::new("a device that the node does not have: Unschedulable", pages::RESOURCES)
            .spec("{containers: [{name: main, args: [pause], resources: {limits: {example.com/laser: 1}}}]}")
            .shows("{phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: ~example.com/laser}]}"),
        Row::new("a pod that is bound by hand and does not fit: OutOfcpu", pages::RESOURCES)
            .spec("{nodeName: edge-1, containers: [{name: main, args: [pause], resources: {requests: {cpu: 1000}}}]}")
            .shows("{phase: Failed, reason: OutOfcpu}")
            .event("OutOfcpu", "cpu"),
        // The others of the table ask for no storage, so none of them can make room.
        Row::new("a critical pod takes the place of another one: Preempting", pages::CRITICAL)
            .spec(
                "{nodeName: edge-1, terminationGracePeriodSeconds: 1,
                  containers: [{name: main, args: [pause], resources: {requests: {ephemeral-storage: '@much'}}}]}",
            )
            .shows("{phase: Running, qosClass: BestEffort}")
            .apply(
                "{apiVersion: v1, kind: Pod, metadata: {name: critical},
                  spec: {nodeName: edge-1, priorityClassName: system-node-critical, terminationGracePeriodSeconds: 1,
                         containers: [{name: main, image: 'skerry.local/hello:demo', imagePullPolicy: Never, args: [pause],
                                       resources: {requests: {ephemeral-storage: '@much'}}}]}}",
            )
            .shows(
                "{phase: Failed, reason: Preempting, message: Preempted in order to admit critical pod,
                  conditions: [{type: DisruptionTarget, status: 'True', reason: TerminationByKubelet}]}",
            )
            .event("Preempting", "Preempted in order to admit critical pod")
            .holds("the critical pod runs", |scene| {
                // The sandbox and the container.
                let containers = scene.site.containers_of("critical")?;
                anyhow::ensure!(containers.len() == 2, "{containers:?}");
                Ok(())
            }),
        Row::new("a critical pod for which nobody can make room: UnexpectedAdmissionError", pages::CRITICAL)
            .spec(
                "{nodeName: edge-1, priorityClassName: system-cluster-critical,
                  containers: [{name: main, args: [pause], resources: {requests: {cpu: 1000}}}]}",
            )
            .shows("{phase: Failed, reason: UnexpectedAdmissionError, message: ~no set of running pods found}")
            .event("UnexpectedAdmissionError", "preemption"),
        Row::new("a pod that is bound by hand and wants another node: NodeAffinity", pages::ADMISSION)
            .spec("{nodeName: edge-1, nodeSelector: {place: elsewhere}, containers: [{name: main, args: [pause]}]}")
            .shows("{phase: Failed, reason: NodeAffinity}"),
        Row::new("ephemeral storage is no cgroup's matter", pages::RESOURCES)
            .once("{args: [report, limits], resources: {limits: {ephemeral-storage: 10Mi}}}")
            .says("{limits: {memory: null, cpu: null}}")
            .shows("{qosClass: BestEffort}"),
        Row::new("an init container's limits are its own", pages::RESOURCES)
            .spec(
                "{restartPolicy: Never,
                  initContainers: [{name: first, args: [report, limits], resources: {limits: {memory: 48Mi}}}],
                  containers: [{name: main, args: [report, limits], resources: {limits: {memory: 32Mi}}}]}",
            )
            .container_says("first", "{limits: {memory: 50331648}}")
            .says("{limits: {memory: 33554432}}"),
    ]
}

/// The weight in the words of cgroup version 1 or 2.
fn weight(scene: &Scene<'_>, shares: i64, weight: i64) -> anyhow::Result<()> {
    let message = super::run::last_message(scene.pod, "main").map_err(anyhow::Error::msg)?;
    let report: serde_json::Value = serde_json::from_str(&message)?;
    let limits = &report["limits"];
    anyhow::ensure!(limits["shares"] == shares || limits["weight"] == weight, "{limits}");
    Ok(())
}

/// The pod's own cgroup, in each hierarchy.
pub(crate) fn groups_of(scene: &Scene<'_>) -> anyhow::Result<Vec<PathBuf>> {
    let name = format!("pod{}", scene.pod.metadata.uid.clone().unwrap_or_default());
    let all = scene.site.cgroups_of_pods()?;
    Ok(all.into_iter().filter(|group| group.file_name().is_some_and(|last| last == name.as_str())).collect())
}

fn class_of_group(scene: &Scene<'_>, parent: &str) -> anyhow::Result<()> {
    let groups = groups_of(scene)?;
    let fits = |group: &PathBuf| group.parent().is_some_and(|above| above.ends_with(parent));
    anyhow::ensure!(!groups.is_empty() && groups.iter().all(fits), "{groups:?}");
    Ok(())
}
