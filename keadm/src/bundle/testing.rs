//! Bundles for tests.

use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::{Plan, pack};
use crate::demo::image;

/// A program for machines like this one, as far as its header goes.
pub(crate) fn program(says: &str) -> Vec<u8> {
    let mut header = b"\x7fELF".to_vec();
    header.resize(18, 0);
    let machine: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    [header.as_slice(), &machine.to_le_bytes(), says.as_bytes()].concat()
}

/// A folder with what a bundle is made of.
pub(crate) fn things() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["edgecore", "keadm"] {
        std::fs::write(dir.path().join(name), program(name)).unwrap();
    }
    let config = json!({"Cmd": ["pause"]});
    let file = std::fs::File::create(dir.path().join("pause.tar")).unwrap();
    image::write(file, "skerry/pause:1", &[("app", b"pause", 0o755)], &config).unwrap();
    dir
}

pub(crate) fn made(dir: &Path) -> PathBuf {
    let plan = Plan::new(dir, &[dir.join("pause.tar")], "v0.2.0").unwrap();
    let path = dir.join("bundle.tar.gz");
    pack(&plan, std::fs::File::create(&path).unwrap()).unwrap();
    path
}
