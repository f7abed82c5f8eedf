//! Three CloudCores on one API, load balancers before them, hollow nodes and one real EdgeCore with mosquitto and services: replicas are
//! killed, stopped, cut off and rolled while users' messages flow through rules of every type in both directions. `make replicas` plays
//! many rounds: `RUNS` says how many, `START` with which seed to begin; `make replicas START=4711 RUNS=1` plays one again.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

mod plan;
mod scene;
mod traffic;
mod verdict;

use integration::daemons::SOON;
use integration::replicas::Replicas;
use integration::wait::until;
use tokio::time::Instant;

use self::plan::Plan;
use self::scene::Scene;
use self::traffic::Traffic;

/// Hollow nodes in what CI plays: enough that each replica has some.
const FEW: u32 = 30;
/// Hollow nodes in `make replicas`.
const MANY: u32 = 200;

/// What CI plays of `make replicas`.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_whatever_happens_to_one_of_three() {
    rounds(FEW, 1..2).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes an hour: make replicas"]
async fn nothing_is_lost_in_a_hundred_rounds() {
    let start = number("START", 1);
    rounds(MANY, start..start + number("RUNS", 100)).await;
}

#[expect(clippy::disallowed_methods, reason = "the test harness passes no arguments on")]
fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).unwrap_or_default();
    if text.is_empty() { default } else { text.parse().unwrap() }
}

/// Plays all of them, also after one that failed.
#[expect(clippy::print_stdout, reason = "a run of an hour shows how far it is")]
async fn rounds(nodes: u32, seeds: std::ops::Range<u64>) {
    let mut scene = Scene::start(nodes).await;
    let mut failed = Vec::new();
    for seed in seeds {
        let plan = Plan::from_seed(seed);
        println!("{plan}");
        let traffic = Traffic::start(&scene, seed).await;
        for step in &plan.steps {
            scene.play(step).await;
        }
        scene.all_is_well().await;
        let logs = traffic.stop().await;
        match verdict::judge(&scene, &logs).await {
            Ok(summary) => println!("{summary}"),
            Err(error) => {
                println!("FAILED: {error:#}");
                failed.push(format!("{plan}{error:#}"));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// No node is NotReady meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_rolled_and_no_node_is_not_ready() {
    let mut scene = Scene::start(FEW).await;
    let before = scene.readiness().await;
    assert_eq!(before.len(), FEW as usize);
    let traffic = Traffic::start(&scene, 0).await;
    for replica in 0..scene.replicas.all.len() {
        scene.roll(replica).await;
    }
    scene.all_is_well().await;
    let logs = traffic.stop().await;
    println!("{}", verdict::judge(&scene, &logs).await.unwrap());
    assert_eq!(scene.readiness().await, before, "since when each node is Ready");
}

/// The one that leads stands still for longer than its Lease lasts, and wakes: another one has taken over, and it leads no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stood_still_leads_no_more() {
    let replicas = Replicas::start(2).await;
    // The CloudCore that has the API is one of them, and must not stand still.
    let [first, second] = &replicas.all[..] else { panic!("two were started") };
    hand_over(&replicas, &first.name).await;
    first.counts("replicas_leader", 1.0).await;
    first.pause();
    let stood = Instant::now();
    let holder = until("another one leads", SOON, || async {
        let holder = leader(&replicas).await?;
        anyhow::ensure!(holder != first.name, "{holder}");
        Ok(holder)
    });
    let holder = holder.await.unwrap();
    println!("{holder} leads after {:?}", stood.elapsed());
    first.wake();
    first.counts("replicas_leader", 0.0).await;
    if holder == second.name {
        second.counts("replicas_leader", 1.0).await;
    }
    assert_eq!(leader(&replicas).await.unwrap(), holder);
}

/// Who holds the Lease.
async fn leader(replicas: &Replicas) -> anyhow::Result<String> {
    let path = "jsonpath={.spec.holderIdentity}";
    replicas.api.kubectl.run(&["-n", "kubeedge", "get", "lease", "cloudcore-leader", "-o", path]).await
}

/// As an operator would choose another one.
async fn hand_over(replicas: &Replicas, name: &str) {
    let patch = serde_json::json!({"spec": {"holderIdentity": name}}).to_string();
    let args = ["-n", "kubeedge", "patch", "lease", "cloudcore-leader", "--type=merge", "-p", &patch];
    until("there is a leader to be replaced", SOON, || replicas.api.kubectl.run(&args)).await.unwrap();
}
