//! Images without a registry: an OCI image layout as a tar file, made of one static binary, imported with `ctr`.
//! [`write`] is public for tests that need further images.
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Layout, preflight};
use crate::hint::WithHint as _;
use crate::printer::Printer;

/// Image that holds a pod's namespaces.
pub(super) const PAUSE: &str = "skerry.local/pause:demo";
/// Image of the demo's pods.
pub(super) const HELLO: &str = "skerry.local/hello:demo";
/// Where the binary is in both.
const PROGRAM: &str = "demo-app";

/// Makes and imports both images, unless this very binary has been imported already.
pub(super) fn import(layout: &Layout, app: &Path, printer: &Printer) -> anyhow::Result<()> {
    let program = fs::read(app)
        .with_context(|| format!("read {}", app.display()))
        .hint(|| "build it first; `make demo` does".to_owned())?;
    let dir = layout.path("images");
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    let (digest, imported) = (digest(&program), dir.join("imported"));
    if fs::read_to_string(&imported).is_ok_and(|done| done == digest) {
        printer.already("the images are imported");
        return Ok(());
    }
    printer.step("making and importing the images");
    let ctr = preflight::find("ctr").context("ctr is not installed")?;
    for (reference, file, arguments) in [(PAUSE, "pause.tar", &["pause"][..]), (HELLO, "hello.tar", &[][..])]
    {
        let config = json!({"Entrypoint": [format!("/{PROGRAM}")], "Cmd": arguments});
        let path = dir.join(file);
        let tar = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        write(tar, reference, &[(PROGRAM, &program, 0o755)], &config)
            .with_context(|| format!("write {}", path.display()))?;
        preflight::run(
            Command::new(&ctr)
                .arg("--address")
                .arg(layout.containerd_socket())
                .args(["--namespace", "k8s.io", "images", "import"])
                .arg(&path)
                .stdout(std::process::Stdio::null()),
        )?;
    }
    fs::write(&imported, digest).with_context(|| format!("write {}", imported.display()))
}

/// A file of an image: its path without a leading slash, its content and its permission bits.
pub type ImageFile<'a> = (&'a str, &'a [u8], u32);

/// Writes an image of one layer with these files, owned by root; `run` is the `config` of the image, such as its
/// `Entrypoint` (<https://github.com/opencontainers/image-spec/blob/main/config.md>). The same input gives the same
/// bytes.
///
/// # Errors
/// When `output` cannot be written, or a path does not fit into a tar header.
pub fn write(output: impl Write, reference: &str, files: &[ImageFile<'_>], run: &Value) -> io::Result<()> {
    write_for(architecture(), output, reference, files, run)
}

/// As [`write`], for machines of this architecture, as images name it.
///
/// # Errors
/// As [`write`].
pub fn write_for(
    architecture: &str,
    output: impl Write,
    reference: &str,
    files: &[ImageFile<'_>],
    run: &Value,
) -> io::Result<()> {
    let layer = layer(files)?;
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", digest(&layer))]},
    })
    .to_string()
    .into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    })
    .to_string()
    .into_bytes();
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
    entry["annotations"] = json!({"io.containerd.image.name": reference});
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();

    let mut tar = tar::Builder::new(output);
    add(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644)?;
    for blob in [&layer, &config, &manifest] {
        add(&mut tar, &format!("blobs/sha256/{}", digest(blob)), blob, 0o644)?;
    }
    add(&mut tar, "index.json", index.as_bytes(), 0o644)?;
    tar.into_inner()?.flush()
}

/// The root file system.
fn layer(files: &[ImageFile<'_>]) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content, mode) in files {
        add(&mut tar, path, content, *mode)?;
    }
    tar.into_inner()
}

fn add<W: Write>(tar: &mut tar::Builder<W>, path: &str, content: &[u8], mode: u32) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    // Owner root and time 0 (the header's default) make the archive reproducible.
    tar.append_data(&mut header, path, content)
}

fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": format!("sha256:{}", digest(blob)), "size": blob.len()})
}

fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// This machine's architecture, as images name it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use serde_json::{Value, json};

    use super::{HELLO, PROGRAM, digest, write};

    fn files(image: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(image);
        let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (path, content)
        };
        archive.entries().unwrap().map(read).collect()
    }

    #[test]
    fn every_blob_is_named_by_its_digest_and_the_index_leads_to_the_program() {
        let mut image = Vec::new();
        write(&mut image, HELLO, &[(PROGRAM, b"program", 0o755)], &json!({"Cmd": ["pause"]})).unwrap();
        let files = files(&image);
        for (path, content) in &files {
            if let Some(name) = path.strip_prefix("blobs/sha256/") {
                assert_eq!(name, digest(content));
            }
        }
        let json = |path: &str| serde_json::from_slice::<Value>(&files[path]).unwrap();
        let blob = |descriptor: &Value| {
            let path = descriptor["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/");
            assert_eq!(files[&path].len() as u64, descriptor["size"].as_u64().unwrap());
            path
        };
        let index = json("index.json");
        assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], HELLO);
        let manifest = json(&blob(&index["manifests"][0]));
        let config = json(&blob(&manifest["config"]));
        assert_eq!(config["config"]["Cmd"][0], "pause");
        let layer = self::files(&files[&blob(&manifest["layers"][0])]);
        assert_eq!(layer["demo-app"], b"program");
    }

    #[test]
    fn the_same_program_gives_the_same_image() {
        let make = || {
            let mut image = Vec::new();
            write(&mut image, HELLO, &[(PROGRAM, b"program", 0o755)], &json!({})).unwrap();
            image
        };
        assert_eq!(make(), make());
    }
}
