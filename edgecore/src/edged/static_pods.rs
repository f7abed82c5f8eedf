//! Static pods: those that files of this node describe
//! (<https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/>).
//!
//! [`StaticPods`] reads the folder `staticPodPath` whenever something in it changes, and tells the whole set. The API shows
//! each as a mirror pod: [`mirror`] says which are missing or too many, and [`clerk`] has the cloud make and remove them. A file
//! that makes no sense is told in the log and keeps the others from nothing.

pub mod clerk;
pub mod mirror;
mod parse;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;

use super::folder_watch::Watch;

/// Largest file that is read. A pod of the API is at most 1.5 MiB, etcd's limit.
const MAX_FILE: u64 = 1_536 << 10;
/// Files that are looked at; kubelet runs 110 pods.
const MAX_FILES: usize = 1_000;

/// The pods of all files; `None` before they were read for the first time.
pub type Found = Option<Arc<Vec<Arc<Pod>>>>;

/// Where the files are.
#[derive(Debug, Clone)]
pub struct StaticPodConfig {
    /// The folder. One that does not exist holds no pods.
    pub folder: PathBuf,
    /// Whatever tells of changes, the folder is read again so often: it may not be there yet, or be another machine's.
    pub every: Duration,
}

/// Reads the folder.
#[derive(Debug)]
pub struct StaticPods {
    folder: PathBuf,
    every: Duration,
    node: String,
    seen: Timestamp,
    found: watch::Sender<Found>,
    /// What is wrong with a file was said, and need not be said again.
    told: BTreeMap<PathBuf, String>,
}

// === impl StaticPods ===

impl StaticPods {
    /// Of the node of this name.
    pub fn new(config: StaticPodConfig, node: &str, now: Timestamp) -> (Self, watch::Receiver<Found>) {
        let (found, receiver) = watch::channel(None);
        let StaticPodConfig { folder, every } = config;
        let every = every.max(Duration::from_secs(1));
        (Self { folder, every, node: node.to_owned(), seen: now, found, told: BTreeMap::new() }, receiver)
    }

    /// Reads, and reads again when something changes, for ever.
    pub async fn run(mut self) -> Infallible {
        loop {
            // Watched before it is read: nothing is missed in between.
            let watch = Watch::new(&self.folder).ok();
            self.read().await;
            let changed = async {
                match &watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            if let Ok(Err(error)) = tokio::time::timeout(self.every, changed).await {
                tracing::warn!(folder = %self.folder.display(), %error, "changes are not told");
            }
        }
    }

    async fn read(&mut self) {
        let (folder, node, seen) = (self.folder.clone(), self.node.clone(), self.seen);
        let read = tokio::task::spawn_blocking(move || read_folder(&folder, &node, seen)).await;
        let (pods, problems) = match read {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => {
                // Pods do not go because a disk cannot be read.
                self.tell([(self.folder.clone(), error.to_string())].into());
                return;
            }
            Err(error) => {
                tracing::error!(%error, "static pods were not read");
                return;
            }
        };
        self.tell(problems);
        self.found.send_if_modified(|found| {
            let is_news = found.as_ref().is_none_or(|found| **found != pods);
            *found = Some(Arc::new(pods));
            is_news
        });
    }

    fn tell(&mut self, problems: BTreeMap<PathBuf, String>) {
        for (path, problem) in &problems {
            if self.told.get(path) != Some(problem) {
                tracing::error!(path = %path.display(), problem, "no static pod");
            }
        }
        self.told = problems;
    }
}

type Read = (Vec<Arc<Pod>>, BTreeMap<PathBuf, String>);

/// Every pod, by the names of the files, and what is wrong with the others.
fn read_folder(folder: &Path, node: &str, seen: Timestamp) -> io::Result<Read> {
    let mut paths = Vec::new();
    let entries = match folder.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), BTreeMap::new())),
        other => other?,
    };
    for entry in entries.take(MAX_FILES) {
        let path = entry?.path();
        // What begins with a dot is half written, or an editor's.
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden && path.metadata().is_ok_and(|metadata| metadata.is_file()) {
            paths.push(path);
        }
    }
    paths.sort();
    let mut pods: Vec<Arc<Pod>> = Vec::new();
    let mut problems = BTreeMap::new();
    for path in paths {
        match read_file(&path).and_then(|text| parse::pod(&text, node, seen)) {
            Ok(pod) => {
                let same = |other: &&Arc<Pod>| {
                    other.metadata.name == pod.metadata.name
                        && other.metadata.namespace == pod.metadata.namespace
                };
                if pods.iter().any(|other| same(&other)) {
                    problems.insert(path, "another file has a pod of this name".to_owned());
                } else {
                    pods.push(Arc::new(pod));
                }
            }
            Err(problem) => drop(problems.insert(path, problem)),
        }
    }
    Ok((pods, problems))
}

fn read_file(path: &Path) -> Result<String, String> {
    let size = path.metadata().map_err(|error| error.to_string())?.len();
    if size > MAX_FILE {
        return Err(format!("{size} bytes are more than the {MAX_FILE} that a pod may have"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str =
        "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: a, image: b}]}}";

    #[test]
    fn a_file_that_makes_no_sense_keeps_no_other_from_running() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in
            [("a.yaml", POD), ("b.yaml", POD), ("c.yaml", "kind: Service"), (".d.yaml", POD), ("e", "")]
        {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let (pods, problems) = read_folder(dir.path(), "edge-1", Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(pods.len(), 1);
        assert_eq!(pods[0].metadata.name.as_deref(), Some("web-edge-1"));
        let names: Vec<_> = problems.keys().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["b.yaml", "c.yaml", "e"]);
        let missing = read_folder(&dir.path().join("none"), "edge-1", Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(missing.0.len(), 0);
    }

    #[tokio::test]
    async fn what_changes_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let config = StaticPodConfig { folder: dir.path().to_owned(), every: Duration::from_secs(3600) };
        let (pods, mut found) = StaticPods::new(config, "edge-1", Timestamp::UNIX_EPOCH);
        let _running = chassis::task::spawn(tracing::Span::none(), async move {
            pods.run().await;
        });
        let count = |found: &Found| found.as_ref().map(|pods| pods.len());
        let patience = Duration::from_secs(20);
        let mut until = async |wanted| {
            let waited = tokio::time::timeout(patience, found.wait_for(|found| count(found) == Some(wanted)));
            waited.await.unwrap().unwrap();
        };
        until(0).await;
        std::fs::write(dir.path().join("web.yaml"), POD).unwrap();
        until(1).await;
        std::fs::remove_file(dir.path().join("web.yaml")).unwrap();
        until(0).await;
    }
}
