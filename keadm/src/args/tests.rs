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

#[test]
fn the_help_of_each_command() {
    let mut command = Args::command();
    command.build();
    insta::assert_snapshot!("help", command.render_help());
    for name in ["ban", "gettoken", "init", "join", "mapper", "reset", "unban"] {
        let command = command.find_subcommand_mut(name).unwrap();
        insta::assert_snapshot!(format!("help_{name}"), command.render_help());
    }
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
