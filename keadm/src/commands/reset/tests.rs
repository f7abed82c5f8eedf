use clap::Parser as _;

use super::*;
use crate::args::{Args, Command};
use crate::hint;
use crate::host::{Change, Facts, Recording};

mod seen;

fn machine(files: &[&str]) -> Facts {
    let files = files.iter().map(|file| (PathBuf::from(file), String::new()));
    Facts { files: files.collect(), ..Facts::default() }
}

fn node() -> Facts {
    machine(&[
        EDGECORE_YAML,
        "/etc/kubeedge/manifests/static.yaml",
        "/var/lib/kubeedge/edgecore.db",
        "/var/lib/kubelet/pods/1/etc-hosts",
        "/run/containerd/containerd.sock",
    ])
}

async fn run(facts: Facts, args: &[&str]) -> (String, anyhow::Result<()>, Vec<Change>) {
    let Command::Reset(reset) = Args::try_parse_from(["keadm", "reset"].iter().chain(args)).unwrap().command
    else {
        panic!("not reset")
    };
    let printer = Printer::capturing();
    let host = Recording::new(facts, printer.clone());
    let confirm = || panic!("a dry run asks nothing");
    let resetting = Resetting { host: &host, reset: &reset, printer: &printer, confirm: &confirm };
    let result = resetting.all().await;
    (printer.captured(), result, host.changes())
}

fn removed(changes: &[Change]) -> Vec<&str> {
    let removed = changes.iter().filter_map(|change| match change {
        Change::Remove(path) => path.to_str(),
        _ => None,
    });
    removed.collect()
}

#[tokio::test]
async fn a_node_is_taken_apart_in_order() {
    let (shown, result, _) = run(node(), &[]).await;
    result.unwrap();
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn programs_that_join_took_out_of_a_bundle_go_and_no_others() {
    let list = "/usr/local/bin/edgecore\n/etc/passwd\n/usr/local/bin/../../../etc\n";
    let mut facts = node();
    facts.files.extend(
        [(INSTALLED, list), ("/usr/local/bin/edgecore", ""), ("/usr/local/bin/keadm", "")]
            .map(|(path, text)| (PathBuf::from(path), text.to_owned())),
    );
    let (_, result, changes) = run(facts, &[]).await;
    result.unwrap();
    let removed = removed(&changes);
    assert!(removed.contains(&"/usr/local/bin/edgecore"), "{removed:?}");
    assert!(
        !removed.iter().any(|path| path.ends_with("keadm") || path.contains("..") || *path == "/etc/passwd"),
        "{removed:?}"
    );
}

#[tokio::test]
async fn a_unit_is_stopped_disabled_and_removed() {
    let unit = "/etc/systemd/system/cloudcore.service";
    let facts = Facts { systemd: true, ..machine(&[CLOUDCORE_YAML, unit, "/var/lib/kubelet/config.yaml"]) };
    let (shown, result, changes) =
        run(facts, &["--pre-run", "/opt/before.sh", "--post-run", "/opt/after.sh"]).await;
    result.unwrap();
    insta::assert_snapshot!(shown);
    // A cloud machine may be a node of the cluster: kubelet's folder is not ours there.
    assert_eq!(removed(&changes), [unit, ETC]);
}

#[tokio::test]
async fn a_machine_that_never_was_a_node_keeps_its_pods_and_kubelet() {
    let facts =
        machine(&["/run/containerd/containerd.sock", "/var/lib/kubelet/config.yaml", "/etc/kubeedge/ca/x"]);
    let (_, result, changes) = run(facts, &["edge"]).await;
    result.unwrap();
    assert_eq!(removed(&changes), [ETC]);
    assert!(!changes.iter().any(|change| matches!(change, Change::RemovePods(_))), "{changes:?}");
}

#[tokio::test]
async fn the_role_is_what_is_there() {
    let (shown, result, changes) = run(machine(&[]), &[]).await;
    result.unwrap();
    assert!(shown.contains("nothing to reset"), "{shown}");
    assert_eq!(changes, []);
    let running = Facts { processes: ["edgecore"].into(), ..Facts::default() };
    let (shown, result, _) = run(running, &[]).await;
    result.unwrap();
    assert!(shown.contains("stopping edgecore"), "{shown}");
    let (_, result, changes) = run(machine(&[CLOUDCORE_YAML, EDGECORE_YAML]), &[]).await;
    let error = result.unwrap_err();
    assert!(hint::is_usage(&error) && hint::of(&error).is_some());
    assert_eq!(changes, []);
}

#[tokio::test]
async fn the_runtime_is_the_given_one_else_that_of_the_node() {
    let mut facts = machine(&["/run/own.sock", "/run/given.sock"]);
    let yaml =
        "modules: {edged: {tailoredKubeletConfig: {containerRuntimeEndpoint: unix:///run/own.sock}}}\n";
    facts.files.insert(EDGECORE_YAML.into(), yaml.to_owned());
    for (args, socket) in [
        (&[][..], "/run/own.sock"),
        (&["--remote-runtime-endpoint", "unix:///run/given.sock"], "/run/given.sock"),
    ] {
        let (_, result, changes) = run(facts.clone(), args).await;
        result.unwrap();
        assert!(changes.contains(&Change::RemovePods(socket.into())), "{changes:?}");
    }
}

#[tokio::test]
async fn without_force_nothing_happens_unless_the_user_says_yes() {
    for (force, answer, goes_on) in [(false, true, true), (false, false, false), (true, false, true)] {
        let words: &[&str] = if force { &["keadm", "reset", "--force"] } else { &["keadm", "reset"] };
        let Command::Reset(reset) = Args::try_parse_from(words).unwrap().command else { panic!("not reset") };
        let host = Recording::acting(node(), Printer::quiet());
        let confirm = || Ok(answer);
        let resetting =
            Resetting { host: &host, reset: &reset, printer: &Printer::quiet(), confirm: &confirm };
        assert_eq!(resetting.all().await.is_ok(), goes_on, "force {force}, answer {answer}");
        assert_eq!(!host.changes().is_empty(), goes_on, "force {force}, answer {answer}");
    }
}

#[tokio::test]
async fn what_does_not_work_is_said_and_the_rest_is_done() {
    // Somebody else's edgecore survives: it is no child of ours and has no pid file.
    let facts = Facts { processes: ["edgecore"].into(), ..node() };
    let printer = Printer::capturing();
    let host = Recording::acting(facts, Printer::quiet());
    let Command::Reset(reset) = Args::try_parse_from(["keadm", "reset", "--force"]).unwrap().command else {
        panic!("not reset")
    };
    let confirm = || panic!("--force asks nothing");
    let resetting = Resetting { host: &host, reset: &reset, printer: &printer, confirm: &confirm };
    let error = resetting.all().await.unwrap_err();
    assert_eq!(error.to_string(), "1 steps did not work, see above");
    assert!(printer.captured().contains("could not stop edgecore: one that keadm did not start still runs"));
    assert!(removed(&host.changes()).contains(&ETC));
}
