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
use self::scene::{NODE, Scene};
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

/// Both rule types that lead to a node, at each replica that does not hold it: the node has every message once and in order, and all of them
/// went by way of the holder. What comes from a node comes to its holder anyway.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_does_not_hold_the_node_is_as_good_as_its_holder() {
    const EACH: usize = 10;
    let scene = Scene::start(1).await;
    let holder = scene.replicas.holder(NODE).await;
    let heard = scene.broker.subscribe("down").await;
    let mut texts = Vec::new();
    for (index, replica) in scene.replicas.all.iter().enumerate().filter(|(index, _)| *index != holder) {
        for number in 0..EACH {
            let text = format!("{index}-{number}");
            for path in ["publish", "call"] {
                let path = format!("/{NODE}/default/{path}");
                let answer = replica.router().ask("POST", &path, &text).await.unwrap();
                let sent = answer.headers.get("x-message-sent").map(|sent| sent.to_str().unwrap());
                assert_eq!((answer.status, sent), (200, Some("yes")), "{path}: {}", answer.body);
            }
            texts.push(text);
        }
        replica.counts("forwarding_requests_total{outcome=\"answered\"}", (2 * EACH) as f64).await;
    }
    let served = (2 * texts.len()) as f64;
    scene.replicas.all[holder].counts("forwarding_served_total{outcome=\"answered\"}", served).await;
    until("the broker has them all", SOON, || async {
        let payloads = heard.payloads("down")?;
        anyhow::ensure!(payloads == texts, "{payloads:?}");
        Ok(())
    })
    .await
    .unwrap();
    let called: Vec<String> = scene.service.asked().iter().map(|asked| asked.body.clone()).collect();
    assert_eq!(called, texts);
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
