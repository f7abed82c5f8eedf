//! How fast objects are created, read, listed and watched: through `kube::Client` in process, on a database file.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run should say so and stop")]

use apiserver::{ApiServer, Database, Options, User};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::future::join_all;
use futures::{StreamExt as _, TryStreamExt as _};
use http::Request;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Writers at once: what a small site's nodes and controllers do together.
const WRITERS: usize = 16;

/// Objects in a list: about what a hundred nodes run.
const LISTED: usize = 1000;

fn pod(name: Option<&str>) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name, "generateName": "bench-", "labels": {"app": "bench"}},
        "spec": {"containers": [{"name": "main", "image": "example/main:1", "ports": [{"containerPort": 80}],
            "resources": {"limits": {"cpu": "100m", "memory": "64Mi"}}}]},
    }))
    .unwrap()
}

fn open(runtime: &Runtime) -> (TempDir, Api<Pod>) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new(Database::File(dir.path().join("api.db"))).unwrap();
    let pods = runtime.block_on(async {
        let api = ApiServer::open(options).await.unwrap();
        Api::default_namespaced(Client::new(api.service(User::admin()), "default"))
    });
    (dir, pods)
}

fn writes(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let (_dir, pods) = open(&runtime);
    let params = PostParams::default();
    criterion.bench_function("create one pod", |bencher| {
        bencher.iter(|| runtime.block_on(pods.create(&params, &pod(None))).unwrap());
    });
    runtime.block_on(pods.create(&params, &pod(Some("status")))).unwrap();
    let mut round = 0_u64;
    criterion.bench_function("patch one pod's status", |bencher| {
        bencher.iter(|| {
            round += 1;
            let patch = Patch::Merge(json!({"status": {"message": round.to_string()}}));
            runtime.block_on(pods.patch_status("status", &PatchParams::default(), &patch)).unwrap()
        });
    });
    let mut group = criterion.benchmark_group("writers at once");
    group.throughput(Throughput::Elements(WRITERS as u64));
    group.bench_function("create", |bencher| {
        bencher.iter(|| {
            let creates = (0..WRITERS).map(|_| async { pods.create(&params, &pod(None)).await.unwrap() });
            runtime.block_on(join_all(creates))
        });
    });
    group.finish();
    runtime.block_on(pods.delete_collection(&DeleteParams::default(), &ListParams::default())).unwrap();
}

fn reads(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let (_dir, pods) = open(&runtime);
    let client = pods.clone().into_client();
    let params = PostParams::default();
    for index in 0..LISTED {
        runtime.block_on(pods.create(&params, &pod(Some(&format!("pod-{index}"))))).unwrap();
    }
    criterion.bench_function("get one pod", |bencher| {
        bencher.iter(|| runtime.block_on(pods.get("pod-7")).unwrap());
    });
    let mut group = criterion.benchmark_group("list");
    group.throughput(Throughput::Elements(LISTED as u64));
    for (name, query) in [
        ("all", ""),
        ("by label", "?labelSelector=app%3Dbench"),
        ("by field", "?fieldSelector=spec.nodeName%3Dedge-1"),
    ] {
        group.bench_function(name, |bencher| {
            // As text: what the client makes of it is not measured here.
            let url = format!("{}{query}", pods.resource_url());
            let request = || Request::get(&url).body(Vec::new()).unwrap();
            bencher.iter(|| runtime.block_on(client.request_text(request())).unwrap());
        });
    }
    group.finish();
}

fn watches(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let (_dir, pods) = open(&runtime);
    let params = PostParams::default();
    criterion.bench_function("create until the watch has it", |bencher| {
        let mut events =
            runtime.block_on(pods.watch(&WatchParams::default().timeout(290), "0")).unwrap().boxed();
        bencher.iter(|| {
            runtime.block_on(async {
                let created = pods.create(&params, &pod(None)).await.unwrap();
                while let Some(event) = events.try_next().await.unwrap() {
                    if matches!(event, kube::api::WatchEvent::Added(seen) if seen.name_any() == created.name_any()) {
                        break;
                    }
                }
            });
        });
    });
}

criterion_group!(benches, writes, reads, watches);
criterion_main!(benches);
