use clap::{CommandFactory as _, Parser as _};

use super::{Args, Command, Join};

/// `T` in `args` stands for a token.
fn join(args: &str) -> Result<Join, clap::Error> {
    let token = format!("{}.a.b.c", "0".repeat(64));
    let args = args.split_whitespace().map(|word| if word == "T" { &token } else { word });
    let words = ["keadm", "join"].into_iter().chain(args);
    match Args::try_parse_from(words)?.command {
        Command::Join(join) => Ok(*join),
        other => panic!("not join: {other:?}"),
    }
}

/// Every command, with its words.
fn commands(command: &clap::Command, words: &str, each: &mut dyn FnMut(&str, &clap::Command)) {
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        let words = format!("{words}{}", below.get_name());
        each(&words, below);
        commands(below, &format!("{words}_"), each);
    }
}

#[test]
fn the_help_of_each_command() {
    let mut command = Args::command();
    command.build();
    insta::assert_snapshot!("help", command.render_help());
    commands(&command, "", &mut |words, command| {
        insta::assert_snapshot!(format!("help_{words}"), command.clone().render_help());
    });
}

#[test]
fn the_command_line_is_sound() {
    Args::command().debug_assert();
}

/// Those that cannot have one say why.
#[test]
fn every_command_has_a_dry_run_and_a_format() {
    let mut command = Args::command();
    command.build();
    commands(&command, "", &mut |words, command| {
        let has = |name: &str| command.get_arguments().any(|arg| arg.get_long() == Some(name));
        // The demo and a mapper's project are no installation.
        let is_exempt = ["demo", "mapper"].iter().any(|exempt| words.starts_with(exempt));
        if !command.has_subcommands() && !is_exempt {
            assert!(has("dry-run"), "{words} has no --dry-run");
            assert!(has("output") || words == "completion", "{words} has no --output");
        }
    });
}

fn parsed(words: &str) -> Args {
    Args::try_parse_from(std::iter::once("keadm").chain(words.split_whitespace()))
        .unwrap_or_else(|error| panic!("{words}: {error}"))
}

/// Command lines of scripts for stock keadm 1.18 to 1.23.
#[test]
fn what_scripts_for_stock_pass_is_taken() {
    let token = format!("{}.a.b.c", "0".repeat(64));
    for words in [
        "version",
        "gettoken --kube-config=/root/.kube/config",
        "join --cloudcore-ipport=10.0.0.1:10000 --token=T --kubeedge-version=v1.18.0 --edgenode-name=edge-1 --cgroupdriver=systemd --remote-runtime-endpoint=unix:///run/containerd/containerd.sock --with-mqtt=false",
        "join -e h:1 -t T --tarballpath /etc/kubeedge --certPath /etc/kubeedge/certs --image-repository r --hub-protocol quic -l a=b",
        "join -e h:1 -t T --sets a=1 --set-string b=2 --set-file c=d --set-json e={} --set-literal f=g -f v.yaml --values w.yaml",
        "reset --force --kube-config=/root/.kube/config --remote-runtime-endpoint=unix:///run/c.sock",
        "reset edge --force --pre-run a --post-run b",
        "reset cloud --kube-config=/root/.kube/config --force",
        "upgrade edge --upgradeID 1 --historyID 2 --fromVersion v1.22.0 --toVersion v1.23.0 --config /etc/kubeedge/config/edgecore.yaml --image kubeedge/installation-package",
        "upgrade edge --force --toVersion v1.23.0 --image-digest sha256:x --disable-backup --type upgrade",
        "upgrade cloud --kubeedge-version v1.23.0 --advertise-address 10.0.0.1 --kube-config /root/.kube/config -d --set a=b --values v.yaml --force --profile version=v1.23.0 --reuse-values --print-final-values --image-repository r",
        "backup edge --config /etc/kubeedge/config/edgecore.yaml",
        "rollback edge --historical-version v1.22.0 --pre-run a",
        "config-update --set modules.edgeHub.heartbeat=30,modules.edgeHub.messageQPS=10",
        "config images list --kubeedge-version v1.23.0 --image-repository r --part edge",
        "config images pull --remote-runtime-endpoint unix:///run/c.sock --part cloud",
        "debug get all -A -o wide",
        "debug get pods -n kubeedge -l app=web -o yaml -p /var/lib/kubeedge/edgecore.db",
        "debug get secret my-secret --edgedb-path /x.db",
        "debug check all",
        "debug check dns -d www.github.com -D 8.8.8.8",
        "debug check network -i 8.8.8.8 -s https://10.0.0.1:10002",
        "debug diagnose node --config /etc/kubeedge/config/edgecore.yaml",
        "debug diagnose pod web -n default",
        "debug diagnose install -d www.github.com -D 8.8.8.8 -i 8.8.8.8 -s https://10.0.0.1:10002",
        "debug collect -d -o /tmp -l /var/log/kubeedge/ --config /etc/kubeedge/config/edgecore.yaml",
        "ctl get pod -A -o json",
        "ctl get device d1 d2 -n default -o yaml",
        "ctl describe pod web -n default --show-events=false --chunk-size 500",
        "ctl edit device d1 -n default",
        "ctl logs web -n default -c nginx -f -p --timestamps --tail=100 --since-second 10 --limit-bytes 1000 --insecure-skip-tls-verify-backend",
        "ctl exec web -n default -c nginx -i -t -- ls -l --color",
        "ctl exec web ls -l",
        "ctl restart pod a b -n default",
        "ctl confirm",
        "ctl unhold-upgrade pod web -n default",
        "ctl unhold-upgrade node",
        "batch -c config.yaml",
        "batch gen-config",
        "completion bash",
    ] {
        parsed(&words.replace("-t T", &format!("-t {token}")).replace("token=T", &format!("token={token}")));
    }
}

