//! Joining with nothing but a bundle.

use super::super::super::testing::terminal;
use super::*;
use crate::bundle::testing;

/// A machine with a runtime that has no image, and a bundle.
struct Bare {
    dir: tempfile::TempDir,
    file: String,
    facts: Facts,
}

fn bare() -> Bare {
    let dir = testing::things();
    let file = testing::made(dir.path()).to_str().unwrap().to_owned();
    let runtime = Runtime { images: [].into(), ..runtime() };
    let files = [(CONTAINERD.into(), String::new())].into();
    Bare { dir, file, facts: Facts { files, runtime: Some(runtime), ..Facts::default() } }
}

async fn join(bare: &Bare, facts: Facts) -> (String, anyhow::Result<()>, Vec<Change>) {
    let (shown, result, changes) = run(facts, &["--bundle", &bare.file]).await;
    (shown.replace(bare.dir.path().to_str().unwrap(), "/media"), result, changes)
}

#[tokio::test]
async fn a_bare_machine_gets_programs_and_the_image_that_its_runtime_wants() {
    let bare = bare();
    let (shown, result, changes) = join(&bare, bare.facts.clone()).await;
    result.unwrap();
    insta::assert_snapshot!(shown);
    let name = Change::NameImage { image: "docker.io/skerry/pause:1".into(), name: SANDBOX.into() };
    assert!(
        changes.contains(&Change::Import("images/pause.tar".into())) && changes.contains(&name),
        "{changes:?}"
    );
    let (list, _) = written(&changes, INSTALLED).unwrap();
    assert_eq!(list, "/usr/local/bin/edgecore\n/usr/local/bin/keadm\n");
    assert!(shown.contains("start /usr/local/bin/edgecore"), "{shown}");
}

#[tokio::test]
async fn what_is_there_is_not_brought_again() {
    let bare = bare();
    let mut facts = bare.facts.clone();
    for program in ["edgecore", "keadm"] {
        facts.files.insert(Path::new(PROGRAMS).join(program), String::new());
    }
    let images = [SANDBOX, "docker.io/skerry/pause:1"].map(str::to_owned).into();
    facts.runtime = Some(Runtime { images, ..runtime() });
    let (_, result, changes) = join(&bare, facts).await;
    result.unwrap();
    assert!(!changes.iter().any(|change| matches!(change, Change::Import(_) | Change::NameImage { .. })));
    assert_eq!(written(&changes, INSTALLED).unwrap().0, "", "nothing of it is new: `reset` leaves it there");
    let unpacked: Vec<_> = changes.iter().filter(|change| matches!(change, Change::Unpack { .. })).collect();
    assert_eq!(unpacked.len(), 1, "EdgeCore is that of the bundle, keadm is left alone: {unpacked:?}");
}

#[tokio::test]
async fn a_bundle_that_cannot_be_used_is_said_before_anything_is_touched() {
    let bare = bare();
    let whole = std::fs::read(&bare.file).unwrap();
    std::fs::write(&bare.file, &whole[..whole.len() / 2]).unwrap();
    let printer = Printer::capturing();
    let (_, result, changes) = join(&bare, bare.facts.clone()).await;
    assert_eq!(changes, []);
    let shown = terminal(&printer, &result).replace(bare.dir.path().to_str().unwrap(), "/media");
    assert!(shown.contains("/media/bundle.tar.gz is no bundle that can be used"), "{shown}");
    assert!(shown.contains("hint: copy it again"), "{shown}");
}
