use clap::Parser as _;

use super::super::installation::BACKUPS;
use super::super::testing::{Pages, terminal};
use super::*;
use crate::args::{Args, Command, UpgradeWhat};
use crate::bundle::testing;
use crate::host::{Change, Facts, Recording};

const CONFIG: &str = "/etc/kubeedge/config/edgecore.yaml";
const REPORT: &str = "/etc/kubeedge/upgrade_report.json";
const UNIT: &str = "[Service]\nExecStart=/usr/local/bin/edgecore\n";

/// A node of stock KubeEdge, with our binary beside.
fn machine() -> Facts {
    let files = [
        (CONFIG, "modules: {}\n"),
        ("/etc/systemd/system/edgecore.service", UNIT),
        ("/usr/local/bin/edgecore", ""),
        ("/opt/edgecore", ""),
        ("/var/lib/kubeedge/edgecore.db", ""),
        ("/etc/kubeedge/ca/rootCA.crt", ""),
        ("/etc/kubeedge/certs/server.crt", ""),
        ("/etc/kubeedge/certs/server.key", ""),
    ];
    let answers = [
        ("/usr/local/bin/edgecore --version", "KubeEdge v1.23.0\n"),
        ("/opt/edgecore --version", "edgecore 0.1.0\n"),
    ];
    Facts {
        systemd: true,
        processes: ["edgecore"].into(),
        files: files.map(|(path, text)| (path.into(), text.to_owned())).into(),
        answers: answers.map(|(line, said)| (line.to_owned(), said.to_owned())).into(),
        ..Facts::default()
    }
}

fn upgrade(more: &[&str]) -> UpgradeEdge {
    let given: &[&str] = if more.contains(&"--bundle") { &[] } else { &["--bin-dir", "/opt"] };
    match Args::try_parse_from(["keadm", "upgrade", "edge"].iter().chain(given).chain(more)).unwrap().command
    {
        Command::Upgrade(upgrade) => match upgrade.what {
            UpgradeWhat::Edge(edge) => *edge,
            UpgradeWhat::Cloud(_) => panic!("not edge"),
        },
        other => panic!("not upgrade: {other:?}"),
    }
}

async fn run(facts: Facts, web: Pages, more: &[&str]) -> (String, anyhow::Result<()>, Vec<Change>) {
    run_refusing(&[], facts, web, more).await
}

async fn run_refusing(
    refused: &[Change],
    facts: Facts,
    web: Pages,
    more: &[&str],
) -> (String, anyhow::Result<()>, Vec<Change>) {
    let printer = Printer::capturing();
    let upgrade = upgrade(more);
    let host = if upgrade.acting.dry_run {
        Recording::new(facts, printer.clone())
    } else {
        Recording::acting(facts, printer.clone())
    };
    let host = refused.iter().cloned().fold(host, Recording::refusing);
    let confirm = || Ok(false);
    let bundle = upgrade.bundle.as_deref().map(|file| Bundle::open(file).unwrap());
    let new =
        Path::new(if bundle.is_some() { "/var/lib/kubeedge/upgrade/edgecore" } else { "/opt/edgecore" });
    let result = async {
        let node = Node::find(&host, &web, &printer, &upgrade.config)?;
        let order = Order::of_edge(&upgrade);
        Upgrading { core: &node.core, new, bundle: bundle.as_ref(), order, confirm: &confirm }.all().await
    };
    let result = result.await;
    (terminal(&printer, &result), result, host.changes())
}

