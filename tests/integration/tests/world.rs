//! What a cluster with edge nodes does, on a clock that jumps: see `integration::world`.

use std::time::Duration;

use integration::world::{PodFixture as _, World, config_map, pod, secret};

const EDGE: &str = "edge-1";

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
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(status.pod_ip.as_deref(), Some("10.1.0.2"), "the first address that the runtime gives");
    let edge = world.edge(EDGE);
    assert_eq!(edge.runtime().running(), ["web/web#0"]);
    assert_eq!(edge.volume_file(&web, "configmap", "settings", "value")?, "blue");
    assert_eq!(edge.volume_file(&web, "secret", "password", "value")?, "open sesame");
    Ok(())
}
