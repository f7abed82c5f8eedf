use std::path::PathBuf;

use clap::Parser as _;

use super::*;
use crate::args::{Args, Command};
use crate::hint;
use crate::host::Facts;

fn parsed(args: &[&str]) -> Manifest {
    match Args::try_parse_from(["keadm", "manifest"].iter().chain(args)).unwrap().command {
        Command::Manifest(manifest) => *manifest,
        _ => panic!("not manifest"),
    }
}

fn machine(files: &[(&str, &str)]) -> Facts {
    Facts {
        files: files.iter().map(|(file, text)| (PathBuf::from(file), (*text).to_owned())).collect(),
        ..Facts::default()
    }
}

fn titles(facts: &Facts, args: &[&str]) -> anyhow::Result<Vec<String>> {
    let manifest = parsed(args);
    let values = values(facts, &manifest.chart, &manifest.advertise_address, &manifest.set)?;
    let objects = objects(facts, &values, &manifest.chart, !manifest.skip_crds)?;
    Ok(objects.iter().map(Object::title).collect())
}

#[test]
fn everything_comes_in_the_order_in_which_it_has_to_be_there() {
    let args =
        ["generate", "--advertise-address", "10.0.0.1", "--skip-crds", "--set", "admission.enable=true"];
    let expected = [
        "Namespace kubeedge",
        "ServiceAccount kubeedge/cloudcore",
        "ClusterRole cloudcore",
        "ClusterRoleBinding cloudcore",
        "Role kubeedge/cloudcore",
        "RoleBinding kubeedge/cloudcore",
        "Role kube-node-lease/cloudcore",
        "RoleBinding kube-node-lease/cloudcore",
        "ConfigMap kubeedge/cloudcore",
        "Deployment kubeedge/cloudcore",
        "Service kubeedge/cloudcore",
        "PodDisruptionBudget kubeedge/cloudcore",
        "Service kubeedge/kubeedge-admission-service",
        "ValidatingWebhookConfiguration kubeedge-crds-validate-webhook-configuration",
    ];
    assert_eq!(titles(&machine(&[]), &args).unwrap(), expected);
    let with_crds = titles(&machine(&[]), &["--advertise-address", "10.0.0.1"]).unwrap();
    assert_eq!(with_crds[1], "CustomResourceDefinition devicemodels.devices.kubeedge.io");
}

#[test]
fn profiles_values_and_further_files() {
    let files = [
        ("/p.yaml", "cloudCore: {replicaCount: 2, image: {tag: p}}"),
        ("/v.yaml", "cloudCore: {image: {tag: v}}"),
        (
            "/o.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n---\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ns}",
        ),
    ];
    let facts = machine(&files);
    let manifest = parsed(&["--profile", "/p.yaml", "--values", "/v.yaml", "-f", "/o.yaml"]);
    let read = values(&facts, &manifest.chart, &[], &[]).unwrap();
    assert_eq!((read.cloud_core.replica_count, read.cloud_core.image.tag.as_str()), (2, "v"));
    let more: Vec<_> = extra(&facts, &manifest.chart).unwrap().iter().map(Object::title).collect();
    assert_eq!(more, ["ConfigMap more", "Namespace ns"]);
    let manifest = parsed(&["--profile", "version=v1.20.0"]);
    assert_eq!(values(&facts, &manifest.chart, &[], &[]).unwrap().cloud_core.image.tag, "v1.20.0");
}

#[test]
fn what_cannot_be_is_said_before_anything_is_done() {
    let facts = machine(&[("/bad.yaml", "kind: ConfigMap"), ("/no.yaml", "a: [")]);
    let address = ["--advertise-address", "10.0.0.1"];
    for (args, part) in [
        (&[][..], "the addresses that edge nodes reach CloudCore at are not given"),
        (&["--profile", "/none.yaml"][..], "/none.yaml is not there"),
        (&["--values", "/no.yaml"][..], "/no.yaml is no YAML"),
        (&["--external-helm-root", "/charts"][..], "keadm renders its own chart"),
        (
            &["--set", "cloudCore.modules.cloudHub.nodeLimt=1"][..],
            "cloudCore.modules.cloudHub.nodeLimt: unknown key, did you mean nodeLimit?",
        ),
        (
            &["--set", "cloudCore.modules.cloudHub.websocket.address=x"][..],
            "cloudCore.modules.cloudHub.websocket.address",
        ),
        (&["-f", "/bad.yaml"][..], "document 1"),
    ] {
        let all: Vec<&str> =
            if args.is_empty() { Vec::new() } else { address.iter().chain(args).copied().collect() };
        let error = titles(&facts, &all).expect_err(part);
        assert!(format!("{error:#}").contains(part), "{error:#}");
        assert!(hint::is_usage(&error), "{part}");
    }
}
