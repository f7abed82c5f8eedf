//! Users of their own for pods (`hostUsers: false`): root in such a pod is nobody on the node
//! (<https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/>).
//!
//! Each such pod has a range of 65,536 ids of the node that no other pod has. Which it is stands in the pod's directory, in kubelet's
//! file and words, and goes with that: nothing else is kept. From which ids the ranges are taken say `/etc/subuid` and `/etc/subgid`
//! for the user `kubelet`; without such lines they are the ids from 65,536 on, a range for each pod that the node may have.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_cri::v1::{IdMapping, NamespaceMode, UserNamespace};
use k8s_openapi::api::core::v1::PodSpec;
use serde::{Deserialize, Serialize};

/// Ids of one pod: as many as programs take for granted. Ranges begin at multiples of it.
const LENGTH: u32 = 1 << 16;
/// Whose ids they are.
const USER: &str = "kubelet";
/// In the pod's directory.
const FILE: &str = "userns";
/// Largest file that is read.
const MAX_BYTES: u64 = 64 << 10;

/// Hands out ranges. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct UserRanges {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The directories of the pods.
    pods: PathBuf,
    /// `/etc`
    etc: PathBuf,
    /// `maxPods`
    most: u32,
    /// Held while one is chosen.
    turn: Mutex<()>,
}

/// The ids that may be given away: the first, and how many ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stock {
    first: u32,
    ranges: u32,
}

/// Kubelet's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mappings {
    uid_mappings: Vec<Mapping>,
    gid_mappings: Vec<Mapping>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mapping {
    host_id: u32,
    container_id: u32,
    length: u32,
}

/// Whether the pod asks for users of its own.
pub fn wants_own_users(spec: &PodSpec) -> bool {
    spec.host_users == Some(false)
}

/// The mapping of a pod whose range begins at `first`, as CRI has it.
pub fn user_namespace(first: u32) -> UserNamespace {
    let mapping = IdMapping { host_id: first, container_id: 0, length: LENGTH };
    let mut namespace =
        UserNamespace { uids: vec![mapping], gids: vec![mapping], ..UserNamespace::default() };
    namespace.set_mode(NamespaceMode::Pod);
    namespace
}

// === impl UserRanges ===

impl UserRanges {
    /// For pods under `root` (`rootDirectory`), of the ids that `etc` says (`/etc`); there are at most `most` pods.
    pub fn new(root: &Path, etc: &Path, most: u32) -> Self {
        let (pods, etc) = (root.join("pods"), etc.to_owned());
        Self { inner: Arc::new(Inner { pods, etc, most, turn: Mutex::new(()) }) }
    }

    /// The first id of the range of the pod with this UID, which is given one if it has none.
    ///
    /// # Errors
    /// A sentence for the pod's event.
    pub async fn of(&self, uid: &str) -> Result<u32, String> {
        let (inner, uid) = (self.inner.clone(), uid.to_owned());
        tokio::task::spawn_blocking(move || inner.of(&uid)).await.map_err(|error| error.to_string())?
    }
}

impl Inner {
    fn of(&self, uid: &str) -> Result<u32, String> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.pods.join(uid);
        let said = |error: io::Error| format!("{}: {error}", folder.join(FILE).display());
        if let Some(first) = read(&folder).map_err(said)? {
            return Ok(first);
        }
        let stock = Stock::of(&self.etc, self.most)?;
        let taken = self.taken().map_err(|error| format!("{}: {error}", self.pods.display()))?;
        let mut free = (0..stock.ranges).map(|index| stock.first + index * LENGTH);
        let first = free.find(|first| !taken.contains(first));
        let first = first.ok_or_else(|| {
            let ranges = stock.ranges;
            format!("all {ranges} ranges of ids for user namespaces are taken: give {USER} more in /etc/subuid and /etc/subgid")
        })?;
        write(&folder, first).map_err(said)?;
        Ok(first)
    }

    /// Firsts of the ranges that pods have. One that cannot be read may be any: then none is given away.
    fn taken(&self) -> io::Result<BTreeSet<u32>> {
        let mut taken = BTreeSet::new();
        let entries = match self.pods.read_dir() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(taken),
            other => other?,
        };
        for entry in entries {
            let folder = entry?.path();
            taken.extend(read(&folder).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", folder.join(FILE).display()))
            })?);
        }
        Ok(taken)
    }
}

// === impl Stock ===

impl Stock {
    fn of(etc: &Path, most: u32) -> Result<Self, String> {
        let [uids, gids] = ["subuid", "subgid"].map(|name| lines(&etc.join(name)));
        let (uids, gids) = (uids?, gids?);
        if uids.is_empty() && gids.is_empty() {
            let ranges = most.min(u32::MAX / LENGTH - 1);
            return Ok(Self { first: LENGTH, ranges });
        }
        let [(first, length)] = uids[..] else {
            return Err(format!("/etc/subuid has {} lines for {USER}, and is to have one", uids.len()));
        };
        if gids != uids {
            return Err(format!("/etc/subuid and /etc/subgid are to give {USER} the same ids"));
        }
        let is_round = first.is_multiple_of(LENGTH) && length.is_multiple_of(LENGTH);
        if first < LENGTH || !is_round || first.checked_add(length).is_none() {
            return Err(format!(
                "/etc/subuid: the ids of {USER} are to begin at a multiple of {LENGTH} that is not 0 and to be a multiple of \
                 {LENGTH}, not {length} from {first} on"
            ));
        }
        let ranges = length / LENGTH;
        if ranges < most {
            return Err(format!(
                "/etc/subuid: {USER} has ids for {ranges} pods, and maxPods is {most}: it needs {} ids",
                u64::from(most) * u64::from(LENGTH)
            ));
        }
        Ok(Self { first, ranges })
    }
}

