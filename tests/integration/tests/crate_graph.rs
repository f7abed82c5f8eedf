//! The crate graph of `ARCHITECTURE.md`, section "Crates": dependencies point one way.
//!
//! Cargo is asked what the manifests and the lock file say; nothing is built and nothing is downloaded.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// Lower crates first. A crate may use those of earlier rows, and neither its neighbours nor what is above it.
const ROWS: &[&[&str]] = &[
    &["proto", "heap", "demo-app"],
    &["certs", "chassis"],
    &["apiserver", "mapper-framework", "mqtt"],
    &["cloudcore", "edgecore", "keadm", "virtual-mapper", "modbus-mapper", "opcua-mapper", "hollow-edge"],
    &["integration"],
];

/// What does I/O, or brings in what does. `proto` is types only, so that it can be fuzzed and used anywhere.
const IO: &[&str] =
    &["tokio", "mio", "socket2", "hyper", "tonic", "kube-client", "rustls", "rusqlite", "nix"];

/// Second TLS providers. rustls takes whichever one the process has, so with two of them a build that works depends
/// on which module came first. `deny.toml` bans the same ones, but cargo-deny is not installed everywhere.
const OTHER_TLS: &[&str] = &["aws-lc-rs", "aws-lc-sys", "boring", "native-tls", "openssl", "openssl-sys"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Clone, Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Clone, Deserialize)]
struct Dependency {
    name: String,
    /// Where it is, if it is a crate of this repository.
    path: Option<PathBuf>,
}

fn workspace() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).expect("this crate lies two folders below the workspace")
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(workspace())
        .output()
        .expect("cargo is what runs this test");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

fn packages() -> Vec<Package> {
    let text = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Metadata = serde_json::from_str(&text).expect("the documented format 1 of cargo metadata");
    metadata.packages
}

fn row(name: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&name))
}

/// Every dependency that points the wrong way, those for tests and build scripts included.
fn violations(packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        let Some(at) = row(&package.name) else {
            found.push(format!("{} has no row: give it one here and in ARCHITECTURE.md", package.name));
            continue;
        };
        let ours = package.dependencies.iter().filter(|dependency| dependency.path.is_some());
        // A crate that names itself turns on a feature of its own for its tests.
        let others = ours.filter(|dependency| dependency.name != package.name);
        for Dependency { name, .. } in others.filter(|other| row(&other.name).is_none_or(|below| below >= at))
        {
            found.push(format!("{} must not use {name}", package.name));
        }
    }
    found
}

#[test]
fn dependencies_point_one_way() {
    let packages = packages();
    assert_eq!(violations(&packages), Vec::<String>::new());
    for name in ROWS.concat() {
        assert!(
            packages.iter().any(|package| package.name == name),
            "{name} has a row but is no crate any more"
        );
    }
}

#[test]
fn a_dependency_that_points_the_wrong_way_is_found() {
    let package = |name: &str, uses: &[&str]| Package {
        name: name.into(),
        dependencies: uses
            .iter()
            .map(|name| Dependency { name: (*name).into(), path: Some("x".into()) })
            .collect(),
    };
    let found = |name, uses| violations(&[package(name, uses)]);
    assert_eq!(found("edgecore", &["chassis", "edgecore"]), Vec::<String>::new());
    assert_eq!(found("edgecore", &["proto", "cloudcore"]), ["edgecore must not use cloudcore"]);
    assert_eq!(found("proto", &["chassis"]), ["proto must not use chassis"]);
    assert_eq!(found("chassis", &["newcomer"]), ["chassis must not use newcomer"]);
    assert_eq!(found("newcomer", &[]), ["newcomer has no row: give it one here and in ARCHITECTURE.md"]);
    let foreign = Dependency { name: "cloudcore".into(), path: None };
    assert_eq!(
        violations(&[Package { name: "proto".into(), dependencies: vec![foreign] }]),
        Vec::<String>::new()
    );
}

#[test]
fn proto_does_no_io() {
    let tree =
        cargo(&["tree", "--package", "proto", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names.first(), Some(&"proto"), "{tree}");
    let found: Vec<&&str> = IO.iter().filter(|name| names.contains(name)).collect();
    assert!(found.is_empty(), "proto has come to depend on {found:?}: {tree}");
}

#[test]
fn there_is_one_tls_provider() {
    let path = workspace().join("Cargo.lock");
    let lock = std::fs::read_to_string(&path).expect("the lock file is committed");
    let has = |name: &str| lock.lines().any(|line| line == format!("name = \"{name}\""));
    assert!(has("ring"), "{} is not what this test takes it for", path.display());
    let found: Vec<&&str> = OTHER_TLS.iter().filter(|name| has(name)).collect();
    assert!(found.is_empty(), "{found:?} came in: `cargo tree --invert` says through what");
}
