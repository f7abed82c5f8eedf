//! Why volumes are not there, or do not go.

/// Why a pod's volumes are not there.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VolumeError {
    /// Something is missing or failed; it may be there the next time. Text of the pod's `FailedMount` event.
    #[error("MountVolume.SetUp failed for volume {volume:?} : {cause}")]
    NotReady {
        /// Name of the volume.
        volume: String,
        /// What is missing, or what failed.
        cause: String,
    },
    /// A driver's controller has not attached the volume to this node. Text of the pod's `FailedAttachVolume` event.
    #[error("AttachVolume.Attach failed for volume {volume:?} : {cause}")]
    NotAttached {
        /// Name of the volume.
        volume: String,
        /// What is missing.
        cause: String,
    },
    /// The volume has grown, and its file system has not. Text of the pod's `FileSystemResizeFailed` event.
    #[error("MountVolume.NodeExpandVolume failed for volume {volume:?} : {cause}")]
    NotGrown {
        /// Name of the volume.
        volume: String,
        /// What failed.
        cause: String,
    },
    /// The pod asks for what this node cannot do; only another pod can mend that.
    #[error("volume {volume:?}: {reason}")]
    Invalid {
        /// Name of the volume.
        volume: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The pod's directory could not be removed; it can be tried again.
    #[error("volumes of pod {uid}: {cause}")]
    TearDown {
        /// UID of the pod.
        uid: String,
        /// What failed.
        cause: String,
    },
}

impl VolumeError {
    /// Can it be different the next time?
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Invalid { .. })
    }

    /// Reason of the event about it, in kubelet's words.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotAttached { .. } => "FailedAttachVolume",
            Self::NotGrown { .. } => "FileSystemResizeFailed",
            Self::NotReady { .. } | Self::Invalid { .. } => "FailedMount",
            Self::TearDown { .. } => "FailedUnMount",
        }
    }

    pub(super) fn not_ready(volume: &str, cause: impl ToString) -> Self {
        Self::NotReady { volume: volume.to_owned(), cause: cause.to_string() }
    }

    pub(super) fn invalid(volume: &str, reason: impl Into<String>) -> Self {
        Self::Invalid { volume: volume.to_owned(), reason: reason.into() }
    }
}
