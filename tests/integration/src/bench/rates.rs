//! How much the API server does in a second, over TLS as a client sees it.

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;
use tokio::time::Instant;

use super::demo::Demo;

/// Enough that a second or two is measured.
const OBJECTS: usize = 1000;
/// Requests in flight, as many as a busy controller has.
const AT_ONCE: usize = 16;
/// Whole lists of [`OBJECTS`] objects.
const LISTS: usize = 10;

/// Creations, objects in lists, and changes through one watch, each per second.
pub(super) async fn measure(demo: &Demo) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let name = format!("bench-{}", std::process::id());
    let namespaces: Api<Namespace> = Api::all(demo.client.clone());
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    namespaces.create(&PostParams::default(), &namespace).await.context("make a namespace")?;
    let rates = in_namespace(&Api::namespaced(demo.client.clone(), &name)).await;
    namespaces.delete(&name, &DeleteParams::default()).await.context("remove the namespace")?;
    rates
}

async fn in_namespace(maps: &Api<ConfigMap>) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let before = maps.list(&ListParams::default()).await?.metadata.resource_version.unwrap_or_default();
    let start = Instant::now();
    create_all(maps).await?;
    let created = start.elapsed();

    let start = Instant::now();
    for _ in 0..LISTS {
        maps.list(&ListParams::default()).await?;
    }
    let listed = start.elapsed();

    let start = Instant::now();
    let changes = maps.watch(&WatchParams::default(), &before).await?;
    let added = changes.try_filter(|change| std::future::ready(matches!(change, WatchEvent::Added(_))));
    let seen = added.take(OBJECTS).try_fold(0, async |seen, _| Ok(seen + 1)).await?;
    let watched = start.elapsed();
    anyhow::ensure!(seen >= OBJECTS, "the watch gave {seen} of {OBJECTS} changes");

    let objects = OBJECTS as f64;
    Ok(vec![
        ("apiserver creations", objects / created.as_secs_f64()),
        ("apiserver objects listed", objects * LISTS as f64 / listed.as_secs_f64()),
        ("apiserver changes watched", objects / watched.as_secs_f64()),
    ])
}

async fn create_all(maps: &Api<ConfigMap>) -> anyhow::Result<()> {
    let create = async |index: usize| {
        let map: ConfigMap = serde_json::from_value(json!({
            "metadata": {"name": format!("map-{index}")},
            "data": {"key": "x".repeat(256)},
        }))?;
        maps.create(&PostParams::default(), &map).await?;
        anyhow::Ok(())
    };
    futures::stream::iter(0..OBJECTS).map(create).buffer_unordered(AT_ONCE).try_collect().await
}
