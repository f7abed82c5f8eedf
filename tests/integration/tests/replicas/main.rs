//! Three CloudCores on one API, load balancers before them, hollow nodes and one real EdgeCore with mosquitto and services: replicas are
//! killed, stopped, cut off and rolled while users' messages flow through rules of every type in both directions. `make replicas` plays
//! many rounds: `RUNS` says how many, `START` with which seed to begin; `make replicas START=4711 RUNS=1` plays one again.

mod plan;
mod scene;
mod traffic;
mod verdict;

use integration::daemons::SOON;
use integration::wait::until;

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
    let number = |name: &str, default: u64| {
        let text = std::env::var(name).unwrap_or_default();
        if text.is_empty() { default } else { text.parse().unwrap() }
    };
    let start = number("START", 1);
    rounds(MANY, start..start + number("RUNS", 100)).await;
}

async fn rounds(nodes: u32, seeds: std::ops::Range<u64>) {
    let mut scene = Scene::start(nodes).await;
    for seed in seeds {
        let plan = Plan::from_seed(seed);
        println!("{plan}");
        let traffic = Traffic::start(&scene, seed).await;
        for step in &plan.steps {
            scene.play(step).await;
        }
        scene.all_is_well().await;
        let logs = traffic.stop().await;
        let summary = verdict::judge(&scene, &logs).await.unwrap_or_else(|error| panic!("{plan}{error:#}"));
        println!("{summary}");
    }
}

/// No node is NotReady meanwhile, and nothing that was published waits for long.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_rolled_and_no_node_is_not_ready() {
    let mut scene = Scene::start(FEW).await;
    let before = scene.readiness().await;
    assert_eq!(before.len(), FEW as usize + 1);
    let traffic = Traffic::start(&scene, 0).await;
    for replica in 0..scene.replicas.all.len() {
        scene.roll(replica).await;
    }
    scene.all_is_well().await;
    let logs = traffic.stop().await;
    println!("{}", verdict::judge(&scene, &logs).await.unwrap());
    assert_eq!(scene.readiness().await, before, "since when each node is Ready");
}

/// The one that leads stands still for longer than its lease lasts, and wakes: another one has taken over, and of both one leads.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stood_still_leads_no_more() {
    let replicas = integration::replicas::Replicas::start(2).await;
    let leader = until("one leads", SOON, || async {
        let leads = leaders(&replicas).await?;
        anyhow::ensure!(leads.len() == 1, "{leads:?}");
        Ok(leads[0])
    });
    let leader = leader.await.unwrap();
    let other = 1 - leader;
    replicas.all[leader].pause();
    let stood = tokio::time::Instant::now();
    replicas.all[other].counts("replicas_leader", 1.0).await;
    println!("the other one leads after {:?}", stood.elapsed());
    replicas.all[leader].wake();
    // Whatever it had under way when it stood still: the next that it shows is that it does not lead.
    replicas.all[leader].counts("replicas_leader", 0.0).await;
    assert!((replicas.all[other].number("replicas_leader").await.unwrap() - 1.0).abs() < f64::EPSILON);
    let holder = replicas.api.kubectl.run(&[
        "-n",
        "kubeedge",
        "get",
        "lease",
        "cloudcore-leader",
        "-o",
        "jsonpath={.spec.holderIdentity}",
    ]);
    assert!(holder.await.unwrap().contains(&replicas.all[other].name));
}

/// Those that say that they lead.
async fn leaders(replicas: &integration::replicas::Replicas) -> anyhow::Result<Vec<usize>> {
    let mut leads = Vec::new();
    for (index, replica) in replicas.all.iter().enumerate() {
        if replica.number("replicas_leader").await? > 0.5 {
            leads.push(index);
        }
    }
    Ok(leads)
}
