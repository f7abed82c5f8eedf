//! Images for another architecture.

use std::fs::File;
use std::path::Path;

use keadm::demo::image::{architecture, write, write_for};
use serde_json::{Value, json};

use super::node::{Node, pod, waits};
use super::registry::Registry;

/// An architecture that this machine does not have, and its number in a program's header (elf(5)).
fn other() -> (&'static str, u8) {
    if architecture() == "arm64" { ("amd64", 62) } else { ("arm64", 183) }
}

/// The beginning of a program for that architecture, and no more: nobody reads on.
fn foreign_program() -> Vec<u8> {
    let mut program = vec![0; 64];
    program[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    (program[16], program[18], program[20]) = (2, other().1, 1);
    program
}

fn image(dir: &Path, name: &str, architecture: &str, program: &[u8]) -> std::path::PathBuf {
    let tar = dir.join(format!("{name}.tar"));
    let run = json!({"Entrypoint": ["/demo-app"]});
    let reference = format!("skerry.local/{name}:1");
    let files = [("demo-app", program, 0o755)];
    write_for(architecture, File::create(&tar).unwrap(), &reference, &files, &run).unwrap();
    tar
}

fn pod_of(name: &str, image: &str, policy: &str) -> Value {
    let mut pod = pod(name, &["pause"], &json!({}));
    pod["spec"]["containers"][0]["image"] = image.into();
    pod["spec"]["containers"][0]["imagePullPolicy"] = policy.into();
    pod
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_for_another_architecture_is_told_apart() {
    let mut node = Node::start().await;
    let dir = tempfile::tempdir().unwrap();
    let (theirs, program) = (other().0, foreign_program());
    // One says whose it is, and one does not.
    let honest = image(dir.path(), "honest", theirs, &program);
    let wrong = image(dir.path(), "wrong", architecture(), &program);
    let fine = dir.path().join("fine.tar");
    let ours = std::fs::read(node.site.app()).unwrap();
    let files = [("demo-app", ours.as_slice(), 0o755)];
    write(File::create(&fine).unwrap(), "skerry.local/fine:1", &files, &json!({"Entrypoint": ["/demo-app"]}))
        .unwrap();

    // Brought here: what is said of an image does not keep containerd (1.6) from making a container of it.
    node.site.import_image(&wrong).unwrap();
    let all = node.site.ctr().unwrap().args(["images", "import", "--all-platforms"]).arg(&honest).output();
    assert!(all.unwrap().status.success());
    for name in ["wrong", "honest"] {
        node.apply(&pod_of(name, &format!("skerry.local/{name}:1"), "Never")).await;
    }
    for name in ["wrong", "honest"] {
        node.until(name, "failing", |status| {
            let container = &status["containerStatuses"][0];
            let last = container["lastState"]["terminated"]["message"].as_str().unwrap_or_default();
            container["restartCount"].as_i64() > Some(0) && last == "exec /demo-app: exec format error"
        })
        .await;
        node.until_told(name, "BackOff", "back-off").await;
    }

    // Pulled.
    let registry =
        Registry::start(&[("theirs", &honest, Some(theirs)), ("ours", &fine, Some(architecture()))]).await;
    node.apply(&pod_of("pulled", &registry.image("theirs"), "IfNotPresent")).await;
    node.until_told("pulled", "Failed", "no match for platform in manifest").await;
    node.until("pulled", "backing off", |status| waits(status, "ImagePullBackOff", "no match for platform"))
        .await;
    node.apply(&pod_of("fine", &registry.image("ours"), "IfNotPresent")).await;
    node.until_running("fine").await;
    for name in ["wrong", "honest", "pulled", "fine"] {
        node.delete(name).await;
    }
    node.is_undisturbed().await;
}
