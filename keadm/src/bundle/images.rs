//! Names of images, and which are in an archive: as `docker save` writes it (`manifest.json`), or an OCI layout
//! (<https://github.com/opencontainers/image-spec/blob/main/image-layout.md>).

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use anyhow::{Context as _, anyhow, ensure};
use serde_json::Value;

use crate::hint::WithHint as _;

/// Lists of images have some hundred bytes for each.
const MAX_INDEX: u64 = 1024 * 1024;
/// Longest name that registries take.
const MAX_NAME: usize = 4096;
/// Where containerd and buildkit put the whole name.
const FULL_NAME: &str = "io.containerd.image.name";
/// By its specification a tag alone; podman puts the whole name here.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The names in an archive.
///
/// # Errors
/// When the file is none, or names no image.
pub(super) fn names(file: &Path) -> anyhow::Result<Vec<String>> {
    let shown = file.display();
    let names = read(file).with_context(|| format!("{shown} is no archive of images"));
    let names =
        names.hint(|| "make it with `docker save`, `podman save` or `ctr images export`".to_owned())?;
    if names.is_empty() {
        return Err(anyhow!("{shown} does not name its image"))
            .hint(|| "save it by its name and tag, not by its id".to_owned());
    }
    Ok(names)
}

fn read(file: &Path) -> anyhow::Result<Vec<String>> {
    let mut archive = tar::Archive::new(BufReader::new(File::open(file)?));
    // By the headers alone: what an archive says of itself in extensions could be as long as it likes.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let path = entry.path_bytes().into_owned();
        let path = path.strip_prefix(b"./").unwrap_or(&path);
        if path != b"manifest.json" && path != b"index.json" {
            continue;
        }
        let is_docker = path == b"manifest.json";
        ensure!(entry.size() <= MAX_INDEX, "its list of images is longer than {MAX_INDEX} bytes");
        let mut text = Vec::new();
        entry.by_ref().take(MAX_INDEX).read_to_end(&mut text)?;
        let list: Value = serde_json::from_slice(&text).context("its list of images")?;
        let names = if is_docker { of_docker(&list) } else { of_oci(&list) };
        ensure!(names.iter().all(|name| is_name(name)), "it has an image without a proper name");
        // `docker save` of today writes both, with the whole names in its own.
        if is_docker || !names.is_empty() {
            return Ok(names.iter().map(|name| normal(name)).collect());
        }
    }
    Ok(Vec::new())
}

fn of_docker(list: &Value) -> Vec<String> {
    let tags = list.as_array().into_iter().flatten().flat_map(|image| image["RepoTags"].as_array());
    tags.flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn of_oci(index: &Value) -> Vec<String> {
    let manifests = index["manifests"].as_array().into_iter().flatten();
    let name = |manifest: &Value| {
        let annotations = &manifest["annotations"];
        let full = annotations[FULL_NAME].as_str();
        full.or(annotations[REF_NAME].as_str().filter(|name| name.contains('/'))).map(str::to_owned)
    };
    manifests.filter_map(name).collect()
}

/// `registry/repository:tag` with Docker's defaults for what is left out, as runtimes keep it.
#[must_use]
pub fn normal(name: &str) -> String {
    let name = match name.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
        None => format!("docker.io/library/{name}"),
    };
    let last = name.rsplit('/').next().unwrap_or_default();
    if last.contains([':', '@']) { name } else { format!("{name}:latest") }
}

/// Whether an image is one that holds a pod's namespaces: they are all called so.
#[must_use]
pub fn is_pause(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or_default();
    last.split([':', '@']).next() == Some("pause")
}

/// It becomes a word of a command line.
pub(super) fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"./:@_-+".contains(&byte);
    name.len() <= MAX_NAME
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.bytes().all(inner)
}
