use clap::Parser as _;

use super::*;
use crate::args::{Args, Command};
use crate::hint;
use crate::host::Facts;

async fn run_on(facts: &Facts, args: &[&str]) -> anyhow::Error {
    let Command::Init(init) = Args::try_parse_from(["keadm", "init"].iter().chain(args)).unwrap().command
    else {
        panic!("not init")
    };
    run(&init, facts, &Printer::quiet()).await.unwrap_err()
}

#[tokio::test]
async fn what_is_wrong_with_the_command_line_is_said_before_a_cluster_is_asked() {
    let address = ["--advertise-address", "10.0.0.1"];
    for (args, part) in [
        (&[][..], "the addresses that edge nodes reach CloudCore at are not given"),
        (&address[..], "no cluster is known: /root/.kube/config is not there"),
        (
            &["--advertise-address", "10.0.0.1", "--set", "cloudCore.replica=2"],
            "cloudCore.replica: unknown key",
        ),
        (&["--advertise-address", "10.0.0.1", "-f", "/none"], "/none is not there"),
    ] {
        let error = run_on(&Facts::default(), args).await;
        assert!(format!("{error:#}").contains(part), "{error:#}");
        assert!(hint::is_usage(&error), "{part}");
        assert!(hint::of(&error).is_some(), "{part}");
    }
}
