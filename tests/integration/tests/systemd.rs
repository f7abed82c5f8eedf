//! keadm where a real systemd is: a cloud and two nodes, each a machine of its own (Debian, booted by systemd-nspawn), and what people
//! do with them from the first command to the last. `make systemd` makes the root and runs this; it needs to be root.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

mod systemd {
    pub(crate) mod packages;
    pub(crate) mod site;
}

use std::time::Duration;

use anyhow::ensure;
use integration::wait::until;

use self::systemd::packages::Packages;
use self::systemd::site::{Site, wrapper};

/// For whatever a machine does; one that also compiles is slow.
const SOON: Duration = Duration::from_secs(120);

#[tokio::test]
#[ignore = "boots three machines: make systemd"]
async fn from_bare_machines_to_running_pods_and_back() {
    let mut site = Site::start().await;
    let before: Vec<_> = site.machines().map(|machine| machine.changes().unwrap()).collect();

    joins(&mut site).await;
    units_are_as_they_should_be(&site);
    pods_outlive_edgecore(&site).await;
    edgecore_that_hangs_is_started_again(&site).await;
    comes_back_without_the_cloud(&mut site).await;
    upgrades_and_goes_back(&site).await;
    resets(&site);

    for (machine, before) in site.machines().zip(before) {
        let after = machine.changes().unwrap();
        let gone: Vec<_> = before.iter().filter(|entry| !after.contains_key(entry.0)).collect();
        let new: Vec<_> = after.iter().filter(|(path, what)| before.get(*path) != Some(what)).collect();
        assert!(
            gone.is_empty() && new.is_empty(),
            "{}: gone {gone:#?}, new or changed {new:#?}",
            machine.name()
        );
    }
    site.halt().await;
}

/// `init`, `join` twice, and a pod on each node.
async fn joins(site: &mut Site) {
    let said = site.cloud.run(&["keadm", "init", "--embedded"]).unwrap();
    assert!(said.contains("cloudcore is ready"), "{said}");
    site.find_token();
    for edge in ["edge-1", "edge-2"] {
        let said = site.join(edge);
        assert!(said.contains(&format!("this machine is edge node {edge}")), "{said}");
    }
    for edge in ["edge-1", "edge-2"] {
        site.node_is(edge, "True").await;
        site.kubectl().apply(&Site::pod(&format!("web-{edge}"), edge)).await.unwrap();
    }
    for edge in ["edge-1", "edge-2"] {
        site.pod_is_ready(&format!("web-{edge}")).await;
        assert_eq!(site.tasks(edge).len(), 2, "a container and its sandbox");
    }
}

/// What systemd makes of the units.
fn units_are_as_they_should_be(site: &Site) {
    for (machine, unit) in [(&site.cloud, "cloudcore"), (site.edge("edge-1"), "edgecore")] {
        let said =
            machine.run(&["systemd-analyze", "verify", &format!("/etc/systemd/system/{unit}.service")]);
        assert_eq!(said.unwrap(), "");
        for (property, value) in [
            ("Type", "notify"),
            ("ActiveState", "active"),
            ("StatusText", "ready"),
            ("UnitFileState", "enabled"),
            ("NRestarts", "0"),
        ] {
            assert_eq!(machine.property(unit, property).unwrap(), value, "{property} of {unit}");
        }
        assert_ne!(machine.property(unit, "WatchdogUSec").unwrap(), "0");
    }
    let edge = site.edge("edge-1");
    assert!(edge.property("edgecore", "After").unwrap().contains("containerd.service"));
    assert_eq!(edge.property("edgecore", "KillMode").unwrap(), "process");
}

