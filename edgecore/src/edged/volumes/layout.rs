//! Where volumes live on disk: kubelet's own layout, so that a stock EdgeCore's pods are adopted with their data.

use std::path::{Path, PathBuf};

/// The directory of all pods, and of each of them, under `rootDirectory`.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pods: PathBuf,
}

impl Layout {
    /// `root` is `rootDirectory` of the configuration.
    pub(super) fn new(root: &Path) -> Self {
        Self { pods: root.join("pods") }
    }

    /// `pods`: one directory per pod, named by its UID.
    pub(super) fn pods(&self) -> &Path {
        &self.pods
    }

    /// Everything of one pod; `None` when the UID could lead out of the directory.
    pub(super) fn pod(&self, uid: &str) -> Option<PathBuf> {
        is_one_component(uid).then(|| self.pods.join(uid))
    }

    /// `volumes/kubernetes.io~<plugin>/<volume>` of a pod.
    pub(super) fn volume(pod: &Path, plugin: &str, volume: &str) -> PathBuf {
        pod.join("volumes").join(format!("kubernetes.io~{plugin}")).join(volume)
    }

    /// `volume-subpaths` of a pod: what lies on its volumes.
    pub(super) fn subpaths(pod: &Path) -> PathBuf {
        pod.join("volume-subpaths")
    }

    /// `volume-subpaths/<volume>/<container>/<index of the mount>` of a pod.
    pub(super) fn subpath(pod: &Path, volume: &str, container: &str, index: usize) -> PathBuf {
        Self::subpaths(pod).join(volume).join(container).join(index.to_string())
    }
}

/// A name that stays in its directory.
pub(in crate::edged) fn is_one_component(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kubelets() {
        let pod = Layout::new(Path::new("/var/lib/kubelet")).pod("u1").unwrap();
        assert_eq!(
            Layout::volume(&pod, "empty-dir", "cache"),
            Path::new("/var/lib/kubelet/pods/u1/volumes/kubernetes.io~empty-dir/cache")
        );
        assert_eq!(
            Layout::subpath(&pod, "cache", "web", 2),
            Path::new("/var/lib/kubelet/pods/u1/volume-subpaths/cache/web/2")
        );
    }

    #[test]
    fn a_uid_cannot_lead_elsewhere() {
        for uid in ["", ".", "..", "../x", "a/b", "/etc", "a\0b"] {
            assert!(Layout::new(Path::new("/r")).pod(uid).is_none(), "{uid:?}");
        }
    }
}