fn reported(changes: &[Change]) -> serde_json::Value {
    let text = changes.iter().find_map(|change| match change {
        Change::Write { path, text, .. } if path == Path::new(REPORT) => Some(text.clone()),
        _ => None,
    });
    serde_json::from_str(&text.expect("a report")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_stock_node_becomes_ours_with_one_back_up() {
    let (shown, result, changes) = run(machine(), Pages::healthy(), &["--force"]).await;
    result.unwrap();
    insta::assert_snapshot!(shown);
    let report = reported(&changes);
    assert_eq!(
        (&report["success"], &report["fromVersion"], &report["toVersion"]),
        (&true.into(), &"v1.23.0".into(), &"v0.1.0".into())
    );
    let backups = changes
        .iter()
        .filter(|change| matches!(change, Change::MakeDir(folder) if folder.starts_with(BACKUPS)));
    assert_eq!(backups.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_come_up_is_taken_back() {
    // Alive once before, then never, until the old one is there again.
    let silent: Vec<(u16, &str)> =
        std::iter::repeat_n((503, "syncloop: edged's loop does not go round"), 602 * 2)
            .chain([(200, "ok")])
            .collect();
    let web = Pages::new(&[("/healthz", &silent), ("/readyz", &[(200, "ok")])]);
    let mut facts = machine();
    let backup = Path::new(BACKUPS).join("v1.23.0");
    for name in ["edgecore", "edgecore.yaml", "edgecore.db"] {
        facts.files.insert(backup.join(name), String::new());
    }
    let (shown, result, changes) = run(facts, web, &["--force"]).await;
    insta::assert_snapshot!(shown);
    assert!(result.is_err());
    let report = reported(&changes);
    assert_eq!(report["success"], false);
    assert!(report["errorMessage"].as_str().unwrap().contains("v1.23.0 runs again"), "{report}");
    let binary = |change: &&Change| matches!(change, Change::Copy { to, .. } if to == Path::new("/usr/local/bin/edgecore"));
    let from: Vec<_> = changes.iter().filter(binary).cloned().collect();
    assert!(
        matches!(&from[..], [Change::Copy { from: new, .. }, Change::Copy { from: old, .. }]
        if new == Path::new("/opt/edgecore") && *old == backup.join("edgecore")),
        "{from:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_changes_nothing_and_shows_everything() {
    let (shown, result, _) =
        run(machine(), Pages::healthy(), &["--dry-run", "--image", "x", "--disable-backup"]).await;
    result.unwrap();
    insta::assert_snapshot!(shown);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_is_refused_before_anything_is_touched() {
    let mut no_binary = machine();
    no_binary.files.remove(Path::new("/opt/edgecore"));
    let mut other_processor = machine();
    other_processor.answers.remove("/opt/edgecore --version");
    let mut no_node = machine();
    no_node.files.remove(Path::new(CONFIG));
    for (name, facts, more) in [
        ("no_binary", no_binary, &["--force"][..]),
        ("other_processor", other_processor, &["--force"]),
        ("no_node", no_node, &["--force"]),
        ("another_version", machine(), &["--force", "--toVersion", "v0.2.0"]),
        ("not_confirmed", machine(), &[]),
    ] {
        let (shown, result, changes) = run(facts, Pages::healthy(), more).await;
        assert!(result.is_err(), "{name}");
        assert_eq!(changes, [], "{name}");
        insta::assert_snapshot!(name, shown);
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_version_is_left_alone() {
    let mut facts = machine();
    facts.answers.insert("/usr/local/bin/edgecore --version".into(), "edgecore 0.1.0\n".into());
    let (shown, result, changes) = run(facts, Pages::healthy(), &[]).await;
    result.unwrap();
    assert!(shown.contains("nothing is done"), "{shown}");
    assert_eq!(changes, []);
}

/// A bundle of version 0.2.0, and a node on which its program says that it is this one.
fn bundled(says: &str) -> (tempfile::TempDir, String, Facts) {
    let dir = testing::things();
    let file = testing::made(dir.path()).to_str().unwrap().to_owned();
    let mut facts = machine();
    facts.answers.insert("/var/lib/kubeedge/upgrade/edgecore --version".into(), format!("edgecore {says}\n"));
    (dir, file, facts)
}

#[tokio::test(start_paused = true)]
async fn the_new_binary_may_come_in_a_bundle() {
    let (dir, file, facts) = bundled("0.2.0");
    let (shown, result, changes) = run(facts, Pages::healthy(), &["--force", "--bundle", &file]).await;
    result.unwrap();
    insta::assert_snapshot!(shown.replace(dir.path().to_str().unwrap(), "/media"));
    let at = |wanted: fn(&Change) -> bool| changes.iter().position(wanted).unwrap();
    let unpacked = at(|change| matches!(change, Change::Unpack { entry, .. } if entry == EDGECORE));
    let stopped = at(|change| *change == Change::Run("systemctl stop edgecore".into()));
    let gone = at(|change| *change == Change::Remove("/var/lib/kubeedge/upgrade".into()));
    assert!(unpacked < stopped && stopped < gone, "{changes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_is_not_what_it_says_leaves_the_node_as_it_is() {
    let (_dir, file, facts) = bundled("0.3.0");
    let (_, result, changes) = run(facts, Pages::healthy(), &["--force", "--bundle", &file]).await;
    assert!(result.unwrap_err().to_string().contains("its edgecore is v0.3.0"));
    assert!(
        !changes.iter().any(|change| matches!(change, Change::Run(_) | Change::Copy { .. })),
        "{changes:?}"
    );
    assert_eq!(changes.last(), Some(&Change::Remove("/var/lib/kubeedge/upgrade".into())));
    let (_dir, file, facts) = bundled("0.2.0");
    let words = ["--force", "--bundle", &file, "--toVersion", "0.9.0"];
    let (_, result, changes) = run(facts, Pages::healthy(), &words).await;
    assert!(result.unwrap_err().to_string().contains("is v0.2.0, not 0.9.0"));
    assert_eq!(changes, []);
}

#[tokio::test(start_paused = true)]
async fn why_it_has_failed_is_said_whatever_fails_after_it() {
    let (_dir, file, facts) = bundled("0.3.0");
    let unpacked = Change::Remove("/var/lib/kubeedge/upgrade".into());
    let words = ["--force", "--bundle", &file];
    let (shown, result, _) = run_refusing(&[unpacked], facts, Pages::healthy(), &words).await;
    assert!(result.unwrap_err().to_string().contains("its edgecore is v0.3.0"), "{shown}");
    assert!(shown.contains("note: /var/lib/kubeedge/upgrade is left"), "{shown}");

    let no_back_up = Change::MakeDir(Path::new(BACKUPS).join("v0.1.0"));
    let no_start = Change::Run("systemctl start cloudcore".into());
    let (shown, result, _) =
        run_cloud_refusing(&[no_back_up.clone(), no_start.clone()], cloud_machine(), Pages::healthy(), &[])
            .await;
    let said = format!("{:#}", result.unwrap_err());
    for part in [no_back_up, no_start] {
        assert!(said.contains(&format!("{part}: refused")), "{shown}");
    }
}

/// A CloudCore with the control plane inside.
fn cloud_machine() -> Facts {
    let files = [
        ("/etc/kubeedge/config/cloudcore.yaml", "modules: {embedded: {enable: true}}\n"),
        ("/etc/systemd/system/cloudcore.service", "[Service]\nExecStart=/usr/local/bin/cloudcore\n"),
        ("/usr/local/bin/cloudcore", ""),
        ("/opt/cloudcore", ""),
        ("/var/lib/kubeedge/embedded/state.db", ""),
        ("/var/lib/kubeedge/embedded/ca.key", ""),
        ("/etc/kubeedge/ca/rootCA.key", ""),
    ];
    let answers = [
        ("/usr/local/bin/cloudcore --version", "cloudcore 0.1.0\n"),
        ("/opt/cloudcore --version", "cloudcore 0.2.0\n"),
    ];
    Facts {
        systemd: true,
        processes: ["cloudcore"].into(),
        files: files.map(|(path, text)| (path.into(), text.to_owned())).into(),
        answers: answers.map(|(line, said)| (line.to_owned(), said.to_owned())).into(),
        ..Facts::default()
    }
}

async fn run_cloud(facts: Facts, web: Pages, more: &[&str]) -> (String, anyhow::Result<()>, Vec<Change>) {
    run_cloud_refusing(&[], facts, web, more).await
}

async fn run_cloud_refusing(
    refused: &[Change],
    facts: Facts,
    web: Pages,
    more: &[&str],
) -> (String, anyhow::Result<()>, Vec<Change>) {
    let words = ["keadm", "upgrade", "cloud", "--bin-dir", "/opt", "--force"];
    let Command::Upgrade(upgrade) = Args::try_parse_from(words.iter().chain(more)).unwrap().command else {
        panic!("not upgrade")
    };
    let UpgradeWhat::Cloud(upgrade) = upgrade.what else { panic!("not cloud") };
    let printer = Printer::capturing();
    let host = refused.iter().cloned().fold(Recording::acting(facts, printer.clone()), Recording::refusing);
    let result = async {
        let core = cloud::find(&host, &web, &printer)?;
        let (new, order) = (Path::new("/opt/cloudcore"), Order::of_cloud(&upgrade)?);
        Upgrading { core: &core, new, bundle: None, order, confirm: &|| Ok(false) }.all().await
    };
    let result = result.await;
    (terminal(&printer, &result), result, host.changes())
}

#[tokio::test(start_paused = true)]
async fn a_cloud_is_at_rest_when_it_is_backed_up() {
    let (shown, result, changes) = run_cloud(cloud_machine(), Pages::healthy(), &[]).await;
    result.unwrap();
    insta::assert_snapshot!(shown);
    let at = |wanted: &dyn Fn(&Change) -> bool| changes.iter().position(wanted).unwrap();
    let stopped = at(&|change| *change == Change::Run("systemctl stop cloudcore".into()));
    let copied = at(&|change| matches!(change, Change::Snapshot { .. }));
    let started = at(&|change| *change == Change::Run("systemctl start cloudcore".into()));
    assert!(stopped < copied && copied < started, "{changes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_does_not_come_up_gets_its_database_back_and_the_newer_one_is_kept() {
    let silent: Vec<(u16, &str)> =
        std::iter::repeat_n((503, "not ready: embedded"), 602).chain([(200, "ok")]).collect();
    let web = Pages::new(&[("/healthz", &silent), ("/readyz", &[(200, "ok")])]);
    let mut facts = cloud_machine();
    let backup = Path::new(BACKUPS).join("v0.1.0");
    for name in ["cloudcore", "cloudcore.yaml", "state.db", "rootCA.key"] {
        facts.files.insert(backup.join(name), String::new());
    }
    let (shown, result, changes) = run_cloud(facts, web, &[]).await;
    insta::assert_snapshot!(shown);
    assert!(result.is_err());
    let database = Path::new("/var/lib/kubeedge/embedded/state.db");
    let newer = Change::Snapshot { database: database.into(), to: backup.join("state.db.replaced") };
    let kept = changes.iter().position(|change| *change == newer).unwrap();
    let back = |change: &Change| matches!(change, Change::Copy { to, .. } if to == database);
    assert!(kept < changes.iter().position(back).unwrap(), "{changes:?}");
    let key = |change: &&Change| matches!(change, Change::Copy { to, .. } if to == Path::new("/etc/kubeedge/ca/rootCA.key"));
    assert_eq!(changes.iter().filter(key).count(), 0, "the CA that is there stays");
}

/// An upgrade that goes back, on a machine that refuses this; which files were renamed, and whether the database came back.
async fn goes_back_refusing(refused: &[Change]) -> (String, Vec<(String, String)>, bool) {
    let silent: Vec<(u16, &str)> =
        std::iter::repeat_n((503, "not ready: embedded"), 602).chain([(200, "ok")]).collect();
    let web = Pages::new(&[("/healthz", &silent), ("/readyz", &[(200, "ok")])]);
    let mut facts = cloud_machine();
    let backup = Path::new(BACKUPS).join("v0.1.0");
    for name in ["cloudcore", "state.db"] {
        facts.files.insert(backup.join(name), String::new());
    }
    let (shown, result, changes) = run_cloud_refusing(refused, facts, web, &[]).await;
    result.unwrap_err();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let renamed = changes.iter().filter_map(|change| match change {
        Change::Rename { from, to } => Some((name(from), name(to))),
        _ => None,
    });
    let database = Path::new("/var/lib/kubeedge/embedded/state.db");
    let came_back = changes.iter().any(|change| matches!(change, Change::Copy { to, .. } if to == database));
    (shown, renamed.collect(), came_back)
}

#[tokio::test(start_paused = true)]
async fn going_back_does_not_need_a_newer_database_that_can_be_read_nor_room_for_a_copy_of_it() {
    let backup = Path::new(BACKUPS).join("v0.1.0");
    let database = Path::new("/var/lib/kubeedge/embedded/state.db");
    let snapshot = Change::Snapshot { database: database.into(), to: backup.join("state.db.replaced") };
    let (shown, renamed, came_back) = goes_back_refusing(std::slice::from_ref(&snapshot)).await;
    let aside = [
        ("state.db-wal".to_owned(), "state.db.replaced-wal".to_owned()),
        ("state.db-shm".to_owned(), "state.db.replaced-shm".to_owned()),
        ("state.db".to_owned(), "state.db.replaced".to_owned()),
    ];
    assert_eq!(renamed, aside, "{shown}");
    assert!(came_back && shown.contains("vVERSION runs again"), "{shown}");
    assert!(
        shown.contains("the file itself is kept, as /var/lib/kubeedge/embedded/state.db.replaced"),
        "{shown}"
    );

    // Not even room for the old one: the newer one is where it was, for an empty one would take its place.
    let copy = Change::Copy { from: backup.join("state.db"), to: database.into(), mode: crate::host::SECRET };
    let (shown, renamed, came_back) = goes_back_refusing(&[snapshot, copy]).await;
    let back = aside.clone().map(|(from, to)| (to, from));
    assert_eq!(renamed, [aside, back].concat(), "{shown}");
    assert!(!came_back && shown.contains("so did going back to vVERSION"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn flags_for_a_cluster_say_nothing_of_this_machine() {
    for more in [&["--set", "a=b"][..], &["--advertise-address", "10.0.0.1"], &["--image-repository", "r"]] {
        let (_, result, changes) = run_cloud(cloud_machine(), Pages::healthy(), more).await;
        assert!(crate::hint::is_usage(&result.unwrap_err()), "{more:?}");
        assert_eq!(changes, []);
    }
    let none = Facts::default();
    let (_, result, _) = run_cloud(none, Pages::healthy(), &[]).await;
    assert!(result.unwrap_err().to_string().contains("there is no CloudCore on this machine"));
}
