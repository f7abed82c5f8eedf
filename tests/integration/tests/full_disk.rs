//! A node whose disk is full, on a file system that really is: what it says, and that nothing is lost. Needs root, for the mount.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use integration::daemons::{Cloud, SOON, command, start, write};
use integration::wait::until;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rusqlite::{Connection, OpenFlags};

/// Room for the store with its log and some objects.
const SIZE: &str = "size=3m,mode=0700";

/// A file system of its own.
struct Disk {
    at: PathBuf,
}

impl Disk {
    fn new(at: &Path) -> Self {
        std::fs::create_dir_all(at).unwrap();
        mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(SIZE))
            .expect("mount a tmpfs: run the tests as root");
        Self { at: at.to_owned() }
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }

    /// Takes the last byte.
    fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        for piece in [64 * 1024, 4 * 1024, 1] {
            let error = loop {
                if let Err(error) = file.write_all(&vec![0; piece]) {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still has a file open keeps only that.
        let unmounted = umount2(&self.at, MntFlags::MNT_DETACH);
        assert!(std::thread::panicking() || unmounted.is_ok(), "{}: {unmounted:?}", self.at.display());
    }
}

fn pod(name: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: default}}
spec:
  nodeName: edge-1
  containers: [{{name: only, image: none, imagePullPolicy: Never}}]
"
    )
}

/// Waits until the node has stored the pod.
async fn has(database: &str, pod: &str) {
    until("the node has stored the pod", SOON, || async {
        let store = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let key = format!("default/pod/{pod}");
        let found: i64 =
            store.query_row("SELECT count(*) FROM objects WHERE key = ?1", [&key], |row| row.get(0))?;
        anyhow::ensure!(found == 1, "no {key} in {database}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_does_not_fit_is_refused_aloud_and_comes_when_there_is_room() {
    let cloud = Cloud::start().await;
    let dir = cloud.dir.path().join("edge-1");
    let mut config = cloud.edge("edge-1");
    let disk = Disk::new(&dir.join("disk"));
    let database = disk.at.join("edgecore.db").to_str().unwrap().to_owned();
    // A folder is one EdgeCore's.
    let other = disk.at.join("edge-2");
    std::fs::create_dir(&other).unwrap();
    config.database.data_source.clone_from(&database);
    let mut edge = start("edgecore", &config, &dir);
    cloud.kubectl.apply(&pod("first")).await.unwrap();
    has(&database, "first").await;

    disk.fill();
    // More than the log of the database has left of its last page.
    let text = "x".repeat(64 * 1024);
    let map = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: large, namespace: default}}\ndata: {{text: {text}}}\n"
    );
    cloud.kubectl.apply(&map).await.unwrap();
    let uses = "\n  volumes: [{name: v, configMap: {name: large}}]\n";
    cloud.kubectl.apply(&format!("{}{uses}", pod("second").trim_end())).await.unwrap();
    cloud.logs(&["edge-1", "could not store", &database, "full"]).await;
    edge.still_runs().unwrap();
    disk.free();
    has(&database, "second").await;
    let output = edge.output().unwrap();
    assert_eq!(output.matches("connected to CloudCore").count(), 1, "{output}");

    // It starts without room as well, from what it has, and takes what is new when there is room.
    edge.kill().unwrap();
    disk.fill();
    let mut edge = start("edgecore", &config, &dir);
    until("the node is connected", SOON, || async {
        let output = edge.output()?;
        anyhow::ensure!(output.contains("connected to CloudCore"), "{output}");
        Ok(())
    })
    .await
    .unwrap();
    edge.still_runs().unwrap();
    has(&database, "second").await;

    // A node that has nothing yet cannot begin, and says what it needs.
    let mut config = cloud.edge("edge-2");
    let database = other.join("edgecore.db").to_str().unwrap().to_owned();
    config.database.data_source.clone_from(&database);
    let file = write(&config, &cloud.dir.path().join("edge-2"));
    let ending = tokio::process::Command::from(command("edgecore", &file)).kill_on_drop(true).output();
    let output = tokio::time::timeout(SOON, ending).await.expect("it goes on").unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&database) && said.contains("full"), "{said}");
    disk.free();
}