#[test]
fn a_command_in_a_container_keeps_its_flags() {
    for (words, command, container) in [
        ("ctl exec web -c nginx -- ls -l --color=x", &["ls", "-l", "--color=x"][..], Some("nginx")),
        ("ctl exec web -c nginx ls -c", &["ls", "-c"], Some("nginx")),
        ("ctl exec web ls -n x", &["ls", "-n", "x"], None),
    ] {
        let Command::Ctl(ctl) = parsed(words).command else { panic!("{words}") };
        let super::CtlAction::Exec(exec) = ctl.action else { panic!("{words}") };
        assert_eq!(exec.command, command, "{words}");
        assert_eq!(exec.container.as_deref(), container, "{words}");
    }
}

#[test]
fn flags_without_effect_are_said() {
    let notes = |words: &str| -> Vec<&str> { parsed(words).notes().iter().map(|note| note.flag).collect() };
    assert_eq!(notes("reset edge --kube-config x"), ["--kube-config"]);
    assert_eq!(notes("upgrade edge --image x --force"), ["--image"]);
    assert!(notes("upgrade edge --force").is_empty());
}

#[test]
fn stock_flags_in_their_short_forms() {
    let join =
        join("-e 10.0.0.1:10000 -i edge-1 -t T -s 30002 -p unix:///run/c.sock -l a=b,c=d -l e=f=g").unwrap();
    assert_eq!(join.cloudcore.as_str(), "10.0.0.1:10000");
    assert_eq!(join.node_name.as_deref(), Some("edge-1"));
    assert_eq!(join.certport, 30002);
    assert_eq!(join.remote_runtime_endpoint, "unix:///run/c.sock");
    let labels: Vec<_> = join.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(labels, [("a", "b"), ("c", "d"), ("e", "f=g")]);
}

#[test]
fn flags_that_have_no_effect_here_are_accepted() {
    join("-e h:1 -t T --kubeedge-version 1.23.0 --image-repository r --certPath /etc/kubeedge/certs")
        .unwrap();
}

#[test]
fn a_set_may_hold_commas_and_be_given_again() {
    let join = join("-e h:1 -t T --set a=1,b={1,2} --set c=3").unwrap();
    assert_eq!(join.set, ["a=1,b={1,2}", "c=3"]);
}

#[test]
fn mistakes_are_usage_errors() {
    for args in [
        "",
        "-e h:1",
        "-e h:1 -t not-a-token",
        "-e h -t T",
        "-e h:0 -t T",
        "-e h:99999 -t T",
        "-e u@h:1 -t T",
        "-e :1 -t T",
        "-e h:1 -t T -l a",
        "-e h:1 -t T -l =a",
        "-e h:1 -t T --cgroupdriver docker",
        "-e h:1 -t T --hub-protocol mqtt",
        "-e h:1 -t T -s 70000",
        "-e h:1 -t T --unknown",
    ] {
        assert_eq!(join(args).expect_err(args).exit_code(), 2, "{args}");
    }
}

#[test]
fn a_host_may_be_a_name_or_of_either_family() {
    for host in ["cloud.example:10000", "10.0.0.1:10000", "[fd00::1]:10000"] {
        assert_eq!(join(&format!("-e {host} -t T")).unwrap().cloudcore.as_str(), host);
    }
}
