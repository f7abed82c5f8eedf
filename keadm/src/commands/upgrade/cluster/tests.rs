use clap::Parser as _;
use serde_json::json;

use super::*;
use crate::args::{Args, Command, UpgradeWhat};
use crate::commands::testing::Cluster;
use crate::host::Facts;

fn upgrade(more: &[&str]) -> UpgradeCloud {
    match Args::try_parse_from(["keadm", "upgrade", "cloud"].iter().chain(more)).unwrap().command {
        Command::Upgrade(upgrade) => match upgrade.what {
            UpgradeWhat::Cloud(cloud) => *cloud,
            UpgradeWhat::Edge(_) => panic!("not cloud"),
        },
        other => panic!("not upgrade: {other:?}"),
    }
}

fn release(overrides: &Overrides) -> Release {
    let values = overrides.values().unwrap();
    let objects = manifests::render(&values, false).unwrap();
    Release::of(&values, overrides.given().unwrap(), &objects).unwrap()
}

#[test]
fn what_was_given_before_stays_but_for_the_version() {
    let sets =
        vec!["cloudCore.modules.cloudHub.advertiseAddress={10.0.0.1},cloudCore.replicaCount=2".to_owned()];
    let before = Overrides { version: Some("v0.0.9".into()), sets, ..Overrides::default() };
    let known = Known::default().followed_by(&release(&before));
    let values =
        |more: &[&str]| overrides(&upgrade(more), &Facts::default(), &known).unwrap().values().unwrap();
    let core = values(&[]).cloud_core;
    assert_eq!((core.replica_count, core.image.tag.as_str()), (2, manifests::TAG));
    assert_eq!(core.modules["cloudHub"]["advertiseAddress"][0], "10.0.0.1");
    let core = values(&["--kubeedge-version", "1.2.3", "--set", "cloudCore.replicaCount=3"]).cloud_core;
    assert_eq!((core.replica_count, core.image.tag.as_str()), (3, "v1.2.3"));
}

#[test]
fn what_was_not_given_is_what_the_new_version_has_by_default() {
    let sets =
        vec!["cloudCore.modules.cloudHub.advertiseAddress={10.0.0.1},cloudCore.replicaCount=2".to_owned()];
    let of_then = release(&Overrides { version: Some("v0.0.9".into()), sets, ..Overrides::default() });
    let known = Known::default().followed_by(&of_then);
    let given = overrides(&upgrade(&[]), &Facts::default(), &known).unwrap().given().unwrap();
    let hub = json!({"advertiseAddress": ["10.0.0.1"]});
    let image = json!({"tag": manifests::TAG});
    assert_eq!(
        given,
        json!({"cloudCore": {"replicaCount": 2, "image": image, "modules": {"cloudHub": hub}}})
    );
}

#[tokio::test]
async fn an_upgrade_that_did_not_come_to_its_end_is_not_the_same_and_what_was_before_stays_known() {
    let client = Cluster::client().await;
    let sets = vec!["cloudCore.modules.cloudHub.advertiseAddress={10.0.0.1}".to_owned()];
    let of = |version: &str| Overrides {
        version: Some(version.to_owned()),
        sets: sets.clone(),
        ..Overrides::default()
    };
    let (from, to) = (release(&of("v1")), release(&of("v2")));
    Known::default().followed_by(&from).keep(&client).await.unwrap();
    // The API of this test has no Deployments: neither comes to its end.
    for _ in 0..2 {
        let known = Known::read(&client).await.unwrap();
        let printer = Printer::quiet();
        let (values, given) = (of("v2").values().unwrap(), of("v2").given().unwrap());
        let install = Install {
            client: client.clone(),
            force: false,
            values,
            given,
            extra: Vec::new(),
            printer: &printer,
        };
        let error = switch(install, &to, known, &printer).await.unwrap_err();
        assert!(error.to_string().contains("so did going back to v1"), "{error:#}");
        let known = Known::read(&client).await.unwrap();
        assert!(!known.has(&to));
        assert_eq!((known.current.as_ref(), known.before()), (Some(&from), Some(&from)));
        assert_eq!(known.under_way, Some(UnderWay::Installing(to.clone())));
    }
    let known = Known::read(&client).await.unwrap().followed_by(&to);
    known.keep(&client).await.unwrap();
    let known = Known::read(&client).await.unwrap();
    assert!(known.has(&to));
    assert_eq!(known.before(), Some(&from));
}
