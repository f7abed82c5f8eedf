use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::testing::{made, program, things};
use super::*;
use crate::hint;

#[test]
fn what_is_packed_comes_out() {
    let dir = things();
    let bundle = Bundle::open(&made(dir.path())).unwrap();
    let Manifest { version, architecture, files, .. } = bundle.manifest();
    assert_eq!((version.as_str(), architecture.as_str()), ("0.2.0", "amd64"));
    let paths: Vec<&str> = files.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["bin/edgecore", "bin/keadm", "images/pause.tar"]);
    assert_eq!(bundle.manifest().pause().unwrap().1, "docker.io/skerry/pause:1");
    for entry in files {
        let mut out = Vec::new();
        bundle.copy(&entry.path, &mut out).unwrap();
        let name = entry.path.rsplit('/').next().unwrap();
        assert_eq!(out, std::fs::read(dir.path().join(name)).unwrap(), "{name}");
    }
    assert!(bundle.copy("bin/other", &mut Vec::new()).is_err());
    bundle.check_architecture("amd64").unwrap();
    assert!(hint::of(&bundle.check_architecture("arm64").unwrap_err()).is_some());
}

#[test]
fn the_same_files_give_the_same_bundle() {
    let dir = things();
    let read = || std::fs::read(made(dir.path())).unwrap();
    assert_eq!(read(), read());
}

#[test]
fn a_bundle_that_is_cut_off_or_was_changed_is_refused() {
    let dir = things();
    let path = made(dir.path());
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 1, 100, whole.len() / 2, whole.len() - 20] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = Bundle::open(&path).expect_err("cut off");
        assert!(hint::of(&error).is_some(), "{error:#}");
    }
    std::fs::write(&path, &whole).unwrap();
    let bundle = Bundle::open(&path).unwrap();
    std::fs::write(dir.path().join("edgecore"), program("another")).unwrap();
    made(dir.path());
    let error = bundle.copy(EDGECORE, &mut Vec::new()).unwrap_err();
    assert!(format!("{error:#}").contains("another one by now"), "{error:#}");
}

/// One entry of an archive that nobody of ours made.
struct Raw<'a>(&'a str, &'a [u8], tar::EntryType);

