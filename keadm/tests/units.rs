//! systemd itself says what it thinks of the units.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::path::Path;
use std::process::{Command, Output};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../build/systemd");

fn analyze(args: &[&str]) -> Output {
    let output = Command::new("systemd-analyze").args(args).output();
    output.expect("`systemd-analyze` is installed: it is in Debian's package systemd")
}

/// The unit with a program that is there, in a folder of its own.
fn unit(dir: &Path, name: &str) -> String {
    let text = std::fs::read_to_string(format!("{FOLDER}/{name}.service")).unwrap();
    let file = dir.join(format!("{name}.service"));
    std::fs::write(&file, text.replace(&format!("/usr/bin/{name}"), "/bin/true")).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn systemd_takes_the_units_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["cloudcore", "edgecore"] {
        let file = unit(dir.path(), name);
        let output = analyze(&["verify", "--man=no", &file]);
        let said = String::from_utf8_lossy(&output.stderr);
        let about: Vec<&str> = said.lines().filter(|line| line.contains(name)).collect();
        assert!(output.status.success() && about.is_empty(), "{said}");
    }
}

/// Of 100, in tenths; "exposed" begins at 60, and what is not hardened at all has 96. An edge node's agent has to do to the
/// machine what a kubelet does.
#[test]
fn systemd_finds_cloudcore_hardened() {
    let dir = tempfile::tempdir().unwrap();
    let file = unit(dir.path(), "cloudcore");
    let output = analyze(&["security", "--offline=yes", "--no-pager", "--threshold=35", &file]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}
