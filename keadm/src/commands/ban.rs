//! `keadm ban` and `keadm unban`

use anyhow::Context as _;
use certs::NodeIdentity;
use jiff::Timestamp;
use proto::ban::BanList;
use serde_json::{Value, json};

use super::gettoken::connect;
use crate::args;
use crate::bans::{Bans, Verdict};
use crate::hint::WithHint as _;
use crate::printer::Printer;

pub(super) async fn ban(ban: args::Ban, printer: &Printer) -> anyhow::Result<()> {
    let bans = Bans::new(connect(ban.cluster).await?.0);
    let Some(node) = &ban.node else {
        let list = bans.list().await?;
        return printer.data(&entries(&list), || table(&list));
    };
    check_name(node)?;
    if ban.acting.dry_run {
        printer.already(format_args!("would ban {node}, and end its connection"));
        return Ok(());
    }
    let verdict = Verdict::Ban { reason: &ban.reason };
    if bans.apply(node, verdict, Timestamp::now()).await.or_hint(never_ran)? {
        printer.step(format_args!(
            "banned {node}: its connection ends, its name and its certificates are refused"
        ));
    } else {
        printer.already(format_args!("{node} is banned already"));
    }
    if bans.annotate(node, Some(&ban.reason)).await? {
        printer.already(format_args!(
            "its pods stay bound to it; `kubectl delete node {node}` frees them for other nodes, and it stays banned"
        ));
    } else {
        printer.already(format_args!("there is no Node {node}; it stays banned should there be one"));
    }
    printer.already("join tokens from before count no more; `keadm gettoken` prints the new one");
    Ok(())
}

pub(super) async fn unban(unban: args::Unban, printer: &Printer) -> anyhow::Result<()> {
    let bans = Bans::new(connect(unban.cluster).await?.0);
    let node = &unban.node;
    check_name(node)?;
    if unban.acting.dry_run {
        printer.already(format_args!("would let {node} in again"));
        return Ok(());
    }
    // In this order: a Node that still says that it is banned would be banned again.
    bans.annotate(node, None).await?;
    let verdict = if unban.trust_certificates { Verdict::Forget } else { Verdict::Lift };
    if !bans.apply(node, verdict, Timestamp::now()).await.or_hint(never_ran)? {
        printer.already(format_args!("{node} is not banned"));
    } else if unban.trust_certificates {
        printer.step(format_args!("{node} may connect again with the certificate that it has"));
    } else {
        printer.step(format_args!("{node} may join again"));
        printer
            .already("certificates that it got before stay revoked: it needs `keadm join` with a new token");
    }
    Ok(())
}

fn check_name(node: &str) -> anyhow::Result<()> {
    NodeIdentity::new(node)
        .map(drop)
        .context("NODE")
        .usage(|| "`kubectl get nodes` lists the names of nodes".to_owned())
}

fn never_ran() -> String {
    "is this the cluster of the CloudCore, and may this user write to namespace kubeedge?".to_owned()
}

fn entries(list: &BanList) -> Value {
    let entries = list.iter().map(
        |(node, ban)| json!({"node": node, "since": ban.since, "lifted": ban.lifted, "reason": ban.reason}),
    );
    json!({"nodes": entries.collect::<Vec<_>>()})
}

fn table(list: &BanList) -> String {
    let row = |node: &str, state: &str, since: &str, reason: &str| {
        format!("{node:<24} {state:<8} {since:<21} {reason}\n")
    };
    let entries = list.iter().map(|(node, ban)| {
        let (state, since) = ban.lifted.map_or(("banned", ban.since), |lifted| ("lifted", lifted));
        row(node, state, &format!("{since:.0}"), &ban.reason)
    });
    std::iter::once(row("NODE", "STATE", "SINCE", "REASON")).chain(entries).collect()
}

#[cfg(test)]
mod tests {
    use proto::ban::Ban;

    use super::*;

    #[test]
    fn the_table_says_who_since_when_and_why() {
        let now: Timestamp = "2026-11-23T12:00:00.5Z".parse().unwrap();
        let mut list = BanList::default();
        list.ban("edge-1", Ban::new(now, "stolen from the depot"));
        list.ban("edge-2", Ban::new(now, ""));
        list.lift("edge-2", "2026-11-24T12:00:00Z".parse().unwrap());
        insta::assert_snapshot!(table(&list), @r"
        NODE                     STATE    SINCE                 REASON
        edge-1                   banned   2026-11-23T12:00:00Z  stolen from the depot
        edge-2                   lifted   2026-11-24T12:00:00Z  
        ");
    }

    #[test]
    fn a_name_that_no_node_can_have_is_refused_before_anything_is_asked() {
        for name in ["", "Edge_1", "../edge", "_tokens"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
