//! What the cluster knows of a driver (`CSIDriver`), as rules for its volumes:
//! <https://kubernetes-csi.github.io/docs/csi-driver-object.html>.

use k8s_openapi::api::core::v1::PersistentVolume;
use k8s_openapi::api::storage::v1::CSIDriver;

use super::CsiVolume;
use crate::flow::MetaError;

/// Whether a volume has to be attached by the driver's controller first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attach {
    Required,
    Never,
    /// Nobody says: if there is an attachment, it counts.
    IfThere,
}

/// To which volumes the pod's group is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupPolicy {
    /// Those that one node writes and that have a file system of a known type.
    WrittenByOneNode,
    Always,
    Never,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) attach: Attach,
    /// The driver is told about the pod.
    pub(super) pod_info: bool,
    pub(super) group: GroupPolicy,
    /// Volumes are published again from time to time.
    pub(super) republish: bool,
    pub(super) persistent: bool,
    pub(super) inline: bool,
    /// Tokens that the driver is given: audience and life in seconds.
    pub(super) tokens: Vec<(String, i64)>,
}

impl Rules {
    /// From the cloud's answer. Kubernetes' defaults hold for a driver that has no object.
    ///
    /// # Errors
    /// It is not known whether there is one.
    pub(super) fn of(driver: Result<CSIDriver, MetaError>) -> Result<Self, MetaError> {
        let unsaid = Self {
            attach: Attach::Required,
            pod_info: false,
            group: GroupPolicy::WrittenByOneNode,
            republish: false,
            persistent: true,
            inline: false,
            tokens: Vec::new(),
        };
        let spec = match driver {
            Ok(driver) => driver.spec,
            Err(MetaError::NotFound { .. }) => return Ok(unsaid),
            // A KubeEdge cloud tells nobody: the driver itself refuses what it cannot do.
            Err(MetaError::Refused { .. }) => {
                return Ok(Self { attach: Attach::IfThere, inline: true, ..unsaid });
            }
            Err(other) => return Err(other),
        };
        let modes = spec.volume_lifecycle_modes.unwrap_or_default();
        let has = |mode: &str| modes.iter().any(|known| known == mode);
        Ok(Self {
            attach: if spec.attach_required == Some(false) { Attach::Never } else { Attach::Required },
            pod_info: spec.pod_info_on_mount == Some(true),
            group: match spec.fs_group_policy.as_deref() {
                Some("File") => GroupPolicy::Always,
                Some("None") => GroupPolicy::Never,
                _ => GroupPolicy::WrittenByOneNode,
            },
            republish: spec.requires_republish == Some(true),
            persistent: modes.is_empty() || has("Persistent"),
            inline: has("Ephemeral"),
            tokens: spec
                .token_requests
                .into_iter()
                .flatten()
                .map(|token| (token.audience, token.expiration_seconds.unwrap_or(3600)))
                .collect(),
        })
    }

    /// Whether the driver may be used for `volume`.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub(super) fn allow(&self, volume: &CsiVolume) -> Result<(), String> {
        let (is_allowed, mode) = match volume.is_inline {
            true => (self.inline, "Ephemeral"),
            false => (self.persistent, "Persistent"),
        };
        if is_allowed {
            return Ok(());
        }
        let driver = &volume.driver;
        Err(format!(
            "CSI driver {driver:?} does not do volumes of this kind: its CSIDriver object would have {mode:?} among volumeLifecycleModes"
        ))
    }

    /// Whether the files of `volume` are given to the pod's group.
    pub(super) fn gives(&self, volume: &CsiVolume) -> bool {
        match self.group {
            _ if volume.read_only || volume.is_block => false,
            GroupPolicy::Always => true,
            GroupPolicy::Never => false,
            GroupPolicy::WrittenByOneNode => {
                let by_one = |mode: &String| mode == "ReadWriteOnce" || mode == "ReadWriteOncePod";
                !volume.fs_type.is_empty() && (volume.is_inline || volume.access_modes.iter().any(by_one))
            }
        }
    }
}

/// Access modes of a volume.
pub(super) fn access_modes(volume: &PersistentVolume) -> Vec<String> {
    volume.spec.as_ref().and_then(|spec| spec.access_modes.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::source::inline;
    use super::*;

    fn rules(spec: Value) -> Rules {
        let driver = json!({"metadata": {"name": "d"}, "spec": spec});
        Rules::of(Ok(serde_json::from_value(driver).unwrap())).unwrap()
    }

    fn not_found() -> MetaError {
        MetaError::NotFound { kind: "csidriver", namespace: String::new(), name: "d".to_owned() }
    }

    #[test]
    fn defaults_are_kubernetes_own() {
        let empty = rules(json!({}));
        assert_eq!(empty, Rules::of(Err(not_found())).unwrap());
        assert_eq!((empty.attach, empty.persistent, empty.inline), (Attach::Required, true, false));
        let refused = MetaError::Refused { reason: "NotSupported".to_owned(), message: String::new() };
        let stock = Rules::of(Err(refused)).unwrap();
        assert_eq!((stock.attach, stock.inline), (Attach::IfThere, true));
        assert!(Rules::of(Err(MetaError::Offline { what: "it".to_owned() })).is_err(), "not known is not no");
    }

    #[test]
    fn a_driver_says_what_it_does() {
        let tokens = json!([{"audience": "vault", "expirationSeconds": 600}, {"audience": ""}]);
        let full = rules(json!({"attachRequired": false, "podInfoOnMount": true, "fsGroupPolicy": "File",
            "requiresRepublish": true, "volumeLifecycleModes": ["Ephemeral"], "tokenRequests": tokens}));
        assert_eq!((full.attach, full.group), (Attach::Never, GroupPolicy::Always));
        assert!(full.pod_info && full.republish && full.inline && !full.persistent);
        assert_eq!(full.tokens, [("vault".to_owned(), 600), (String::new(), 3600)]);
    }

    #[test]
    fn a_group_is_given_what_it_may_have() {
        let source = serde_json::from_value(json!({"driver": "d", "fsType": "ext4"})).unwrap();
        let typed = inline("v", &source);
        let volume = CsiVolume { is_inline: false, access_modes: vec!["ReadWriteOnce".to_owned()], ..typed };
        let default = rules(json!({}));
        assert!(default.gives(&volume));
        assert!(!default.gives(&CsiVolume { read_only: true, ..volume.clone() }));
        assert!(!default.gives(&CsiVolume { fs_type: String::new(), ..volume.clone() }));
        let shared = CsiVolume { access_modes: vec!["ReadWriteMany".to_owned()], ..volume.clone() };
        assert!(!default.gives(&shared));
        assert!(rules(json!({"fsGroupPolicy": "File"})).gives(&shared));
        assert!(!rules(json!({"fsGroupPolicy": "None"})).gives(&volume));
        assert!(default.allow(&volume).is_ok());
        let refused = default.allow(&CsiVolume { is_inline: true, ..volume }).unwrap_err();
        assert!(refused.contains("volumeLifecycleModes"), "{refused}");
    }
}