/// EdgeCore is restarted, and killed: its pods do not notice.
async fn pods_outlive_edgecore(site: &Site) {
    let edge = site.edge("edge-1");
    let tasks = site.tasks("edge-1");
    edge.run(&["systemctl", "restart", "edgecore"]).unwrap();
    site.is_ready("edge-1").await;
    assert_eq!(site.tasks("edge-1"), tasks);
    edge.run(&["systemctl", "kill", "--signal=KILL", "--kill-whom=main", "edgecore"]).unwrap();
    until("systemd starts it again", SOON, || async {
        let restarts = edge.property("edgecore", "NRestarts")?;
        ensure!(restarts == "1", "{restarts} times");
        Ok(())
    })
    .await
    .unwrap();
    site.is_ready("edge-1").await;
    assert_eq!(site.tasks("edge-1"), tasks);
}

/// One that does nothing any more gives no sign of life, and that is noticed.
async fn edgecore_that_hangs_is_started_again(site: &Site) {
    let edge = site.edge("edge-1");
    let tasks = site.tasks("edge-1");
    let folder = "/run/systemd/system/edgecore.service.d";
    edge.run(&["mkdir", "-p", folder]).unwrap();
    edge.run(&["sh", "-c", &format!("printf '[Service]\\nWatchdogSec=4\\n' >{folder}/soon.conf")]).unwrap();
    edge.run(&["systemctl", "daemon-reload"]).unwrap();
    edge.run(&["systemctl", "restart", "edgecore"]).unwrap();
    site.is_ready("edge-1").await;
    let pid = edge.property("edgecore", "MainPID").unwrap();
    edge.run(&["systemctl", "kill", "--signal=STOP", "--kill-whom=main", "edgecore"]).unwrap();
    until("another one runs", SOON, || async {
        let now = edge.property("edgecore", "MainPID")?;
        ensure!(now != pid && now != "0", "its pid is {now}");
        Ok(())
    })
    .await
    .unwrap();
    site.is_ready("edge-1").await;
    assert!(edge.journal(Some("edgecore")).contains("Watchdog timeout"));
    assert_eq!(site.tasks("edge-1"), tasks);
    edge.run(&["rm", "-r", folder]).unwrap();
    edge.run(&["systemctl", "daemon-reload"]).unwrap();
    edge.run(&["systemctl", "restart", "edgecore"]).unwrap();
    site.is_ready("edge-1").await;
}

