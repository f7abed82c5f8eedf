//! kk#4730: a node that was stolen is shut out for good, with real daemons and the real `keadm`.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::process::Command;

use integration::daemons::{Cloud, SOON, command, start, state};
use integration::process::Process;
use integration::site::binaries;
use integration::wait::until;
use proto::config::edgecore::EdgeCore;

/// What `keadm` says, which has to succeed.
async fn keadm(cloud: &Cloud, arguments: &[&str]) -> String {
    let mut keadm = Command::new(binaries().unwrap().join("keadm"));
    keadm.args(arguments).arg("--kube-config").arg(cloud.dir.path().join("api/admin.kubeconfig"));
    let output = tokio::task::spawn_blocking(move || keadm.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "keadm {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until the node says this about its connection.
async fn says(config: &EdgeCore, part: &str) {
    let admin = &config.common_config.monitor_server.bind_address;
    until(part, SOON, || async {
        let shown = state(admin).await?["edgehub"]["cloud"]["state"].to_string();
        anyhow::ensure!(shown.contains(part), "{shown}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_stolen_node_is_out_at_once_and_stays_out() {
    let mut cloud = Cloud::start().await;
    let config = cloud.edge("edge-1");
    let dir = cloud.dir.path().join("edge-1");
    let thief = start("edgecore", &config, &dir);
    says(&config, "by websocket").await;

    keadm(&cloud, &["ban", "edge-1", "--reason", "stolen from the depot"]).await;
    says(&config, "is banned").await;
    let list = keadm(&cloud, &["ban", "--list"]).await;
    assert!(list.contains("edge-1") && list.contains("stolen from the depot"), "{list}");
    assert!(!thief.output().unwrap().contains("depot"), "the node is not told why");

    // Deleting its Node and starting CloudCore anew change nothing.
    cloud.kubectl.run(&["delete", "node", "edge-1"]).await.unwrap();
    cloud.process.kill().unwrap();
    let yaml = cloud.dir.path().join("config.yaml");
    cloud.process =
        Process::start("cloudcore-again", &mut command("cloudcore", &yaml), cloud.dir.path()).unwrap();
    cloud.logs(&["turned away", "edge-1", "banned"]).await;

    // Neither does another name: it has the token that it joined with.
    let renamed = cloud.edge("edge-2");
    let second = start("edgecore", &renamed, &cloud.dir.path().join("edge-2"));
    until("the token is refused", SOON, || async {
        let output = second.output()?;
        anyhow::ensure!(output.contains("the join token is from before"), "{output}");
        Ok(())
    })
    .await
    .unwrap();
    drop(second);

    // Its successor of the same name joins, and the thief's certificate stays revoked.
    keadm(&cloud, &["unban", "edge-1"]).await;
    says(&config, "revoked").await;
    cloud.token = keadm(&cloud, &["gettoken"]).await.trim().to_owned();
    let mut successor = cloud.edge("successor");
    successor.modules.edged.hostname_override = "edge-1".to_owned();
    let _successor = start("edgecore", &successor, &cloud.dir.path().join("successor"));
    says(&successor, "by websocket").await;
    says(&config, "revoked").await;
}
