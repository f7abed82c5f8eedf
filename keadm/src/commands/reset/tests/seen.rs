//! What the user sees of failures that users of stock have met (numbers of its threads).

use super::super::super::testing::terminal;
use super::*;

#[tokio::test]
async fn failures_of_resetting() {
    for (name, facts, more) in [
        // One step that fails stopped the rest (kk#5069); EdgeCore still ran (kk#2141).
        ("kk5069_one_step_fails", Facts { processes: ["edgecore"].into(), ..node() }, &["--force"][..]),
        // The cloud was wiped from the edge, because a kubeconfig was there.
        (
            "kk4815_a_kubeconfig_on_an_edge_node",
            {
                let mut facts = node();
                facts.files.insert("/root/.kube/config".into(), String::new());
                facts
            },
            &["--force", "--kube-config", "/root/.kube/config"],
        ),
        ("both_cloud_and_edge", machine(&[CLOUDCORE_YAML, EDGECORE_YAML]), &[]),
        ("nothing_is_there", machine(&[]), &[]),
        ("not_confirmed", node(), &[]),
    ] {
        let Command::Reset(reset) =
            Args::try_parse_from(["keadm", "reset"].iter().chain(more)).unwrap().command
        else {
            panic!("not reset")
        };
        let printer = Printer::capturing();
        let host = Recording::acting(facts, printer.clone());
        let confirm = || Ok(false);
        let resetting = Resetting { host: &host, reset: &reset, printer: &printer, confirm: &confirm };
        let result = resetting.all().await;
        insta::assert_snapshot!(name, terminal(&printer, &result));
    }
}
