use std::path::PathBuf;

use clap::Parser as _;
use http::StatusCode;

use super::super::testing::Made;
use super::*;
use crate::args::{Args, Command};
use crate::hint;
use crate::host::{Change, Facts, Recording};
use crate::web::Answer;

const CLOUDCORE: &str = "/usr/local/bin/cloudcore";

/// Says the same to everything.
struct Always(StatusCode);

impl Made for Always {
    fn answer(&self, _: &str) -> anyhow::Result<Answer> {
        Ok(Answer { status: self.0, body: "not ready: cloudhub".into() })
    }
}

fn daemon() -> Daemon {
    Daemon { name: "cloudcore", program: CLOUDCORE.into(), config: CLOUDCORE_YAML.into() }
}

fn machine(files: &[(&str, &str)]) -> Facts {
    let files = [(CLOUDCORE, "")].iter().chain(files);
    Facts {
        files: files.map(|(file, text)| (PathBuf::from(file), (*text).to_owned())).collect(),
        ..Facts::default()
    }
}

async fn run(facts: Facts, args: &[&str]) -> (String, anyhow::Result<()>, Vec<Change>) {
    let Command::Init(init) = Args::try_parse_from(["keadm", "init"].iter().chain(args)).unwrap().command
    else {
        panic!("not init")
    };
    let printer = Printer::capturing();
    let host = Recording::new(facts, printer.clone());
    let result = install(&host, &Always(StatusCode::OK), &daemon(), &init, &printer).await;
    (printer.captured(), result, host.changes())
}

fn written(changes: &[Change]) -> CloudCore {
    let text = changes.iter().find_map(|change| match change {
        Change::Write { path, text, .. } if path == Path::new(CLOUDCORE_YAML) => Some(text),
        _ => None,
    });
    parse_str(text.unwrap()).unwrap()
}

#[tokio::test]
async fn a_dry_run_shows_every_change_without_systemd() {
    let args = ["--embedded", "--advertise-address", "10.0.0.1,10.0.0.2", "--set", "logging.format=json"];
    let (shown, result, _) = run(machine(&[]), &args).await;
    result.unwrap();
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn force_stops_what_runs_and_systemd_gets_a_unit() {
    let facts = Facts { systemd: true, processes: ["cloudcore"].into(), ..machine(&[]) };
    let (shown, result, _) = run(facts, &["--embedded", "--force"]).await;
    result.unwrap();
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn what_the_file_says_already_is_kept() {
    let there = [(CLOUDCORE_YAML, "modules: {cloudHub: {nodeLimit: 7, advertiseAddress: [10.0.0.1]}}\n")];
    let (_, result, changes) = run(machine(&there), &["--embedded", "--advertise-address", "10.0.0.2"]).await;
    result.unwrap();
    let config = written(&changes);
    assert!(config.modules.embedded.enable);
    assert_eq!(config.modules.cloud_hub.node_limit, 7);
    assert_eq!(config.modules.cloud_hub.advertise_address, ["10.0.0.2"]);
}

#[tokio::test]
async fn what_stands_in_the_way_is_found_before_anything_is_changed() {
    let running = Facts { processes: ["cloudcore"].into(), ..machine(&[]) };
    for (facts, args, part, is_usage) in [
        (machine(&[]), &["--embedded", "--profile", "p"][..], "flags that are for a cluster", true),
        (
            machine(&[]),
            &["--embedded", "--set", "modules.cloudhub.nodeLimit=1"],
            "did you mean cloudHub?",
            true,
        ),
        (machine(&[(CLOUDCORE_YAML, "modulez: {}")]), &["--embedded"], "modulez: unknown key", false),
        (machine(&[(EDGECORE_YAML, "")]), &["--embedded"], "this machine is an edge node", false),
        (running, &["--embedded"], "cloudcore is already running", false),
        (Facts::default(), &["--embedded"], "/usr/local/bin/cloudcore is not there", false),
    ] {
        let (_, result, changes) = run(facts, args).await;
        let error = result.expect_err(part);
        assert!(format!("{error:#}").contains(part), "{error:#}");
        assert!(hint::of(&error).is_some(), "{part}");
        assert_eq!(hint::is_usage(&error), is_usage, "{part}");
        assert_eq!(changes, [], "{part}");
    }
}

#[tokio::test(start_paused = true)]
async fn ready_is_with_the_kubeconfig_and_every_part() {
    let wait = async |files: &[(&str, &str)], status: StatusCode| {
        let host = Recording::new(machine(files), Printer::quiet());
        wait_until_ready(&host, &Always(status), &daemon(), &CloudCore::default(), &Printer::quiet()).await
    };
    let kubeconfig = [("/var/lib/kubeedge/embedded/admin.kubeconfig", "")];
    wait(&kubeconfig, StatusCode::OK).await.unwrap();
    let error = wait(&kubeconfig, StatusCode::SERVICE_UNAVAILABLE).await.unwrap_err();
    assert_eq!(error.to_string(), "cloudcore: not ready: cloudhub, after 60 s");
    let error = wait(&[], StatusCode::OK).await.unwrap_err();
    assert!(error.to_string().contains("admin.kubeconfig is not there yet"), "{error}");
}
