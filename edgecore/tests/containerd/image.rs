//! An image from one static program, in the format of `docker save`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::json;
use sha2::{Digest, Sha256};

/// Writes an archive with one image of this name, which runs the test program.
pub(crate) fn write(archive: &Path, name: &str) {
    write_with(archive, name, "PATH=/");
}

/// The same with another environment, which makes it another image.
pub(crate) fn write_other(archive: &Path, name: &str) {
    write_with(archive, name, "OTHER=1");
}

fn write_with(archive: &Path, name: &str, env: &str) {
    let mut layer = tar::Builder::new(Vec::new());
    add(&mut layer, "program", &std::fs::read(program()).unwrap(), 0o755);
    // Mount points of what every container gets.
    for directory in ["dev/", "etc/", "proc/", "sys/", "tmp/"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        header.set_cksum();
        layer.append_data(&mut header, directory, std::io::empty()).unwrap();
    }
    let layer = layer.into_inner().unwrap();
    let digest: String = Sha256::digest(&layer).iter().map(|byte| format!("{byte:02x}")).collect();
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }, "os": "linux",
        "config": {"Entrypoint": ["/program"], "Env": [env], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]);
    let mut image = tar::Builder::new(std::fs::File::create(archive).unwrap());
    add(&mut image, "config.json", config.to_string().as_bytes(), 0o644);
    add(&mut image, "layer.tar", &layer, 0o644);
    add(&mut image, "manifest.json", manifest.to_string().as_bytes(), 0o644);
    image.finish().unwrap();
}

fn add<W: std::io::Write>(archive: &mut tar::Builder<W>, name: &str, bytes: &[u8], mode: u32) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    header.set_cksum();
    archive.append_data(&mut header, name, bytes).unwrap();
}

/// The program, built once per test run.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/containerd/program.rs");
        let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("program-{}", std::process::id()));
        let built = Command::new("rustc")
            .args([
                "--edition",
                "2024",
                "-C",
                "target-feature=+crt-static",
                "-C",
                "opt-level=1",
                "-C",
                "strip=symbols",
            ])
            .arg("-o")
            .arg(&binary)
            .arg(&source)
            .output()
            .unwrap();
        assert!(built.status.success(), "rustc: {}", String::from_utf8_lossy(&built.stderr));
        binary
    })
}
