//! What the user sees of failures that users of stock have met (numbers of its threads).

use std::collections::BTreeMap;

use super::super::super::testing::terminal;
use super::*;

/// Joining as far as it goes, with this machine and this cloud.
async fn seen(facts: Facts, web: Answers, more: &[&str]) -> String {
    let printer = Printer::capturing();
    let host = Recording::acting(facts, printer.clone());
    let daemon = Daemon { name: "edgecore", program: EDGECORE.into(), config: EDGECORE_YAML.into() };
    let join = args(more);
    let joining = Joining { host: &host, web: &web, daemon: &daemon, join: &join, printer: &printer };
    let result = joining.all().await.or_hint(|| "`keadm reset edge` undoes what was done".to_owned());
    assert!(result.is_err());
    let shown = terminal(&printer, &result);
    assert!(!shown.contains(&token()), "{shown}");
    // Each CA is a new one.
    let is_digest = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = shown.split_inclusive(|each: char| !each.is_ascii_alphanumeric());
    let shown: String = words
        .map(|word| {
            let bare = word.trim_end_matches(|each: char| !each.is_ascii_alphanumeric());
            if is_digest(bare) { word.replacen(bare, "DIGEST", 1) } else { word.to_owned() }
        })
        .collect();
    // Of the steps on the way only the last is about the failure.
    shown
        .lines()
        .skip_while(|line| !line.starts_with("==> starting"))
        .chain(shown.lines().take_while(|_| !shown.contains("==> starting")))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn cloud() -> Answers {
    Answers([(CA_URL, ca_answer()), (NODE_URL, answer(StatusCode::NOT_FOUND, ""))].into())
}

#[tokio::test(start_paused = true)]
async fn failures_of_joining() {
    let other = Ca::generate(Timestamp::now()).unwrap().cert_der().to_vec();
    let no_runtime = Facts { files: [(EDGECORE.into(), String::new())].into(), ..Facts::default() };
    let no_binary = Facts { files: [(CONTAINERD.into(), String::new())].into(), ..Facts::default() };
    let no_name = |url: &'static str| {
        Answers(BTreeMap::from([(CA_URL, ca_answer()), (url, answer(StatusCode::OK, ""))]))
    };
    for (name, facts, web, more) in [
        // "timed out waiting for the condition", without a cause.
        ("kk4681_the_certificate_never_comes", machine(&[]), cloud(), &[][..]),
        // The cloud is not reached; stock pulls images, wgets and asks for versions first.
        ("kk5852_the_cloud_is_not_reached", machine(&[]), Answers::default(), &[]),
        // A token of another installation, or one whose CA was made again (kk#5471).
        ("kk5922_another_ca", machine(&[]), Answers([(CA_URL, answer(StatusCode::OK, other))].into()), &[]),
        // The certificate of the cloud is not for this address.
        ("kk2905_not_for_this_address", machine(&[]), Answers([(CA_URL, ca_answer())].into()), &[]),
        ("kk4745_the_name_is_taken", machine(&[]), no_name(NODE_URL), &[]),
        // What an earlier run has left.
        ("kk2847_something_is_left", machine(&["/etc/kubeedge/config/edgecore.yaml"]), cloud(), &[]),
        ("kk2141_edgecore_runs", Facts { processes: ["edgecore"].into(), ..machine(&[]) }, cloud(), &[]),
        ("kk5087_there_is_no_runtime", no_runtime, cloud(), &[]),
        ("kk4380_there_is_no_binary", no_binary, cloud(), &[]),
        (
            "kk5655_a_value_is_not_understood",
            machine(&[]),
            cloud(),
            &["--set", "modules.eventBus.mqttmode=0,modules.edgeHub.heartbeat=often"],
        ),
    ] {
        insta::assert_snapshot!(name, seen(facts, web, more).await);
    }
}

/// The example of the 1.18 release, to the letter.
#[test]
fn the_example_of_the_release_gives_this_file() {
    let set = "modules.metaManager.enable=true,modules.metaManager.metaServer.enable=true,modules.metaManager.remoteQueryTimeout=32";
    let config = config::configuration(&args(&["--set", set]), "edge-1", &Facts::default()).unwrap();
    let without = config::configuration(&args(&[]), "edge-1", &Facts::default()).unwrap();
    let changes = crate::settings::changes(&without, &config).unwrap();
    assert_eq!(
        changes,
        ["modules.metaManager.metaServer.enable: true", "modules.metaManager.remoteQueryTimeout: 32"]
    );
    let meta = &config.modules.meta_manager;
    assert!(meta.enable && meta.meta_server.enable);
    assert_eq!(meta.remote_query_timeout, 32);
}

#[test]
fn every_flag_of_the_family_and_files_reach_the_configuration() {
    let mut machine = machine(&[]);
    machine.files.insert("v.yaml".into(), "modules: {edgeHub: {heartbeat: 20, messageQPS: 1}}\n".into());
    machine.files.insert("name".into(), "edge-9".into());
    let more = [
        "--values",
        "v.yaml",
        "--set-json",
        r#"modules.edged.nodeLabels={"a":"b"}"#,
        "--set",
        "modules.edgeHub.heartbeat=30",
        "--set-string",
        "modules.edged.nodeLabels.c=1",
        "--set-file",
        "modules.edged.hostnameOverride=name",
        "--set-literal",
        "modules.edged.nodeLabels.d=x",
    ];
    let config = config::configuration(&args(&more), "edge-1", &machine).unwrap();
    let hub = &config.modules.edge_hub;
    assert_eq!((hub.heartbeat, hub.message_qps), (30, 1));
    assert_eq!(config.modules.edged.hostname_override, "edge-9");
    let labels: Vec<_> =
        config.modules.edged.node_labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(labels, ["a=b", "c=1", "d=x"]);
}
