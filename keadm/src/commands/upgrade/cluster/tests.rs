use clap::Parser as _;

use super::*;
use crate::args::{Args, Command, UpgradeWhat};
use crate::host::Facts;
use crate::manifests::Overrides;

fn upgrade(more: &[&str]) -> UpgradeCloud {
    match Args::try_parse_from(["keadm", "upgrade", "cloud"].iter().chain(more)).unwrap().command {
        Command::Upgrade(upgrade) => match upgrade.what {
            UpgradeWhat::Cloud(cloud) => *cloud,
            UpgradeWhat::Edge(_) => panic!("not cloud"),
        },
        other => panic!("not upgrade: {other:?}"),
    }
}

#[test]
fn what_was_given_before_stays_but_for_the_version() {
    let sets =
        vec!["cloudCore.modules.cloudHub.advertiseAddress={10.0.0.1},cloudCore.replicaCount=2".to_owned()];
    let before = Overrides { version: Some("v0.0.9".into()), sets, ..Overrides::default() }.values().unwrap();
    let objects = manifests::render(&before, false).unwrap();
    let current = Some(Release::of(&before, &objects).unwrap());
    let known = Known { current, previous: None };
    let values = |more: &[&str]| values(&upgrade(more), &Facts::default(), &known).unwrap();
    let core = values(&[]).cloud_core;
    assert_eq!((core.replica_count, core.image.tag.as_str()), (2, manifests::TAG));
    assert_eq!(core.modules["cloudHub"]["advertiseAddress"][0], "10.0.0.1");
    let core = values(&["--kubeedge-version", "1.2.3", "--set", "cloudCore.replicaCount=3"]).cloud_core;
    assert_eq!((core.replica_count, core.image.tag.as_str()), (3, "v1.2.3"));
}
