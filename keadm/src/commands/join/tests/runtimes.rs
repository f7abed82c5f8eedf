//! Container runtimes that pods would not run with, and those with which they do.

use super::*;

fn with(driver: Option<CgroupDriver>) -> Facts {
    Facts { runtime: Some(Runtime { cgroup_driver: driver, ..runtime() }), ..machine(&[]) }
}

fn driver(changes: &[Change]) -> String {
    let config: EdgeCore = parse_str(&written(changes, EDGECORE_YAML).unwrap().0).unwrap();
    config.modules.edged.tailored_kubelet_config.cgroup_driver
}

#[tokio::test]
async fn without_a_flag_the_driver_is_the_runtimes() {
    use CgroupDriver::{Cgroupfs, Systemd};
    let json = r#"modules.edged.tailoredKubeletConfig={"imageGCHighThresholdPercent": 100}"#;
    for (runtimes, more, expected) in [
        (Some(Systemd), &[][..], "systemd"),
        (Some(Cgroupfs), &[], "cgroupfs"),
        (None, &[], "cgroupfs"),
        (None, &["--cgroupdriver", "systemd"], "systemd"),
        (Some(Systemd), &["--cgroupdriver", "systemd"], "systemd"),
        // What is set of the same section leaves the flag alone.
        (Some(Systemd), &["--cgroupdriver", "systemd", "--set-json", json], "systemd"),
    ] {
        let (shown, result, changes) = run(with(runtimes), more).await;
        result.unwrap();
        assert_eq!(driver(&changes), expected, "{more:?}");
        assert_eq!(
            shown.contains("as the container runtime has it"),
            runtimes == Some(Systemd) && more.is_empty()
        );
        assert_eq!(shown.contains("does not say which it has"), runtimes.is_none());
    }
}

#[tokio::test]
async fn another_driver_than_the_runtimes_is_said_with_both_ways_out() {
    use CgroupDriver::{Cgroupfs, Systemd};
    let set = "modules.edged.tailoredKubeletConfig.cgroupDriver=systemd";
    for (runtimes, more, ours, theirs) in [
        (Systemd, &["--cgroupdriver", "cgroupfs"][..], "cgroupfs", "systemd"),
        (Cgroupfs, &["--cgroupdriver", "systemd"], "systemd", "cgroupfs"),
        (Cgroupfs, &["--set", set], "systemd", "cgroupfs"),
    ] {
        let (_, result, changes) = run(with(Some(runtimes)), more).await;
        let error = result.expect_err(ours);
        assert!(
            error.to_string().contains(&format!("would be {ours}, and the container runtime has {theirs}")),
            "{error}"
        );
        let hint = hint::of(&error).unwrap().to_string();
        assert!(hint.contains(&format!("--cgroupdriver {theirs}")), "{hint}");
        assert!(hint.contains(&format!("SystemdCgroup = {}", ours == "systemd")), "{hint}");
        assert_eq!(changes, []);
    }
}

#[tokio::test]
async fn a_runtime_without_its_image_for_sandboxes_is_said() {
    let lacks = |sandbox_image: Option<&str>, has_pinned| {
        let sandbox_image = sandbox_image.map(str::to_owned);
        let runtime = Runtime { sandbox_image, has_pinned, images: [].into(), ..runtime() };
        Facts { runtime: Some(runtime), ..machine(&[]) }
    };
    for (facts, image) in [
        (machine(&[]), None),
        (lacks(Some(SANDBOX), false), Some(SANDBOX)),
        (lacks(None, false), Some("kubeedge/pause:3.6")),
        // It does not say which it wants, and has it.
        (lacks(None, true), None),
    ] {
        let (shown, result, _) = run(facts, &[]).await;
        result.unwrap();
        let said = shown.lines().find(|line| line.starts_with("note:"));
        assert_eq!(said.is_some(), image.is_some(), "{shown}");
        assert!(said.unwrap_or_default().contains(image.unwrap_or_default()), "{shown}");
    }
}

#[tokio::test]
async fn a_runtime_that_does_not_answer_is_no_runtime() {
    let (_, result, changes) = run(Facts { runtime: None, ..machine(&[]) }, &[]).await;
    let error = result.unwrap_err();
    assert!(hint::of(&error).unwrap().to_string().contains("CRI v1"), "{error:#}");
    assert_eq!(changes, []);
}
