//! The `.deb` packages, as dpkg sees them: made of programs that do nothing, installed into an empty root.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../build/package.sh");
const PROGRAMS: [&str; 4] = ["cloudcore", "edgecore", "keadm", "virtual-mapper"];

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {out}{err}");
    out.into_owned()
}

/// Packages of this version, in a folder of their own.
fn packed(dir: &Path, version: &str) -> PathBuf {
    let (programs, output) = (dir.join("bin"), dir.join(version));
    fs::create_dir_all(&programs).unwrap();
    for program in PROGRAMS {
        let file = programs.join(program);
        fs::write(&file, format!("#!/bin/sh\necho {program}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    run(Command::new(SCRIPT)
        .args([&programs, &output])
        .args([version, "amd64"])
        .env("SOURCE_DATE_EPOCH", "1800000000"));
    output
}

/// A root without anything, and dpkg for it. Maintainer scripts are told that it is not the machine (`DPKG_ROOT`).
struct Root(TempDir);

impl Root {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("var/lib/dpkg/info")).unwrap();
        fs::create_dir_all(root.path().join("var/lib/dpkg/updates")).unwrap();
        fs::write(root.path().join("var/lib/dpkg/status"), "").unwrap();
        Self(root)
    }

    fn dpkg(&self, args: &[&str]) -> String {
        let mut command = Command::new("dpkg");
        command.arg(format!("--root={}", self.0.path().display())).arg("--force-script-chrootless");
        run(command.args(["--force-not-root", "--log=/dev/null"]).args(args))
    }

    fn has(&self, file: &str) -> bool {
        self.0.path().join(file).exists()
    }
}

fn deb(folder: &Path, name: &str, version: &str) -> String {
    folder.join(format!("{name}_{version}_amd64.deb")).to_str().unwrap().to_owned()
}

#[test]
fn a_node_is_installed_upgraded_removed_and_purged() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (packed(dir.path(), "0.1.0"), packed(dir.path(), "0.2.0"));
    let root = Root::new();
    root.dpkg(&["--install", &deb(&old, "skerry-edgecore", "0.1.0")]);
    assert!(root.has("usr/bin/edgecore") && root.has("usr/lib/systemd/system/edgecore.service"));
    assert!(root.has("etc/kubeedge/config"));
    let config = root.0.path().join("etc/kubeedge/config/edgecore.yaml");
    fs::write(&config, "modules: {}").unwrap();
    root.dpkg(&["--install", &deb(&new, "skerry-edgecore", "0.2.0")]);
    assert!(root.dpkg(&["--list"]).contains("0.2.0"));
    assert_eq!(
        fs::read_to_string(&config).unwrap(),
        "modules: {}",
        "an upgrade leaves the configuration alone"
    );
    root.dpkg(&["--remove", "skerry-edgecore"]);
    assert!(!root.has("usr/bin/edgecore") && !root.has("usr/lib/systemd/system/edgecore.service"));
    assert!(config.exists(), "removing leaves the configuration alone");
    root.dpkg(&["--purge", "skerry-edgecore"]);
    assert!(!root.has("etc/kubeedge"));
}

#[test]
fn cloud_and_edge_share_their_folder() {
    let dir = tempfile::tempdir().unwrap();
    let folder = packed(dir.path(), "0.1.0");
    let root = Root::new();
    for name in ["skerry-edgecore", "skerry-cloudcore", "skerry-keadm"] {
        root.dpkg(&["--install", &deb(&folder, name, "0.1.0")]);
    }
    let config = root.0.path().join("etc/kubeedge/config/cloudcore.yaml");
    fs::write(&config, "modules: {}").unwrap();
    root.dpkg(&["--purge", "skerry-edgecore"]);
    assert!(config.exists() && root.has("usr/bin/cloudcore") && root.has("usr/bin/keadm"));
}

#[test]
fn the_same_programs_give_the_same_packages() {
    let dir = tempfile::tempdir().unwrap();
    let sums = |folder: PathBuf| fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    let first = sums(packed(dir.path(), "0.1.0"));
    fs::remove_dir_all(dir.path().join("0.1.0")).unwrap();
    assert_eq!(first, sums(packed(dir.path(), "0.1.0")));
    assert_eq!(first.lines().count(), 4, "{first}");
    // What they say is what is there.
    let folder = dir.path().join("0.1.0");
    run(Command::new("sha256sum").args(["--check", "--quiet", "SHA256SUMS"]).current_dir(folder));
}

#[test]
fn what_a_package_says_of_itself() {
    let dir = tempfile::tempdir().unwrap();
    let folder = packed(dir.path(), "0.1.0");
    let field = |name: &str, field: &str| {
        run(Command::new("dpkg-deb").args(["--field", &deb(&folder, name, "0.1.0"), field])).trim().to_owned()
    };
    assert_eq!(field("skerry-edgecore", "Recommends"), "containerd | cri-o, containernetworking-plugins");
    assert_eq!(field("skerry-keadm", "Architecture"), "amd64");
    assert_eq!(field("skerry-cloudcore", "Depends"), "", "it is linked statically");
    let files =
        run(Command::new("dpkg-deb").args(["--contents", &deb(&folder, "skerry-cloudcore", "0.1.0")]));
    assert!(files.lines().all(|line| line.contains("root/root")), "{files}");
    assert!(files.contains("./usr/share/doc/skerry-cloudcore/copyright"), "{files}");
}
