//! `vol_data.json`: which volume of which driver is at a place. Kubelet's file, so that its volumes are taken away, too.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Name of the file.
const FILE: &str = "vol_data.json";
/// Largest file that is read: a handle has 128 bytes, the rest is names.
const MAX_BYTES: u64 = 64 << 10;
/// Directories of volumes: only root needs to get through.
const MODE: u32 = 0o750;

/// What it says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Record {
    pub(super) driver_name: String,
    pub(super) volume_handle: String,
    #[serde(rename = "specVolID", skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) node_name: String,
    #[serde(rename = "attachmentID", skip_serializing_if = "String::is_empty")]
    pub(super) attachment: String,
    /// `Persistent` or `Ephemeral`
    #[serde(rename = "volumeLifecycleMode", skip_serializing_if = "String::is_empty")]
    pub(super) lifecycle: String,
}

// === impl Record ===

impl Record {
    /// Whether both are of the same volume.
    pub(super) fn is_of(&self, driver: &str, handle: &str) -> bool {
        self.driver_name == driver && self.volume_handle == handle
    }
}

/// Makes a directory and those above it.
pub(super) fn make_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(MODE).create(path)
}

/// Writes the record of `folder`, which is made; on the disk when this returns. One that is there and says the same stays.
pub(super) fn write(folder: &Path, record: &Record) -> io::Result<()> {
    if read(folder).is_ok_and(|known| known.as_ref() == Some(record)) {
        return Ok(());
    }
    make_dir(folder)?;
    let (path, beside) = (folder.join(FILE), folder.join(".vol_data.json.new"));
    let mut file = fs::File::create(&beside)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    file.sync_all()?;
    fs::rename(&beside, &path)?;
    fs::File::open(folder)?.sync_all()
}

/// Reads the record of `folder`; `None` where there is none.
///
/// # Errors
/// It cannot be read, or is none.
pub(super) fn read(folder: &Path) -> io::Result<Option<Record>> {
    let path = folder.join(FILE);
    let file = match fs::File::open(&path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        other => other?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    let broken = |error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()));
    let record: Record = serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
    if record.driver_name.is_empty() || record.volume_handle.is_empty() {
        return Err(broken("it names no volume".to_owned()));
    }
    Ok(Some(record))
}

/// Removes the record and its folder, which has to be empty but for it.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    for name in [FILE, ".vol_data.json.new"] {
        gone(fs::remove_file(folder.join(name)))?;
    }
    gone(fs::remove_dir(folder))
}

/// What is not there need not be removed.
pub(super) fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_kubelets() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        assert_eq!(read(&folder).unwrap(), None);
        let record = Record {
            driver_name: "d".to_owned(),
            volume_handle: "v".to_owned(),
            name: "pv1".to_owned(),
            node_name: "edge-1".to_owned(),
            attachment: "csi-1".to_owned(),
            lifecycle: "Persistent".to_owned(),
        };
        write(&folder, &record).unwrap();
        let text = fs::read_to_string(folder.join("vol_data.json")).unwrap();
        assert_eq!(
            text,
            r#"{"driverName":"d","volumeHandle":"v","specVolID":"pv1","nodeName":"edge-1","attachmentID":"csi-1","volumeLifecycleMode":"Persistent"}"#
        );
        assert_eq!(read(&folder).unwrap(), Some(record));
        // Kubelet writes more than is read, and less where a volume is staged.
        let kubelets = r#"{"driverName":"d","volumeHandle":"v","seLinuxMountContext":""}"#;
        fs::write(folder.join("vol_data.json"), kubelets).unwrap();
        assert!(read(&folder).unwrap().unwrap().is_of("d", "v"));
        fs::write(folder.join("vol_data.json"), "{}").unwrap();
        assert!(read(&folder).unwrap_err().to_string().contains("names no volume"));
        fs::write(folder.join("other"), "").unwrap();
        assert!(remove(&folder).is_err(), "nothing but the record is removed");
        fs::remove_file(folder.join("other")).unwrap();
        remove(&folder).unwrap();
        remove(&folder).unwrap();
        assert!(!folder.exists());
    }
}