/// The cloud is off, a node loses its power and gets it back: its pods run again. Then the cloud comes back.
async fn comes_back_without_the_cloud(site: &mut Site) {
    site.cloud.halt().await.unwrap();
    let edge = site.edge_mut("edge-1");
    edge.cut_power().await.unwrap();
    edge.boot().await.unwrap();
    let edge = site.edge("edge-1");
    until("its pod runs", SOON, || async {
        let tasks = site.tasks("edge-1").len();
        ensure!(tasks == 2, "{tasks} tasks: {}", edge.journal(Some("edgecore")));
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(edge.property("edgecore", "ActiveState").unwrap(), "active");
    assert_eq!(edge.property("edgecore", "StatusText").unwrap(), "waiting for: edgehub");
    let listed = edge.run(&["keadm", "ctl", "get", "pods"]).unwrap();
    assert!(listed.contains("web-edge-1"), "{listed}");
    assert_eq!(site.tasks("edge-2").len(), 2, "the other one goes on");

    site.cloud.boot().await.unwrap();
    for edge in ["edge-1", "edge-2"] {
        site.is_ready(edge).await;
        site.node_is(edge, "True").await;
        site.pod_is_ready(&format!("web-{edge}")).await;
    }
}

/// A newer one, the older one again, and one that does not work.
async fn upgrades_and_goes_back(site: &Site) {
    let edge = site.edge("edge-2");
    let (tasks, old) = (site.tasks("edge-2"), edge.run(&["edgecore", "--version"]).unwrap());
    edge.run(&["mkdir", "-p", "/root/new/real", "/root/broken"]).unwrap();
    // The real one under another version, and one that ends at once.
    edge.run(&["cp", "/usr/local/bin/edgecore", "/root/new/real/"]).unwrap();
    for (folder, does) in [("new", "exec /root/new/real/edgecore \"$@\""), ("broken", "exit 1")] {
        edge.run(&["sh", "-c", &wrapper(&format!("/root/{folder}/edgecore"), does)]).unwrap();
    }
    let said = edge.run(&["keadm", "upgrade", "edge", "--force", "--bin-dir", "/root/new"]).unwrap();
    assert!(said.contains("this node runs v9.9.9"), "{said}");
    assert!(edge.run(&["edgecore", "--version"]).unwrap().contains("9.9.9"));
    site.is_ready("edge-2").await;
    assert_eq!(site.tasks("edge-2"), tasks);

    let said = edge.run(&["keadm", "rollback", "edge"]).unwrap();
    assert!(said.contains("again"), "{said}");
    assert_eq!(edge.run(&["edgecore", "--version"]).unwrap(), old);
    site.is_ready("edge-2").await;
    assert_eq!(site.tasks("edge-2"), tasks);

    let failed = edge.ask(&["keadm", "upgrade", "edge", "--force", "--bin-dir", "/root/broken"]).unwrap();
    let said = String::from_utf8_lossy(&failed.stderr);
    assert!(!failed.status.success() && said.contains("the upgrade failed, and v"), "{said}");
    assert_eq!(edge.run(&["edgecore", "--version"]).unwrap(), old);
    site.is_ready("edge-2").await;
    assert_eq!(site.tasks("edge-2"), tasks);
    edge.run(&["rm", "-r", "/root/new", "/root/broken"]).unwrap();
}

/// Back to bare machines.
fn resets(site: &Site) {
    for name in ["edge-1", "edge-2"] {
        let edge = site.edge(name);
        let said = edge.run(&["keadm", "reset", "edge", "--force"]).unwrap();
        assert!(said.contains("this machine is as it was before"), "{said}");
        assert!(site.tasks(name).is_empty() && site.containers(name).is_empty());
        let mounts = edge.run(&["cat", "/proc/mounts"]).unwrap();
        assert!(!mounts.contains("/var/lib/kubelet") && !mounts.contains("/var/lib/kubeedge"), "{mounts}");
        let groups = edge.run(&["find", "/sys/fs/cgroup", "-name", "*kubepods*"]).unwrap();
        assert_eq!(groups, "", "control groups of pods");
        assert_eq!(edge.run(&["systemctl", "--failed", "--no-legend", "--plain"]).unwrap(), "");
        assert_eq!(edge.property("edgecore", "LoadState").unwrap(), "not-found");
    }
    let said = site.cloud.run(&["keadm", "reset", "cloud", "--force"]).unwrap();
    assert!(said.contains("this machine is as it was before"), "{said}");
    assert_eq!(site.cloud.property("cloudcore", "LoadState").unwrap(), "not-found");
}

/// A cloud from the packages: installed, upgraded while it runs, and gone again.
#[tokio::test]
#[ignore = "boots a machine: make systemd"]
async fn packages_come_and_go() {
    let packages = Packages::make().await;
    let machine = &packages.machine;
    let before = packages.changes();
    packages.install("0.1.0");
    assert_eq!(
        machine.property("cloudcore", "UnitFileState").unwrap(),
        "disabled",
        "there is no configuration yet"
    );
    packages.configure();
    machine.run(&["systemctl", "enable", "--now", "cloudcore"]).unwrap();
    assert_eq!(machine.property("cloudcore", "StatusText").unwrap(), "ready");
    let pid = machine.property("cloudcore", "MainPID").unwrap();

    packages.install("0.2.0");
    assert_eq!(machine.property("cloudcore", "ActiveState").unwrap(), "active");
    assert_ne!(machine.property("cloudcore", "MainPID").unwrap(), pid, "the new one runs");

    let said = machine.run(&["keadm", "reset", "cloud", "--force"]).unwrap();
    assert!(said.contains("this machine is as it was before"), "{said}");
    assert_eq!(machine.property("cloudcore", "UnitFileState").unwrap(), "disabled");
    packages.purge();
    assert_eq!(machine.property("cloudcore", "LoadState").unwrap(), "not-found");
    assert_eq!(packages.changes(), before);
}
