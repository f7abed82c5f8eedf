//! Files: modes, whole content at every moment, and what a power cut leaves.

use std::os::unix::fs::PermissionsExt as _;

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::ca::Ca;
use crate::san::SanList;

struct Pair {
    dir: TempDir,
    ca: Ca,
}

impl Pair {
    fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), ca: Ca::generate(Timestamp::UNIX_EPOCH).unwrap() }
    }

    fn certificate(&self) -> PathBuf {
        self.dir.path().join("certs/server.crt")
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("certs/server.key")
    }

    fn identity(&self) -> TlsIdentity {
        self.ca.issue_server(&SanList::new(["a"]), Timestamp::UNIX_EPOCH).unwrap()
    }

    fn read(&self) -> Result<Option<TlsIdentity>, FileError> {
        read_pair(&self.certificate(), &self.key())
    }

    fn write(&self, identity: &TlsIdentity) {
        write_pair(&self.certificate(), &self.key(), identity).unwrap();
    }

    fn holds(&self, identity: &TlsIdentity) -> bool {
        self.read().unwrap().unwrap().certificate() == identity.certificate()
    }
}

#[test]
fn a_pair_reads_back_and_only_root_reads_the_key() {
    let pair = Pair::new();
    assert!(pair.read().unwrap().is_none());
    let identity = pair.identity();
    pair.write(&identity);
    assert!(pair.holds(&identity));
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(pair.key()), mode(pair.certificate())), (MODE_SECRET, MODE_PUBLIC));
    assert_eq!(fs::read_dir(pair.dir.path().join("certs")).unwrap().count(), 2, "nothing is left beside");
}

/// Cuts the power after each of the four steps of a second [`write_pair`].
#[test]
fn after_a_cut_at_any_step_a_whole_pair_is_there() {
    for steps in 0..=4 {
        let pair = Pair::new();
        let (old, new) = (pair.identity(), pair.identity());
        pair.write(&old);
        let certificate = armor::encode_certificate(new.certificate());
        let key_text = new.key().to_pem();
        if steps >= 1 {
            stage(&pair.key(), key_text.as_bytes(), MODE_SECRET).unwrap();
        }
        if steps >= 2 {
            stage(&pair.certificate(), certificate.as_bytes(), MODE_PUBLIC).unwrap();
        }
        if steps >= 3 {
            commit(&staged_path(&pair.key()), &pair.key()).unwrap();
        }
        if steps >= 4 {
            commit(&staged_path(&pair.certificate()), &pair.certificate()).unwrap();
        }
        let expected = if steps >= 3 { &new } else { &old };
        assert!(pair.holds(expected), "cut after step {steps}");
        assert!(pair.holds(expected), "and again, cut after step {steps}");
        // And the next rotation works whatever was left.
        let newer = pair.identity();
        pair.write(&newer);
        assert!(pair.holds(&newer));
    }
}

#[test]
fn a_cut_in_the_very_first_write_is_finished_too() {
    let pair = Pair::new();
    let identity = pair.identity();
    stage(&pair.certificate(), armor::encode_certificate(identity.certificate()).as_bytes(), MODE_PUBLIC)
        .unwrap();
    write_atomically(&pair.key(), identity.key().to_pem().as_bytes(), MODE_SECRET).unwrap();
    assert!(pair.holds(&identity));
    assert!(pair.certificate().exists());
}

#[test]
fn parts_of_two_pairs_and_garbage_are_refused_by_name() {
    let pair = Pair::new();
    pair.write(&pair.identity());
    write_atomically(&pair.key(), pair.identity().key().to_pem().as_bytes(), MODE_SECRET).unwrap();
    assert!(matches!(pair.read(), Err(FileError::Mismatch { .. })));

    write_atomically(&pair.certificate(), b"garbage", MODE_PUBLIC).unwrap();
    let error = pair.read().unwrap_err();
    assert!(error.to_string().contains("server.crt"), "{error}");

    write_atomically(&pair.key(), &vec![b'a'; 1 << 20], MODE_SECRET).unwrap();
    assert!(matches!(pair.read(), Err(FileError::TooLarge(_))));
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let pair = Pair::new();
    let file = pair.dir.path().join("file");
    write_atomically(&file, b"", MODE_PUBLIC).unwrap();
    let error = write_atomically(&file.join("x"), b"", MODE_PUBLIC).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
}
