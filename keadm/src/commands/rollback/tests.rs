use std::path::Path;

use clap::Parser as _;

use super::super::testing::{Pages, terminal};
use super::*;
use crate::args::{Args, Command, RollbackWhat};
use crate::host::{Change, Facts, Recording};

fn machine() -> Facts {
    let files = [
        ("/etc/kubeedge/config/edgecore.yaml", "modules: {}\n"),
        ("/usr/local/bin/edgecore", ""),
        ("/etc/kubeedge/certs/server.crt", "newer"),
        ("/etc/kubeedge/backup/v1.22.0/edgecore", ""),
        ("/etc/kubeedge/backup/v0.1.0/edgecore", ""),
        ("/etc/kubeedge/backup/v0.1.0/backup.json", r#"{"version":"v0.1.0","time":"2026-11-27T09:00:00Z"}"#),
        ("/etc/kubeedge/backup/v0.0.9/edgecore", ""),
        ("/etc/kubeedge/backup/v0.0.9/edgecore.db", ""),
        ("/etc/kubeedge/backup/v0.0.9/edgecore.yaml", ""),
        ("/etc/kubeedge/backup/v0.0.9/server.crt", "older"),
        ("/etc/kubeedge/backup/v0.0.9/server.key", "gone meanwhile"),
        ("/etc/kubeedge/backup/v0.0.9/backup.json", r#"{"version":"v0.0.9","time":"2026-11-28T09:00:00Z"}"#),
    ];
    Facts {
        processes: ["edgecore"].into(),
        files: files.map(|(path, text)| (path.into(), text.to_owned())).into(),
        answers: [("/usr/local/bin/edgecore --version".to_owned(), "edgecore 0.1.0".to_owned())].into(),
        ..Facts::default()
    }
}

async fn run(facts: Facts, more: &[&str]) -> (String, anyhow::Result<()>, Vec<Change>) {
    let given = ["keadm", "rollback", "edge"];
    let rollback = match Args::try_parse_from(given.iter().chain(more)).unwrap().command {
        Command::Rollback(rollback) => match rollback.what {
            RollbackWhat::Edge(edge) => edge,
            RollbackWhat::Cloud(_) => panic!("not edge"),
        },
        other => panic!("not rollback: {other:?}"),
    };
    let printer = Printer::capturing();
    let host = Recording::acting(facts, printer.clone());
    let result = go_back_edge(&host, &Pages::healthy(), &rollback, &printer).await;
    (terminal(&printer, &result), result, host.changes())
}

fn put_back(changes: &[Change]) -> Vec<&Path> {
    let copies = changes.iter().filter_map(|change| match change {
        Change::Copy { to, .. } => Some(to.as_path()),
        _ => None,
    });
    copies.collect()
}

#[tokio::test(start_paused = true)]
async fn without_a_version_it_is_the_newest_back_up() {
    let (shown, result, changes) = run(machine(), &[]).await;
    result.unwrap();
    insta::assert_snapshot!(shown);
    // The certificate that is there is newer; the key has gone.
    let expected = [
        "/var/lib/kubeedge/edgecore.db",
        "/etc/kubeedge/certs/server.key",
        "/etc/kubeedge/config/edgecore.yaml",
        "/usr/local/bin/edgecore",
    ];
    assert_eq!(put_back(&changes), expected.map(Path::new));
}

#[tokio::test(start_paused = true)]
async fn a_version_may_be_named_with_and_without_its_v() {
    for version in ["v1.22.0", "1.22.0"] {
        let (_, result, changes) = run(machine(), &["--historical-version", version]).await;
        result.unwrap();
        assert_eq!(put_back(&changes), [Path::new("/usr/local/bin/edgecore")]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_back_up_that_is_not_there_is_refused() {
    let (shown, result, changes) = run(machine(), &["--historical-version", "v9"]).await;
    assert!(result.is_err());
    assert_eq!(changes, []);
    insta::assert_snapshot!(shown);
    let mut none = machine();
    none.files.retain(|path, _| !path.starts_with(super::super::installation::BACKUPS));
    let (shown, result, _) = run(none, &[]).await;
    assert!(result.is_err());
    insta::assert_snapshot!("there_is_no_back_up", shown);
}

/// A CloudCore with a control plane of its own, upgraded once.
fn cloud_machine() -> Facts {
    let files = [
        ("/etc/kubeedge/config/cloudcore.yaml", "modules: {embedded: {enable: true}}\n"),
        ("/var/lib/kubeedge/embedded/state.db", ""),
        ("/etc/kubeedge/backup/v0.1.0/cloudcore", ""),
        ("/etc/kubeedge/backup/v0.1.0/state.db", ""),
        ("/etc/kubeedge/backup/v0.1.0/backup.json", r#"{"version":"v0.1.0","time":"2026-11-27T09:00:00Z"}"#),
    ];
    Facts {
        processes: ["cloudcore"].into(),
        files: files.map(|(path, text)| (path.into(), text.to_owned())).into(),
        ..Facts::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_cloud_keeps_its_database_unless_told() {
    for (more, with_database) in [(&[][..], false), (&["--database"], true)] {
        let given = ["keadm", "rollback", "cloud"];
        let Command::Rollback(rollback) = Args::try_parse_from(given.iter().chain(more)).unwrap().command
        else {
            panic!("not rollback")
        };
        let RollbackWhat::Cloud(rollback) = rollback.what else { panic!("not cloud") };
        let host = Recording::acting(cloud_machine(), Printer::quiet());
        go_back_cloud(&host, &Pages::healthy(), &rollback, &Printer::quiet()).await.unwrap();
        let changes = host.changes();
        let put_back = put_back(&changes);
        assert_eq!(put_back.contains(&Path::new("/var/lib/kubeedge/embedded/state.db")), with_database);
        assert!(put_back.contains(&Path::new("/usr/local/bin/cloudcore")), "{put_back:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cloud_without_a_database_of_its_own_has_none_to_put_back() {
    let mut facts = cloud_machine();
    let config = Path::new("/etc/kubeedge/config/cloudcore.yaml");
    facts.files.insert(config.to_owned(), "modules: {embedded: {enable: false}}\n".to_owned());
    let Command::Rollback(rollback) =
        Args::try_parse_from(["keadm", "rollback", "cloud", "--database"]).unwrap().command
    else {
        panic!("not rollback")
    };
    let RollbackWhat::Cloud(mut rollback) = rollback.what else { panic!("not cloud") };
    let host = Recording::acting(facts, Printer::quiet());
    let error = go_back_cloud(&host, &Pages::healthy(), &rollback, &Printer::quiet()).await.unwrap_err();
    assert!(crate::hint::is_usage(&error), "{error:#}");
    assert!(error.to_string().contains("this CloudCore has no database"), "{error:#}");
    assert_eq!(host.changes(), []);
    rollback.database = false;
    go_back_cloud(&host, &Pages::healthy(), &rollback, &Printer::quiet()).await.unwrap();
}
