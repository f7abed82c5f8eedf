use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use certs::Ca;
use chassis::config::parse_str;
use clap::Parser as _;
use hyper::body::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::super::testing::Made;
use super::*;
use crate::args::{Args, CgroupDriver, Command};
use crate::cri::Runtime;
use crate::hint;
use crate::host::{Change, Facts, Recording};
use crate::web::Answer;

mod bundles;
mod runtimes;
mod seen;

const EDGECORE: &str = "/usr/local/bin/edgecore";
const CONTAINERD: &str = "/run/containerd/containerd.sock";

const SANDBOX: &str = "registry.k8s.io/pause:3.8";

const SERVER: &str = "https://10.0.0.1:10002";
const CA_URL: &str = "https://10.0.0.1:10002/ca.crt";
const NODE_URL: &str = "https://10.0.0.1:10002/node/edge-1";

/// The CA of the cloud.
static CA: LazyLock<Ca> = LazyLock::new(|| Ca::generate(Timestamp::now()).unwrap());

/// Answers every URL that it knows, and no other. It shows a certificate of [`CA`].
#[derive(Default)]
struct Answers(BTreeMap<&'static str, Answer>);

impl Made for Answers {
    fn answer(&self, url: &str) -> anyhow::Result<Answer> {
        self.0.get(url).cloned().ok_or_else(|| anyhow::anyhow!("{url}: connection refused"))
    }

    fn believes(&self, ca: &CertificateDer<'static>) {
        assert_eq!(ca, CA.cert_der());
    }
}

fn answer(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    Answer { status, body: body.into() }
}

fn ca_answer() -> Answer {
    answer(StatusCode::OK, CA.cert_der().to_vec())
}

fn token() -> String {
    static TOKEN: LazyLock<String> = LazyLock::new(|| {
        JoinToken::issue(&CA, Timestamp::now(), SignedDuration::from_hours(1)).unwrap().expose()
    });
    TOKEN.clone()
}

fn args(more: &[&str]) -> Join {
    let token = token();
    let given = ["keadm", "join", "-e", "10.0.0.1:10000", "-i", "edge-1", "-t", &token];
    match Args::try_parse_from(given.iter().chain(more)).unwrap().command {
        Command::Join(join) => *join,
        other => panic!("not join: {other:?}"),
    }
}

fn machine(files: &[&str]) -> Facts {
    let files = [EDGECORE, CONTAINERD].iter().chain(files).map(|file| (PathBuf::from(file), String::new()));
    Facts { files: files.collect(), runtime: Some(runtime()), ..Facts::default() }
}

/// As containerd 1.7 says of itself where nobody has configured it, with its image for sandboxes.
fn runtime() -> Runtime {
    Runtime {
        version: "containerd v1.7.24".to_owned(),
        cgroup_driver: Some(CgroupDriver::Cgroupfs),
        sandbox_image: Some(SANDBOX.to_owned()),
        images: [SANDBOX.to_owned()].into(),
        ..Runtime::default()
    }
}

/// What the user sees, the result, and what would be changed.
async fn run(facts: Facts, more: &[&str]) -> (String, anyhow::Result<()>, Vec<Change>) {
    let printer = Printer::capturing();
    let host = Recording::new(facts, printer.clone());
    let daemon = Daemon { name: "edgecore", program: EDGECORE.into(), config: EDGECORE_YAML.into() };
    let join = args(more);
    let web = Answers::default();
    let joining = Joining { host: &host, web: &web, daemon: &daemon, join: &join, printer: &printer };
    let result = joining.all().await;
    let shown = printer.captured().replace(env!("CARGO_PKG_VERSION"), "VERSION");
    (shown, result, host.changes())
}

fn written(changes: &[Change], wanted: &str) -> Option<(String, u32)> {
    changes.iter().find_map(|change| match change {
        Change::Write { path, text, mode } if path == Path::new(wanted) => Some((text.clone(), *mode)),
        _ => None,
    })
}

#[tokio::test]
async fn a_dry_run_shows_every_change_without_systemd() {
    let (shown, result, _) =
        run(machine(&[]), &["-l", "site=harbour", "--set", "modules.edgeHub.heartbeat=30"]).await;
    result.unwrap();
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn a_dry_run_shows_every_change_with_systemd() {
    let facts = Facts { systemd: true, ..machine(&[]) };
    let (shown, result, _) =
        run(facts, &["--pre-run", "/opt/before.sh", "--post-run", "/opt/after.sh"]).await;
    result.unwrap();
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn the_token_is_written_for_root_alone_and_never_shown() {
    let (shown, result, changes) = run(machine(&[]), &[]).await;
    result.unwrap();
    assert!(!shown.contains(&token()), "{shown}");
    let (bootstrap, mode) = written(&changes, BOOTSTRAP).unwrap();
    assert_eq!((bootstrap, mode), (token(), 0o600));
    let (yaml, mode) = written(&changes, EDGECORE_YAML).unwrap();
    assert_eq!(mode, 0o600);
    let config: EdgeCore = parse_str(&yaml).unwrap();
    assert_eq!(config.modules.edge_hub.token.reveal(), token());
    // The file of its own is gone when the command ends.
    assert_eq!(changes.last(), Some(&Change::Remove(BOOTSTRAP.into())));
}

#[tokio::test]
async fn the_configuration_says_what_the_flags_say() {
    let more = [
        "-s",
        "30002",
        "-p",
        "unix:///run/containerd/containerd.sock",
        "-l",
        "a=1,b=yes",
        "--set",
        r"modules.edged.nodeLabels.node\.role=edge,modules.edgeHub.messageQPS=0",
    ];
    let (_, result, changes) = run(machine(&[]), &more).await;
    result.unwrap();
    let config: EdgeCore = parse_str(&written(&changes, EDGECORE_YAML).unwrap().0).unwrap();
    let hub = &config.modules.edge_hub;
    assert_eq!(hub.http_server, "https://10.0.0.1:30002");
    assert_eq!((hub.websocket.enable, hub.websocket.server.as_str()), (true, "10.0.0.1:10000"));
    assert_eq!((hub.quic.enable, hub.quic.server.as_str()), (false, "10.0.0.1:10001"));
    assert_eq!(hub.message_qps, 0);
    assert_eq!(config.modules.edge_stream.server, "10.0.0.1:10004");
    let edged = &config.modules.edged;
    assert_eq!(edged.hostname_override, "edge-1");
    assert_eq!(edged.tailored_kubelet_config.cgroup_driver, "cgroupfs");
    let labels: Vec<_> =
        edged.node_labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(labels, [("a", "1"), ("b", "yes"), ("node.role", "edge")]);
}

#[test]
fn quic_takes_the_given_port_and_the_name_of_the_machine_is_lower_case() {
    let mut join = args(&["--hub-protocol", "quic"]);
    join.node_name = None;
    let config = config::configuration(&join, "Edge-7", &Facts::default()).unwrap();
    let hub = &config.modules.edge_hub;
    assert_eq!((hub.quic.enable, hub.quic.server.as_str()), (true, "10.0.0.1:10000"));
    assert_eq!((hub.websocket.enable, hub.websocket.server.as_str()), (false, "10.0.0.1:10000"));
    assert_eq!(config.modules.edged.hostname_override, "edge-7");
}

#[tokio::test]
async fn what_stands_in_the_way_is_found_before_anything_is_changed() {
    let running = Facts { processes: ["edgecore"].into(), ..machine(&[]) };
    let no_binary = Facts { files: [(CONTAINERD.into(), String::new())].into(), ..Facts::default() };
    let no_runtime = Facts { files: [(EDGECORE.into(), String::new())].into(), ..Facts::default() };
    for (facts, more, part, is_usage) in [
        (running, &[][..], "edgecore is already running", false),
        (machine(&["/etc/kubeedge/config/edgecore.yaml"]), &[], "/etc/kubeedge must be empty", false),
        (no_binary, &[], "/usr/local/bin/edgecore is not there", false),
        (no_runtime, &[], "no container runtime at /run/containerd/containerd.sock", false),
        (machine(&[]), &["--set", "modules.edgeHub.hartbeat=1"], "did you mean heartbeat?", true),
        (machine(&[]), &["--set", "a"], r#"--set a: key "a" has no value"#, true),
        (machine(&[]), &["--set", "modules.edged.hostnameOverride=Edge_1"], "hostnameOverride", true),
    ] {
        let (_, result, changes) = run(facts, more).await;
        let error = result.expect_err(part);
        assert!(format!("{error:#}").contains(part), "{error:#}");
        assert!(hint::of(&error).is_some(), "{part}");
        assert_eq!(hint::is_usage(&error), is_usage, "{part}");
        assert_eq!(changes, [], "{part}");
    }
}

#[tokio::test]
async fn a_name_is_free_only_when_the_cloud_says_so() {
    let answers = |status: StatusCode| Answers([(NODE_URL, answer(status, "text"))].into());
    let check = async |web: Answers| check_name(&web, SERVER, "edge-1", CA.cert_der()).await;
    check(answers(StatusCode::NOT_FOUND)).await.unwrap();
    for (web, part) in [
        (answers(StatusCode::OK), "has a node edge-1 already"),
        (answers(StatusCode::INTERNAL_SERVER_ERROR), "answers 500"),
        (Answers::default(), "connection refused"),
    ] {
        let error = check(web).await.unwrap_err();
        assert!(format!("{error:#}").contains(part), "{error:#}");
        assert!(hint::of(&error).is_some(), "{part}");
    }
}

#[tokio::test]
async fn only_the_cloud_of_the_token_is_joined() {
    let token = JoinToken::parse(&token()).unwrap();
    let found = authority(&Answers([(CA_URL, ca_answer())].into()), SERVER, &token).await.unwrap();
    assert_eq!(&found, CA.cert_der());

    let other = Ca::generate(Timestamp::now()).unwrap().cert_der().to_vec();
    for (web, part) in [
        (Answers([(CA_URL, answer(StatusCode::OK, other))].into()), "is not the cloud of this token"),
        (Answers([(CA_URL, answer(StatusCode::NOT_FOUND, "no"))].into()), "is not the cloud of this token"),
        (Answers::default(), "connection refused"),
    ] {
        let error = authority(&web, SERVER, &token).await.unwrap_err();
        assert!(format!("{error:#}").contains(part), "{error:#}");
        assert!(hint::of(&error).is_some(), "{part}");
    }
}

/// On a machine where the certificate appears elsewhere than in an empty `/etc/kubeedge`, as one cannot appear there
/// while nothing is really done.
#[tokio::test(start_paused = true)]
async fn joining_goes_all_its_way_and_leaves_no_token_file_when_it_fails() {
    let files = "modules.edgeHub.tlsCaFile=/pki/ca.crt,modules.edgeHub.tlsCertFile=/pki/node.crt,\
                 modules.edgeHub.tlsPrivateKeyFile=/pki/node.key";
    let join = args(&["--set", files]);
    let daemon = Daemon { name: "edgecore", program: EDGECORE.into(), config: EDGECORE_YAML.into() };
    for (readyz, text) in [(StatusCode::OK, "ok"), (StatusCode::SERVICE_UNAVAILABLE, "not ready: edged")] {
        let host =
            Recording::acting(machine(&["/pki/ca.crt", "/pki/node.crt", "/pki/node.key"]), Printer::quiet());
        let web = Answers(
            [
                (CA_URL, ca_answer()),
                (NODE_URL, answer(StatusCode::NOT_FOUND, "")),
                ("http://127.0.0.1:10352/readyz", answer(readyz, text)),
            ]
            .into(),
        );
        let printer = Printer::capturing();
        let joining = Joining { host: &host, web: &web, daemon: &daemon, join: &join, printer: &printer };
        let result = joining.all().await;
        assert_eq!(result.is_ok(), readyz == StatusCode::OK, "{result:?}");
        assert_eq!(printer.captured().contains("this machine is edge node edge-1"), result.is_ok());
        assert_eq!(host.changes().last(), Some(&Change::Remove(BOOTSTRAP.into())));
    }
}

#[tokio::test(start_paused = true)]
async fn joined_is_with_the_certificate_and_ready() {
    const READYZ: &str = "http://127.0.0.1:10352/readyz";
    let certificate =
        ["/etc/kubeedge/ca/rootCA.crt", "/etc/kubeedge/certs/server.crt", "/etc/kubeedge/certs/server.key"];
    let daemon = Daemon { name: "edgecore", program: EDGECORE.into(), config: EDGECORE_YAML.into() };
    let wait = async |files: &[&str], status: StatusCode| {
        let host = Recording::new(machine(files), Printer::quiet());
        let web = Answers([(READYZ, answer(status, "not ready: edgehub"))].into());
        wait_until_joined(&host, &web, &daemon, &EdgeCore::default(), &Printer::quiet()).await
    };
    wait(&certificate, StatusCode::OK).await.unwrap();
    let error = wait(&certificate, StatusCode::SERVICE_UNAVAILABLE).await.unwrap_err();
    assert_eq!(error.to_string(), "edgecore: not ready: edgehub, after 60 s");
    let error = wait(&certificate[..2], StatusCode::OK).await.unwrap_err();
    assert_eq!(error.to_string(), "edgecore: /etc/kubeedge/certs/server.key is not there yet, after 300 s");
}
