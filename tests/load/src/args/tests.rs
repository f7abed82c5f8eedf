use clap::CommandFactory as _;

use super::*;

const HUB: [&str; 4] = ["--server", "hub:10000", "--https", "hub:10002"];

fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(["hollow-edge"].iter().chain(words))
}

fn target(words: &[&str]) -> Target {
    let words: Vec<&str> = ["connect-storm"].into_iter().chain(HUB).chain(words.iter().copied()).collect();
    match parse(&words).unwrap().command {
        Command::ConnectStorm(plain) => plain.target,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_command_line_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn nodes_are_named_by_number() {
    let target = target(&["--nodes", "3", "--first-index", "7", "--name-prefix", "h-"]);
    assert_eq!(target.names().collect::<Vec<_>>(), ["h-7", "h-8", "h-9"].map(Box::from));
}

#[test]
fn nodes_speak_as_often_as_stock_ones() {
    let timing = target(&[]).timing();
    let seconds = [timing.keepalive, timing.lease, timing.status].map(|time| time.as_secs());
    assert_eq!(seconds, [15, 10, 300]);
}

#[test]
fn lists_are_separated_by_commas() {
    let target = target(&["--source-ips", "127.0.0.1,127.0.0.2"]);
    assert_eq!(target.source_ips, ["127.0.0.1", "127.0.0.2"].map(|ip| ip.parse::<IpAddr>().unwrap()));
    let words = ["malicious", "--attacks", "garbage,slow-tls"].into_iter().chain(HUB).collect::<Vec<_>>();
    let Command::Malicious(malicious) = parse(&words).unwrap().command else { panic!("another command") };
    assert_eq!(malicious.attacks, [Attack::Garbage, Attack::SlowTls]);
}

#[test]
fn output_may_stand_anywhere() {
    let words: Vec<&str> = ["idle", "--for", "1m30s", "--output", "json"].into_iter().chain(HUB).collect();
    let cli = parse(&words).unwrap();
    assert_eq!(cli.output, Format::Json);
    let Command::Idle(idle) = cli.command else { panic!("another command") };
    assert_eq!(idle.duration, Duration::from_secs(90));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for words in [
        &["connect-storm"] as &[&str],
        &["connect-storm", "--server", "hub:1"],
        &["idle", "--server", "h:1", "--https", "h:2", "--for", "soon"],
        &["malicious", "--server", "h:1", "--https", "h:2", "--attacks", "kindness"],
        &["connect-storm", "--server", "h:1", "--https", "h:2", "--dialect", "latin"],
    ] {
        assert!(parse(words).is_err(), "{words:?}");
    }
}
