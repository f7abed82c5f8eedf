//! A machine and packages for it, of programs that start the real ones.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use integration::machine::{Listing, Machine, Network};
use integration::site::binaries;
use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../build/package.sh");
/// Where the real ones are: to pack them, which are large before they are stripped, would take longer than all the rest.
const REAL: &str = "/opt/skerry";
const NAMES: [&str; 3] = ["skerry-cloudcore", "skerry-edgecore", "skerry-keadm"];

pub(crate) struct Packages {
    pub(crate) machine: Machine,
    _network: Network,
    _dir: TempDir,
}

impl Packages {
    pub(crate) async fn make() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut network = Network::new().unwrap();
        let mut machine = Machine::new("packages", &mut network, dir.path()).unwrap();
        machine.without("containerd.service").unwrap();
        let (real, scripts) = (binaries().unwrap(), dir.path().join("bin"));
        fs::create_dir(&scripts).unwrap();
        for program in ["cloudcore", "edgecore", "keadm", "virtual-mapper"] {
            let script = scripts.join(program);
            fs::write(&script, format!("#!/bin/sh\nexec {REAL}/{program} \"$@\"\n")).unwrap();
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for program in ["cloudcore", "keadm"] {
            machine.install(&real.join(program), &format!("{REAL}/{program}")).unwrap();
        }
        for version in ["0.1.0", "0.2.0"] {
            let output = machine.disk().join("root").join(version);
            let packed = Command::new(SCRIPT)
                .args([&scripts, &output])
                .args([version, architecture()])
                .output()
                .unwrap();
            assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
        }
        machine.boot().await.unwrap();
        Self { machine, _network: network, _dir: dir }
    }

    /// What differs from before, but for dpkg's own notes.
    pub(crate) fn changes(&self) -> Listing {
        let mut all = self.machine.changes().unwrap();
        all.retain(|path, _| !Path::new(path).starts_with("var/lib/dpkg"));
        all
    }

    pub(crate) fn install(&self, version: &str) {
        let files = NAMES.map(|name| format!("/root/{version}/{name}_{version}_{}.deb", architecture()));
        let words = ["dpkg", "--install"].into_iter().chain(files.iter().map(String::as_str));
        self.machine.run(&words.collect::<Vec<_>>()).unwrap();
    }

    /// What an administrator writes.
    pub(crate) fn configure(&self) {
        let text = format!(
            "modules:\n  embedded:\n    enable: true\n  cloudHub:\n    advertiseAddress: [{}]\n",
            self.machine.address()
        );
        let write = format!("cat >/etc/kubeedge/config/cloudcore.yaml <<'END'\n{text}END");
        self.machine.run(&["sh", "-c", &write]).unwrap();
    }

    pub(crate) fn purge(&self) {
        self.machine.run(&[["dpkg", "--purge"].as_slice(), &NAMES].concat()).unwrap();
    }
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    }
}
