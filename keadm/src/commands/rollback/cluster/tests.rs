use clap::Parser as _;

use super::*;
use crate::args::{Args, Command, RollbackWhat};
use crate::commands::testing::Cluster;
use crate::rollout::Release;

fn rollback() -> RollbackCloud {
    match Args::try_parse_from(["keadm", "rollback", "cloud"]).unwrap().command {
        Command::Rollback(rollback) => match rollback.what {
            RollbackWhat::Cloud(cloud) => *cloud,
            RollbackWhat::Edge(_) => panic!("not cloud"),
        },
        other => panic!("not rollback: {other:?}"),
    }
}

/// Of a ConfigMap, and of a Deployment, which the API of this test does not have: putting it back fails halfway.
fn release(version: &str) -> Release {
    let meta = |name: &str| json!({"name": name, "namespace": "kubeedge"});
    let objects = vec![
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta("cloudcore"), "data": {"version": version}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta("cloudcore")}),
    ];
    Release { version: version.to_owned(), given: json!({}), objects }
}

async fn fails_towards(client: &Client, version: &str) {
    let printer = Printer::capturing();
    go_back(&rollback(), client, &printer).await.unwrap_err();
    let api = kube::Api::<k8s_openapi::api::core::v1::ConfigMap>::namespaced(client.clone(), "kubeedge");
    let found = api.get("cloudcore").await.unwrap().data.unwrap();
    assert_eq!(found["version"], version, "{}", printer.captured());
}

#[tokio::test]
async fn one_that_has_failed_halfway_goes_the_same_way_when_it_is_repeated() {
    let client = Cluster::client().await;
    let (one, two) = (release("v1"), release("v2"));
    let known = Known::default().followed_by(&one).followed_by(&two);
    known.keep(&client).await.unwrap();
    for _ in 0..3 {
        fails_towards(&client, "v1").await;
        let known = Known::read(&client).await.unwrap();
        assert_eq!((known.current.as_ref(), known.previous.as_ref()), (Some(&two), Some(&one)));
        // Nor is what it was to go away from the same as before.
        assert!(!known.has(&two));
    }
    // Once it has come to its end, the way back is the other one.
    let known = Known::read(&client).await.unwrap().followed_by(&one);
    assert!(known.has(&one));
    assert_eq!(known.before(), Some(&two));
}

#[tokio::test]
async fn after_an_installation_that_was_cut_off_it_goes_to_what_ran() {
    let client = Cluster::client().await;
    let [one, two, three] = ["v1", "v2", "v3"].map(release);
    let known = Known::default().followed_by(&one).followed_by(&two);
    known.installing(&three).keep(&client).await.unwrap();
    for _ in 0..2 {
        fails_towards(&client, "v2").await;
    }
    // It ran before, and runs again: there is no other version in between.
    assert_eq!(Known::read(&client).await.unwrap().followed_by(&two), known);
}

#[tokio::test]
async fn without_anything_before_there_is_no_way() {
    let client = Cluster::client().await;
    for known in [Known::default().installing(&release("v1")), Known::default().followed_by(&release("v1"))] {
        known.keep(&client).await.unwrap();
        let error = go_back(&rollback(), &client, &Printer::quiet()).await.unwrap_err();
        assert!(error.to_string().contains("does not know what was installed before"), "{error:#}");
    }
}