fn raw(dir: &Path, entries: &[Raw<'_>]) -> PathBuf {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for Raw(path, content, kind) in entries {
        let mut header = tar::Header::new_ustar();
        // Past the checks of the crate, which would refuse to write what is tried here.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    let path = dir.join("raw.tar.gz");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(&tar.into_inner().unwrap().finish().unwrap()).unwrap();
    path
}

fn list(files: &serde_json::Value) -> Vec<u8> {
    let list = json!({"format": 1, "version": "0.1.0", "architecture": "amd64", "files": files});
    list.to_string().into_bytes()
}

fn entry(path: &str, content: &[u8]) -> serde_json::Value {
    json!({"path": path, "size": content.len(), "sha256": format!("{:x}", Sha256::digest(content))})
}

#[test]
fn what_is_in_no_bundle_of_ours_is_refused() {
    use tar::EntryType::{Directory, GNULongName, Regular, Symlink};
    let dir = tempfile::tempdir().unwrap();
    let good = list(&json!([entry(EDGECORE, b"x")]));
    let refused = |name: &str, entries: &[Raw<'_>], part: &str| {
        let error = Bundle::open(&raw(dir.path(), entries)).expect_err(name);
        assert!(format!("{error:#}").contains(part), "{name}: {error:#}");
    };
    Bundle::open(&raw(dir.path(), &[Raw(MANIFEST, &good, Regular), Raw(EDGECORE, b"x", Regular)])).unwrap();
    refused("no list", &[Raw(EDGECORE, b"x", Regular)], "manifest.json should come");
    refused("another sum", &[Raw(MANIFEST, &good, Regular), Raw(EDGECORE, b"y", Regular)], "SHA-256");
    refused(
        "another size",
        &[Raw(MANIFEST, &good, Regular), Raw(EDGECORE, b"xx", Regular)],
        "2 bytes, not 1",
    );
    refused("nothing", &[Raw(MANIFEST, &good, Regular)], "it ends before bin/edgecore");
    refused("a link", &[Raw(MANIFEST, &good, Regular), Raw(EDGECORE, b"", Symlink)], "is no file");
    refused(
        "a long name",
        &[Raw(MANIFEST, &good, Regular), Raw("././@LongLink", b"x", GNULongName)],
        "should come",
    );
    let more = [
        Raw(MANIFEST, &good, Regular),
        Raw(EDGECORE, b"x", Regular),
        Raw("../../etc/passwd", b"", Directory),
    ];
    refused("more", &more, "not in its list");
    let long = vec![b' '; 300 * 1024];
    refused("a long list", &[Raw(MANIFEST, &long, Regular)], "longer than");
    for path in
        ["../edgecore", "bin/../../x", "/bin/edgecore", "bin/", "bin/.x", "etc/passwd", "images/x", "bin/a/b"]
    {
        let text = list(&json!([entry(path, b"x")]));
        refused(path, &[Raw(MANIFEST, &text, Regular), Raw(path, b"x", Regular)], "is neither");
    }
    for (name, files, part) in [
        ("twice", json!([entry(EDGECORE, b"x"), entry(EDGECORE, b"x")]), "twice"),
        ("large", json!([{"path": EDGECORE, "size": u64::MAX, "sha256": "0".repeat(64)}]), "more than"),
        ("no sum", json!([{"path": EDGECORE, "size": 1, "sha256": "0"}]), "no SHA-256"),
        (
            "a flag",
            json!([{"path": "images/x.tar", "size": 1, "sha256": "0".repeat(64), "images": ["--all"]}]),
            "proper name",
        ),
    ] {
        refused(name, &[Raw(MANIFEST, &list(&files), Regular)], part);
    }
    let newer = br#"{"format": 2, "more": true}"#;
    let error = Bundle::open(&raw(dir.path(), &[Raw(MANIFEST, newer, Regular)])).unwrap_err();
    assert!(hint::of(&error).unwrap().to_string().contains("tar -xzf"), "{error:#}");
}

#[test]
fn images_are_named_as_runtimes_keep_them() {
    for (name, expected) in [
        ("busybox", "docker.io/library/busybox:latest"),
        ("kubeedge/pause:3.6", "docker.io/kubeedge/pause:3.6"),
        ("registry.k8s.io/pause:3.8", "registry.k8s.io/pause:3.8"),
        ("localhost/pause", "localhost/pause:latest"),
        ("host:5000/a/b", "host:5000/a/b:latest"),
        ("a/b@sha256:0", "docker.io/a/b@sha256:0"),
    ] {
        assert_eq!(normal(name), expected);
    }
    assert!(is_pause("registry.k8s.io/pause:3.8") && is_pause("pause@sha256:0"));
    assert!(!is_pause("registry.k8s.io/pauses:3.8") && !is_pause("pause/web:1"));
}

#[test]
fn names_in_archives_of_docker_and_podman() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.tar");
    let archive = |entries: &[(&str, serde_json::Value)]| {
        let mut tar = tar::Builder::new(std::fs::File::create(&path).unwrap());
        for (name, value) in entries {
            let text = value.to_string();
            let mut header = tar::Header::new_ustar();
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        tar.finish().unwrap();
        images::names(&path)
    };
    let docker = ("manifest.json", json!([{"RepoTags": ["web:1", "host.example/web:2"]}]));
    let tag_alone = json!({"manifests": [{"annotations": {"org.opencontainers.image.ref.name": "1"}}]});
    let found = archive(&[("index.json", tag_alone.clone()), docker]).unwrap();
    assert_eq!(found, ["docker.io/library/web:1", "host.example/web:2"]);
    let podman =
        json!({"manifests": [{"annotations": {"org.opencontainers.image.ref.name": "localhost/a:1"}}]});
    assert_eq!(archive(&[("index.json", podman)]).unwrap(), ["localhost/a:1"]);
    assert!(archive(&[("index.json", tag_alone)]).unwrap_err().to_string().contains("does not name"));
    assert!(archive(&[("manifest.json", json!([{"RepoTags": ["--all-platforms"]}]))]).is_err());
}
