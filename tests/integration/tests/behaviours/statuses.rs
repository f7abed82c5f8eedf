//! The rest of the status: conditions, addresses, times, class, and the events of an ordinary start.

use super::row::{Row, pages};

pub(crate) fn rows() -> Vec<Row> {
    let pause = "{containers: [{name: main, args: [pause]}]}";
    vec![
        Row::new("all conditions of a running pod are true", pages::CONDITIONS).spec(pause).shows(
            "{conditions: [{type: PodScheduled, status: 'True', lastTransitionTime: '*'},
                           {type: PodReadyToStartContainers, status: 'True', lastTransitionTime: '*'},
                           {type: Initialized, status: 'True', lastTransitionTime: '*'},
                           {type: ContainersReady, status: 'True', lastTransitionTime: '*'},
                           {type: Ready, status: 'True', lastTransitionTime: '*'}]}",
        ),
        Row::new("a pod that has succeeded is not ready: PodCompleted", pages::CONDITIONS)
            .once("{args: [exit, '0']}")
            .shows(
                "{conditions: [{type: Ready, status: 'False', reason: PodCompleted}, {type: ContainersReady, status: 'False', reason: PodCompleted},
                               {type: Initialized, status: 'True'}, {type: PodReadyToStartContainers, status: 'False'}]}",
            ),
        Row::new("a pod that has failed is not ready: PodFailed", pages::CONDITIONS)
            .once("{args: [exit, '1']}")
            .shows("{conditions: [{type: Ready, status: 'False', reason: PodFailed}, {type: ContainersReady, status: 'False', reason: PodFailed}]}"),
        Row::new("a condition keeps its time while its status stays", pages::CONDITIONS)
            .spec("{containers: [{name: main, args: [pause]}, {name: other, args: [exit, '1']}]}")
            .shows("{containerStatuses: [{name: other, restartCount: '>=1'}]}")
            .holds("Initialized since before the second life of the other", |scene| {
                let status = scene.pod.status.clone().unwrap_or_default();
                let conditions = status.conditions.unwrap_or_default();
                let since = conditions.iter().find(|condition| condition.type_ == "Initialized");
                let since = since.and_then(|condition| condition.last_transition_time.clone());
                let last = super::run::container_status(scene.pod, "other").and_then(|other| {
                    other.last_state.clone()?.terminated?.finished_at
                });
                // Times have whole seconds.
                anyhow::ensure!(since.is_some() && since <= last, "{since:?} {last:?}");
                Ok(())
            }),
        Row::new("a readiness gate holds the pod back until its condition is true", pages::CONDITIONS)
            .spec("{readinessGates: [{conditionType: example.com/gate}], containers: [{name: main, args: [pause]}]}")
            .shows(
                "{conditions: [{type: ContainersReady, status: 'True'}, {type: Ready, status: 'False', reason: ReadinessGatesNotReady, message: ~example.com/gate}]}",
            ),
        Row::new("a pod has addresses, those of its node too", pages::API).spec(pause).shows(
            "{podIP: '~.', podIPs: [{ip: '~.'}], hostIP: '~.', hostIPs: [{ip: '~.'}], startTime: '*'}",
        ),
        Row::new("a pod on its node's network has the node's address", pages::API)
            .spec("{hostNetwork: true, containers: [{name: main, args: [pause]}]}")
            .shows("{phase: Running}")
            .holds("both addresses are the same", |scene| {
                let status = scene.pod.status.clone().unwrap_or_default();
                anyhow::ensure!(status.pod_ip.is_some() && status.pod_ip == status.host_ip, "{status:?}");
                Ok(())
            }),
        Row::new("no requests: BestEffort", pages::QOS).spec(pause).shows("{phase: Running, qosClass: BestEffort}"),
        Row::new("some requests: Burstable", pages::QOS)
            .spec("{containers: [{name: main, args: [pause], resources: {requests: {cpu: 10m}}}]}")
            .shows("{phase: Running, qosClass: Burstable}"),
        Row::new("limits for all: Guaranteed", pages::QOS)
            .spec("{containers: [{name: main, args: [pause], resources: {limits: {cpu: 100m, memory: 64Mi}}}]}")
            .shows("{phase: Running, qosClass: Guaranteed}"),
        Row::new("the events of a start", pages::LIFETIME)
            .spec(pause)
            .shows("{phase: Running}")
            .event("Scheduled", "Successfully assigned")
            .event("Pulled", "already present on machine")
            .event("Created", "Created container")
            .event("Started", "Started container"),
        Row::new("before its sandbox is there a pod's containers are being created", pages::CONTAINER_STATES)
            // A volume that cannot be there yet keeps it so: a pod that starts at once may show only that it runs. Only
            // a volume that a container mounts is waited for.
            .spec(
                "{containers: [{name: main, args: [pause], volumeMounts: [{name: v, mountPath: /v}]}], volumes: [{name: v, configMap: {name: not-there}}]}",
            )
            .shows(
                "{phase: Pending, podIP: null, podIPs: null, containerStatuses: [{name: main, ready: false, started: false, state: {waiting: {reason: ContainerCreating}}}]}",
            ),
        Row::new("each container has a log", pages::LOGGING)
            .spec("{containers: [{name: main, args: [print, out of here, then, pause]}]}")
            .shows("{phase: Running}")
            .holds("its log on the node", |scene| {
                let metadata = &scene.pod.metadata;
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                let directory = format!("{}_pod_{}", text(&metadata.namespace), text(&metadata.uid));
                let file = scene.site.state().join("edge/pod-logs").join(directory).join("main/0.log");
                let log = std::fs::read_to_string(file)?;
                anyhow::ensure!(log.ends_with(" stdout F out of here\n"), "{log:?}");
                Ok(())
            }),
        Row::new("the status says which generation of the pod it is about", pages::API)
            .spec(pause)
            .shows("{phase: Running}")
            .holds("both generations are the same", |scene| {
                let observed = scene.pod.status.as_ref().and_then(|status| status.observed_generation);
                let generation = scene.pod.metadata.generation;
                anyhow::ensure!(generation.is_some() && observed == generation, "{observed:?} {generation:?}");
                Ok(())
            }),
    ]
}
