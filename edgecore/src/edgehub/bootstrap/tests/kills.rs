//! A node that is killed with SIGKILL again and again while it renews its certificate: a real process, files, and TLS with a cloud. Whatever moment
//! it was, the next start finds a certificate and its key that belong together and that the cloud takes.
//!
//! `make chaos` kills five hundred times: `KILLS` says how often, `START` is the seed of the moments.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;

/// Seconds that are left of a life when the first renewal of it has begun: it takes a few hundredths, half of them for the files.
const LIFE: std::ops::Range<f64> = 0.0..0.1;
/// A process that cannot start is seen to have ended within this.
const END: Duration = Duration::from_secs(20);
/// Where the child finds its files and its cloud.
const FOLDER: &str = "RENEWAL_FOLDER";
const CLOUD: &str = "RENEWAL_CLOUD";

/// What a kill has left in the folder.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    /// Nothing was being written.
    #[default]
    AtRest,
    /// Something beside the old pair.
    Staged,
    /// The new key has its name, its certificate does not yet.
    HalfSwitched,
}

/// The node: renews its certificate for as long as it lives.
#[tokio::test]
#[ignore = "the child of the tests below"]
async fn child_that_renews() {
    let (Some(folder), Some(cloud)) = (environment(FOLDER), environment(CLOUD)) else { return };
    let config = Config { token: None, ..files(Path::new(&folder), cloud.parse().unwrap()) };
    let clock = Clock::system();
    // Without a token there is no other way than the files.
    let joined = load_or_join(&config, &clock, &Rng::seeded(1)).await.unwrap();
    let (mut rotation, _credentials) = Rotation::new(config, joined, clock, Rng::seeded(1)).unwrap();
    loop {
        // The cloud may still be busy with the connection of the one that was killed.
        rotation.rotate().await.ok();
    }
}

fn files(folder: &Path, server: Endpoint) -> Config {
    Config {
        server,
        node: node("edge1"),
        token: None,
        ca_file: folder.join("ca/rootCA.crt"),
        certificate_file: folder.join("certs/server.crt"),
        key_file: folder.join("certs/server.key"),
        retry: RETRY,
    }
}

#[expect(clippy::disallowed_methods, reason = "the test harness passes no arguments on")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn child(folder: &Path, cloud: &Cloud) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "edgehub::bootstrap::tests::kills::child_that_renews",
            "--ignored",
            "--test-threads=1",
        ])
        .env(FOLDER, folder)
        .env(CLOUD, cloud.endpoint().to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Of a copy, since looking finishes what was begun: that is for the next start.
fn look(config: &Config) -> (Left, TlsIdentity) {
    let copy = TempDir::new().unwrap();
    let at = files(copy.path(), config.server.clone());
    std::fs::create_dir(copy.path().join("certs")).unwrap();
    for entry in std::fs::read_dir(config.key_file.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join("certs").join(entry.file_name())).unwrap();
    }
    let staged =
        |path: &Path| path.with_extension(format!("{}.next", path.extension().unwrap().display())).exists();
    let left = match (staged(&at.key_file), staged(&at.certificate_file)) {
        (false, true) => Left::HalfSwitched,
        (true, _) => Left::Staged,
        (false, false) => Left::AtRest,
    };
    let found = read_pair(&at.certificate_file, &at.key_file);
    (left, found.unwrap_or_else(|error| panic!("{left:?}: {error}")).expect("a pair is there"))
}

async fn kill_again_and_again(kills: u64, seed: u64) {
    let cloud = Cloud::new(Behaviour::Good).await;
    let folder = TempDir::new().unwrap();
    let config = files(folder.path(), cloud.endpoint());
    write_ca(config.clone(), cloud.ca().cert_der().clone()).await.unwrap();
    write_identity(config.clone(), cloud.identity("edge1", DAY)).await.unwrap();
    let rng = Rng::seeded(seed);
    let mut counts = std::collections::BTreeMap::<Left, u64>::new();
    let (mut last, mut renewed) = (look(&config).1, 0);
    for kill in 0..kills {
        let mut child = child(folder.path(), &cloud);
        let life = async {
            // One that never asks has ended, which is looked at next.
            tokio::time::timeout(END, cloud.asked()).await.ok();
            sleep(Duration::from_secs_f64(rng.range(LIFE))).await;
        };
        cloud.beside(life).await;
        if let Some(ended) = child.try_wait().unwrap() {
            panic!("kill {kill}: the node could not start from what the one before has left: {ended}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let (left, pair) = look(&config);
        *counts.entry(left).or_default() += 1;
        let info = CertificateInfo::from_der(pair.certificate()).unwrap();
        assert!(info.belongs_to(pair.key()), "kill {kill}, {left:?}");
        assert_eq!(info.node(), Ok(node("edge1")));
        assert!(certificate::is_signed_by(pair.certificate(), cloud.ca().key().public_point()));
        renewed += u64::from(pair.certificate() != last.certificate());
        last = pair;
    }
    let answers = cloud.requests().len();
    eprintln!(
        "{kills} kills, {answers} requests; another pair than before after {renewed} of them; what they left: {counts:?}"
    );
    assert!(renewed > 0, "nothing was ever renewed");
    // And the one after all of them is let in with what is there.
    let joined = load_or_join(&config, &Clock::system(), &rng).await.unwrap();
    let (mut rotation, _credentials) = Rotation::new(config, joined, Clock::system(), rng).unwrap();
    tokio::time::timeout(END, cloud.beside(rotation.rotate())).await.unwrap().unwrap();
}

/// A slice of the many.
#[tokio::test]
async fn a_node_that_is_killed_while_it_renews_its_certificate_has_a_pair() {
    kill_again_and_again(12, 1).await;
}

/// See `make chaos`.
#[tokio::test]
#[ignore = "five hundred kills take minutes: `make chaos`"]
async fn renewal_under_sigkill() {
    let number = |name: &str, default| environment(name).map_or(default, |value| value.parse().unwrap());
    kill_again_and_again(number("KILLS", 500), number("START", 1)).await;
}
