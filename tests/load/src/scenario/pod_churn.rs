//! Pods come and go.

use std::collections::HashMap;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, WatchEvent, WatchParams};
use tokio::time::{Instant, timeout};

use crate::cluster::{LABEL, Objects};
use crate::fleet::Fleet;
use crate::ground::Ground;
use crate::histogram::Histogram;
use crate::report::Report;

const SCENARIO: &str = "hollow-pod-churn";

/// Makes pods on nodes in turn and waits until they run; deletes them and waits until they are gone.
///
/// # Errors
/// When the API refuses, or it takes too long.
pub async fn measure(ground: &Ground, fleet: &Fleet, pods: usize, parallel: usize) -> anyhow::Result<Report> {
    let objects = Objects::new(&ground.client()?, SCENARIO);
    objects.remove(parallel).await?;
    let measured = churn(ground, fleet, &objects, pods, parallel).await;
    objects.remove(parallel).await?;
    measured
}

async fn churn(
    ground: &Ground,
    fleet: &Fleet,
    objects: &Objects,
    pods: usize,
    parallel: usize,
) -> anyhow::Result<Report> {
    let mut report = Report::new("pod-churn");
    report.count("nodes", fleet.len());
    report.count("pods", pods as u64);
    let before = ground.observer.sample().await?;
    let names: Vec<String> = (0..pods).map(|pod| format!("churn-{pod}")).collect();
    let running = |pod: &WatchEvent<Pod>| match pod {
        WatchEvent::Added(pod) | WatchEvent::Modified(pod) => {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            (phase == Some("Running")).then(|| pod.metadata.name.clone())?
        }
        _ => None,
    };
    let create = |name: String, node: usize| async move {
        let member = &ground.members[node % ground.members.len()];
        objects.create_pod(&name, &member.name, false, ground.clock.now()).await.map(drop)
    };
    let (times, took) = until_seen(ground, objects, &names, parallel, create, running).await?;
    report.times("created to Running", times.summary());
    report.times("created to stored", fleet.stats.pods.summary());
    report.number("pods started", "per_s", pods as f64 / took);
    let gone = |pod: &WatchEvent<Pod>| match pod {
        WatchEvent::Deleted(pod) => pod.metadata.name.clone(),
        _ => None,
    };
    let delete = |name: String, _| async move {
        objects.pods().delete(&name, &DeleteParams::default()).await.context("delete a pod").map(drop)
    };
    let (times, took) = until_seen(ground, objects, &names, parallel, delete, gone).await?;
    report.times("deleted to gone", times.summary());
    report.number("pods removed", "per_s", pods as f64 / took);
    let after = ground.observer.sample().await?;
    report.number_if("hub CPU", "percent", after.hub_cpu_since(&before));
    report.number_if(
        "API writes per pod",
        "",
        after.writes_since(&before).map(|writes| writes / pods as f64),
    );
    report.troubles(&fleet.stats);
    Ok(report)
}

/// Does something to each pod, and waits until the watch has shown the result of all.
async fn until_seen<F: Future<Output = anyhow::Result<()>>>(
    ground: &Ground,
    objects: &Objects,
    names: &[String],
    parallel: usize,
    act: impl Fn(String, usize) -> F,
    seen: impl Fn(&WatchEvent<Pod>) -> Option<String>,
) -> anyhow::Result<(Histogram, f64)> {
    let start = Instant::now();
    let begun = std::sync::Mutex::new(HashMap::new());
    let ours = WatchParams::default().labels(&format!("{LABEL}={SCENARIO}"));
    // What exists comes first in a watch from version 0, and is no result of what follows.
    let mut changes = objects.pods().watch(&ours, "0").await?.boxed();
    let act = futures::stream::iter(names.iter().enumerate())
        .map(|(number, name)| {
            begun
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .insert(name.clone(), Instant::now());
            act(name.clone(), number)
        })
        .buffer_unordered(parallel)
        .try_for_each(async |()| Ok(()));
    let times = Histogram::default();
    let watch = async {
        let mut left = names.len();
        while left > 0 {
            let change = changes.next().await.context("the watch has ended")??;
            let Some(name) = seen(&change) else { continue };
            let begun = begun.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&name);
            if let Some(begun) = begun {
                times.record(begun.elapsed());
                left -= 1;
            }
        }
        anyhow::Ok(())
    };
    let both = async { futures::try_join!(act, watch) };
    timeout(ground.limit, both).await.context("pods are not done in time")??;
    Ok((times, start.elapsed().as_secs_f64()))
}
