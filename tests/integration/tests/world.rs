//! What a cluster with edge nodes does, on a clock that jumps: see `integration::world`.

use chassis::link::Dialect;
use std::time::Duration;

use integration::world::{Answers, PodFixture as _, World, config_map, pod, secret};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

const EDGE: &str = "edge-1";
/// Long enough that the cloud gives the node up.
const PARTITION: Duration = Duration::from_secs(600);

#[tokio::test(start_paused = true)]
async fn a_node_registers_and_stays_alive() -> anyhow::Result<()> {
    let world = World::start(1, &[EDGE]).await?;
    let node = world.until_node(EDGE, "True").await?;
    let status = node.status.unwrap_or_default();
    let capacity = status.capacity.unwrap_or_default();
    for resource in ["cpu", "memory", "pods", "ephemeral-storage"] {
        let amount = &capacity.get(resource).unwrap_or_else(|| panic!("no {resource} in {capacity:?}")).0;
        assert_ne!(amount, "0", "{resource}");
    }
    assert_eq!(status.addresses.unwrap_or_default()[0].address, "192.0.2.1");
    assert!(world.edge(EDGE).page("/readyz").await?.starts_with("HTTP/1.1 200"));

    world.pass(Duration::from_secs(600)).await;
    world.until_node(EDGE, "True").await?;
    let lease = world.lease(EDGE).await?.spec.unwrap_or_default();
    let renewed = lease.renew_time.expect("the lease was renewed").0;
    let age = world.now().duration_since(renewed).as_secs();
    let lasts = lease.lease_duration_seconds.expect("a lease lasts").into();
    assert!(age < lasts, "renewed {age} s ago, lasts {lasts} s");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_scheduled_and_runs_with_its_config() -> anyhow::Result<()> {
    let world = World::start(2, &[EDGE]).await?;
    world.apply(&config_map("settings", "blue")).await?;
    world.apply(&secret("password", "open sesame")).await?;
    world.apply(&pod("web").with_config("settings").with_secret("password")).await?;

    let web = world.until_ready("web").await?;
    let status = web.status.clone().unwrap_or_default();
    assert_eq!(web.spec.clone().unwrap_or_default().node_name.as_deref(), Some(EDGE));
    for condition in status.conditions.clone().unwrap_or_default() {
        assert_eq!((condition.reason, condition.message), (None, None), "{} is true", condition.type_);
    }
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(status.pod_ip.as_deref(), Some("10.1.0.2"), "the first address that the runtime gives");
    let edge = world.edge(EDGE);
    assert_eq!(edge.runtime().running(), ["web/web#0"]);
    assert_eq!(edge.volume_file(&web, "configmap", "settings", "value")?, "blue");
    assert_eq!(edge.volume_file(&web, "secret", "password", "value")?, "open sesame");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_changes_in_a_pod_and_its_config_reaches_the_node() -> anyhow::Result<()> {
    let world = World::start(3, &[EDGE]).await?;
    world.apply(&config_map("settings", "blue")).await?;
    world.apply(&pod("web").labelled("colour", "blue").with_labels_file().with_config("settings")).await?;
    let web = world.until_ready("web").await?;
    let edge = world.edge(EDGE);
    let labels = edge.volume_file(&web, "downward-api", "about", "labels")?;
    assert!(labels.contains("colour=\"blue\""), "{labels}");
    let before = edge.running_ids();

    // Configuration and labels change under a container that goes on.
    world.apply(&config_map("settings", "red")).await?;
    world.apply(&pod("web").labelled("colour", "red").with_labels_file().with_config("settings")).await?;
    world
        .until("the volumes show the change", || async {
            let value = edge.volume_file(&web, "configmap", "settings", "value")?;
            anyhow::ensure!(value == "red", "the config map is {value:?}");
            let labels = edge.volume_file(&web, "downward-api", "about", "labels")?;
            anyhow::ensure!(labels.contains("colour=\"red\""), "the labels are {labels}");
            Ok(())
        })
        .await?;
    assert_eq!(edge.running_ids(), before);

    // Another image means another container in the same pod.
    let newer =
        pod("web").labelled("colour", "red").with_labels_file().with_config("settings").image("app:2");
    world.apply(&newer).await?;
    world
        .until("the container is of the new image", || async {
            let web = world.pod("web").await?;
            let status = web.status.unwrap_or_default().container_statuses.unwrap_or_default();
            anyhow::ensure!(status[0].image.ends_with("app:2") && status[0].ready, "{status:?}");
            // A report between the change and the end of the old container names the new image already.
            let running = edge.runtime().running();
            anyhow::ensure!(running == ["web/web#1"], "{running:?}");
            Ok(())
        })
        .await
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_ends_and_only_then_its_object_goes() -> anyhow::Result<()> {
    let world = World::start(4, &[EDGE]).await?;
    world.apply(&pod("web")).await?;
    world.apply(&pod("other")).await?;
    world.until_ready("web").await?;
    world.until_ready("other").await?;
    world.delete::<Pod>("web").await?;
    assert!(world.pod("web").await?.metadata.deletion_timestamp.is_some());
    world.until_gone("web", EDGE).await?;
    assert_eq!(world.edge(EDGE).runtime().running(), ["other/other#0"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_partition_stops_nothing_and_all_that_happened_meanwhile_arrives() -> anyhow::Result<()> {
    let world = World::start(5, &[EDGE, "edge-2"]).await?;
    for name in ["stays", "goes"] {
        world.apply(&pod(name).on(EDGE)).await?;
    }
    world.apply(&pod("job").on(EDGE).runs_once()).await?;
    world.apply(&pod("elsewhere").on("edge-2")).await?;
    for name in ["stays", "goes", "job", "elsewhere"] {
        world.until_ready(name).await?;
    }
    let edge = world.edge(EDGE);
    let before = edge.running_ids();

    edge.wire().cut();
    world.pass(PARTITION / 2).await;
    edge.runtime().exit("job", 3);
    world.delete::<Pod>("goes").await?;
    world.apply(&pod("new").on(EDGE)).await?;
    world.pass(PARTITION / 2).await;
    // The cloud has noticed; the node has not stopped anything, and does not know of the new pod.
    assert_ne!(node_ready(&world.node(EDGE).await?), "True");
    assert_eq!(node_ready(&world.node("edge-2").await?), "True", "nobody else is concerned");
    let without_job = before.iter().filter(|(name, _)| *name != "job/job#0");
    assert!(without_job.eq(edge.running_ids().iter()), "{:?}", edge.running_ids());

    edge.wire().heal();
    world.until_node(EDGE, "True").await?;
    world.until_ready("new").await?;
    world.until_gone("goes", EDGE).await?;
    world
        .until("the end of the job is known", || async {
            let status = world.pod("job").await?.status.unwrap_or_default();
            let ended =
                status.container_statuses.unwrap_or_default()[0].state.clone().and_then(|is| is.terminated);
            anyhow::ensure!(status.phase.as_deref() == Some("Failed"), "it is {:?}", status.phase);
            anyhow::ensure!(ended.is_some_and(|ended| ended.exit_code == 3), "with another code");
            Ok(())
        })
        .await?;
    assert_eq!(edge.running_ids().get("stays/stays#0"), before.get("stays/stays#0"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_killed_takes_up_its_containers_with_or_without_the_cloud() -> anyhow::Result<()> {
    let mut world = World::start(6, &[EDGE]).await?;
    world.apply(&config_map("settings", "blue")).await?;
    world.apply(&pod("web").with_config("settings")).await?;
    world.until_ready("web").await?;
    let before = world.edge(EDGE).running_ids();
    for is_cut in [false, true] {
        if is_cut {
            world.edge(EDGE).wire().cut();
        }
        let edge = world.edge_mut(EDGE);
        edge.kill();
        edge.start().await?;
        world.pass(PARTITION).await;
        assert_eq!(world.edge(EDGE).running_ids(), before, "cut: {is_cut}");
    }

    // The power goes as well: everything is started anew from what is on the disk.
    let edge = world.edge_mut(EDGE);
    edge.kill();
    edge.runtime().power_cut();
    edge.start().await?;
    world
        .until("the pod runs from the local store", || async {
            let running = world.edge(EDGE).runtime().running();
            anyhow::ensure!(running == ["web/web#1"], "{running:?}");
            Ok(())
        })
        .await?;
    world.edge(EDGE).wire().heal();
    let web = world.until_ready("web").await?;
    assert_eq!(world.edge(EDGE).volume_file(&web, "configmap", "settings", "value")?, "blue");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_is_killed_is_missed_by_nobody() -> anyhow::Result<()> {
    let mut world = World::start(7, &[EDGE]).await?;
    world.apply(&pod("web")).await?;
    world.until_ready("web").await?;
    let before = world.edge(EDGE).running_ids();
    world.cloud().kill();
    world.pass(PARTITION).await;
    assert_eq!(world.edge(EDGE).running_ids(), before);
    world.cloud().start().await?;
    world.until_node(EDGE, "True").await?;
    let web = world.until_ready("web").await?;
    assert_eq!(web.status.unwrap_or_default().container_statuses.unwrap_or_default()[0].restart_count, 0);
    assert_eq!(world.edge(EDGE).running_ids(), before);
    Ok(())
}

/// Pods come, change and go over a link that delays, reorders, repeats and now and then breaks; in the end cloud and node
/// must agree.
async fn weather(seed: u64) -> anyhow::Result<()> {
    // Both dialects have to weather the same.
    let dialect = if seed.is_multiple_of(2) { Dialect::Native } else { Dialect::Stock };
    let world = World::start_speaking(dialect, seed, &[EDGE]).await?;
    world.until_node(EDGE, "True").await?;
    let wire = world.edge(EDGE).wire();
    wire.delay(Duration::from_millis(700));
    wire.reorder(true);
    wire.duplicate(0.3);
    for round in 0..4 {
        for name in ["a", "b", "c"] {
            world.apply(&pod(&format!("{name}{round}")).labelled("round", &round.to_string())).await?;
        }
        world.pass(Duration::from_secs(3)).await;
        world.delete::<Pod>(&format!("a{round}")).await?;
        wire.cut();
        world.apply(&pod(&format!("b{round}")).labelled("round", "last")).await?;
        world.pass(Duration::from_secs(20)).await;
        wire.heal();
    }
    for round in 0..4 {
        world.until_gone(&format!("a{round}"), EDGE).await?;
        world.until_ready(&format!("b{round}")).await?;
        world.until_ready(&format!("c{round}")).await?;
    }
    let mut running = world.edge(EDGE).runtime().running();
    running.sort();
    let wanted: Vec<String> = ["b", "c"]
        .iter()
        .flat_map(|name| (0..4).map(move |round| format!("{name}{round}/{name}{round}#0")))
        .collect();
    assert_eq!(running, wanted, "seed {seed}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn cloud_and_node_agree_after_bad_weather() -> anyhow::Result<()> {
    for seed in 100..104 {
        weather(seed).await?;
    }
    Ok(())
}

fn node_ready(node: &Node) -> String {
    let conditions = node.status.clone().unwrap_or_default().conditions.unwrap_or_default();
    conditions
        .into_iter()
        .find(|condition| condition.type_ == "Ready")
        .map(|is| is.status)
        .unwrap_or_default()
}

/// As after SIGSTOP: another CloudCore has come, and the node has been there, while this one saw nothing.
#[tokio::test(start_paused = true)]
async fn a_cloud_that_was_cut_off_writes_nothing_for_a_node_that_has_moved() -> anyhow::Result<()> {
    let mut world = World::start(5, &[EDGE]).await?;
    world.until_node(EDGE, "True").await?;
    let leases: Api<Lease> = Api::namespaced(world.client(), "kubeedge");
    let lease = json!({
        "metadata": {"name": "cloudcore-other", "labels": {"replica.kubeedge.io/lease": "cloudcore"},
            "annotations": {"replica.kubeedge.io/address": "192.0.2.2"}},
        "spec": {"holderIdentity": "other", "leaseDurationSeconds": 10, "renewTime": "2026-01-01T00:00:00.000000Z"},
    });
    leases.create(&PostParams::default(), &serde_json::from_value(lease)?).await?;
    world.pass(Duration::from_secs(5)).await;

    world.api_weather().answers(Answers::Hanging);
    world.pass(Duration::from_secs(20)).await;
    let moved =
        json!({"metadata": {"annotations": {"cloudcore": "192.0.2.2", "node.kubeedge.io/held-by": "other"}}});
    Api::<Node>::all(world.client()).patch(EDGE, &PatchParams::default(), &Patch::Merge(moved)).await?;
    world.api_weather().clear();
    let lost = async |world: &World| {
        let page = world.cloud_ref().page("/metrics").await?;
        anyhow::ensure!(page.contains("replicas_claims_lost_total 1"), "not lost");
        Ok(())
    };
    let seen = &world;
    world.until("the connection is lost", || lost(seen)).await?;
    world.until_node(EDGE, "True").await?;
    let held = async |world: &World| {
        let node = Api::<Node>::all(world.client()).get(EDGE).await?;
        let by = node.metadata.annotations.unwrap_or_default().remove("node.kubeedge.io/held-by");
        anyhow::ensure!(by.as_deref() != Some("other"), "held by {by:?}");
        Ok(())
    };
    world.until("the node is held here again", || held(seen)).await?;
    world.cloud().stop().await
}

/// With one CloudCore and no API for an hour, nodes stay connected.
#[tokio::test(start_paused = true)]
async fn a_cloud_without_its_api_keeps_its_connections() -> anyhow::Result<()> {
    let mut world = World::start(6, &[EDGE]).await?;
    world.until_node(EDGE, "True").await?;
    world.api_weather().answers(Answers::Unavailable);
    world.pass(Duration::from_secs(3600)).await;
    world.api_weather().clear();
    world.pass(Duration::from_secs(60)).await;
    world.until_node(EDGE, "True").await?;
    let page = world.cloud_ref().page("/metrics").await?;
    let ended = page.lines().find(|line| line.starts_with("cloudhub_ended_sessions_total"));
    assert_eq!(ended, None);
    assert!(page.contains("replicas_leader 1"), "it leads again");
    world.cloud().stop().await
}