/// First id and number of ids of each line for kubelet; none where there is no file.
fn lines(path: &Path) -> Result<Vec<(u32, u32)>, String> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| format!("{}: {error}", path.display()))?,
    };
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        let mut fields = line.split(':');
        if fields.next() != Some(USER) {
            continue;
        }
        let mut number = || fields.next().and_then(|field| field.parse::<u32>().ok());
        let pair = number()
            .zip(number())
            .ok_or_else(|| format!("{}: {line:?} is no range of ids", path.display()))?;
        found.push(pair);
    }
    Ok(found)
}

fn read(folder: &Path) -> io::Result<Option<u32>> {
    let file = match File::open(folder.join(FILE)) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        other => other?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    let mappings: Mappings = serde_json::from_slice(&bytes)?;
    match (&mappings.uid_mappings[..], &mappings.gid_mappings[..]) {
        ([uids], [gids]) if uids == gids && uids.container_id == 0 && uids.length == LENGTH => {
            Ok(Some(uids.host_id))
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "not one range of 65536 ids")),
    }
}

/// On the disk when this returns.
fn write(folder: &Path, first: u32) -> io::Result<()> {
    let mapping = [Mapping { host_id: first, container_id: 0, length: LENGTH }];
    let mappings = Mappings { uid_mappings: mapping.to_vec(), gid_mappings: mapping.to_vec() };
    fs::create_dir_all(folder)?;
    let (path, beside) = (folder.join(FILE), folder.join(".userns.new"));
    let mut file = File::create(&beside)?;
    file.write_all(&serde_json::to_vec(&mappings)?)?;
    file.sync_all()?;
    fs::rename(&beside, &path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        disk: tempfile::TempDir,
        ranges: UserRanges,
    }

    fn place(files: &[(&str, &str)], most: u32) -> Place {
        let disk = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(disk.path().join(name), text).unwrap();
        }
        let ranges = UserRanges::new(disk.path(), disk.path(), most);
        Place { disk, ranges }
    }

    #[tokio::test]
    async fn each_pod_has_a_range_of_its_own_and_keeps_it() {
        let Place { disk, ranges } = place(&[], 3);
        assert_eq!(ranges.of("a").await, Ok(65_536));
        assert_eq!(ranges.of("b").await, Ok(131_072));
        assert_eq!(ranges.of("a").await, Ok(65_536));
        let text = fs::read_to_string(disk.path().join("pods/b/userns")).unwrap();
        let mapping = r#"[{"hostId":131072,"containerId":0,"length":65536}]"#;
        assert_eq!(text, format!(r#"{{"uidMappings":{mapping},"gidMappings":{mapping}}}"#));
        // After a restart.
        let again = UserRanges::new(disk.path(), disk.path(), 3);
        assert_eq!(again.of("b").await, Ok(131_072));
        assert_eq!(again.of("c").await, Ok(196_608));
        let error = again.of("d").await.unwrap_err();
        assert!(error.starts_with("all 3 ranges"), "{error}");
        fs::remove_dir_all(disk.path().join("pods/a")).unwrap();
        assert_eq!(again.of("d").await, Ok(65_536), "what a pod leaves the next one gets");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_may_name_any_range() {
        let Place { disk, ranges } = place(&[], 3);
        ranges.of("a").await.unwrap();
        fs::write(disk.path().join("pods/a/userns"), "{}").unwrap();
        for uid in ["a", "b"] {
            let error = ranges.of(uid).await.unwrap_err();
            assert!(error.contains("pods/a/userns"), "{error}");
        }
    }

    #[test]
    fn the_nodes_owner_says_which_ids() {
        let stock = |subuid: &str, subgid: &str| {
            let place = place(&[("subuid", subuid), ("subgid", subgid)], 2);
            Stock::of(place.disk.path(), 2)
        };
        let line = "root:100000:65536\nkubelet:655360:196608\n";
        assert_eq!(stock(line, line), Ok(Stock { first: 655_360, ranges: 3 }));
        assert_eq!(stock("root:1:2", ""), Ok(Stock { first: 65_536, ranges: 2 }));
        for (subuid, subgid) in [
            (line, ""),
            (line, "kubelet:655360:131072"),
            ("kubelet:0:131072", "kubelet:0:131072"),
            ("kubelet:65537:131072", "kubelet:65537:131072"),
            ("kubelet:65536:65536", "kubelet:65536:65536"),
            ("kubelet:65536:131073", "kubelet:65536:131073"),
            ("kubelet:x:y", "kubelet:x:y"),
            ("kubelet:65536:131072\nkubelet:655360:131072", "kubelet:65536:131072\nkubelet:655360:131072"),
            ("kubelet:4294901760:131072", "kubelet:4294901760:131072"),
        ] {
            assert!(stock(subuid, subgid).is_err(), "{subuid:?} {subgid:?}");
        }
    }
}
