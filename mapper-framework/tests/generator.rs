//! What the generator writes builds, and passes its own test.

use std::path::Path;
use std::process::Command;

use mapper_framework::generator::{Source, generate};

#[test]
fn a_generated_project_passes_its_own_test() {
    let framework = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("heat-pump-mapper");
    generate("heat-pump", &Source::Path(framework.to_owned()), &project).unwrap();
    // The versions of the workspace are the ones that are here.
    std::fs::copy(framework.join("../Cargo.lock"), project.join("Cargo.lock")).unwrap();
    // What is built once is kept for the next time, beside what the workspace builds.
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap().join("generated");
    let output = Command::new(env!("CARGO"))
        .args(["test", "--offline", "--color=never"])
        .current_dir(&project)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("what_is_written_is_read ... ok"), "{out}");
    assert!(!err.contains("warning: unused"), "{err}");
}
