//! What can be reached below an object.

/// What can be reached below an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subresource {
    /// `status`: writes change `status` only, and writes of the object leave `status` alone.
    Status,
    /// `scale`: an `autoscaling/v1` Scale over three fields of the object.
    Scale(ScalePaths),
    /// `pods/binding`: sets the node of a pod.
    Binding,
    /// `pods/eviction`: deletes a pod, politely.
    Eviction,
    /// `pods/ephemeralcontainers`: writes change `spec.ephemeralContainers` only, which nothing else may.
    EphemeralContainers,
    /// `serviceaccounts/token`: issues a token.
    Token,
    /// `namespaces/finalize`: writes change `spec.finalizers` only.
    Finalize,
    /// `certificatesigningrequests/approval`: writes change the approval conditions only.
    Approval,
}

/// Where a kind keeps what its `scale` subresource shows, as JSON paths without the leading dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalePaths {
    /// Such as `spec.replicas`.
    pub spec_replicas: String,
    /// Such as `status.replicas`.
    pub status_replicas: String,
    /// Such as `status.labelSelector`.
    pub label_selector: Option<String>,
}

impl Subresource {
    /// Its name in a URL.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale(_) => "scale",
            Self::Binding => "binding",
            Self::Eviction => "eviction",
            Self::EphemeralContainers => "ephemeralcontainers",
            Self::Token => "token",
            Self::Finalize => "finalize",
            Self::Approval => "approval",
        }
    }

    /// What discovery says it takes: group, version and kind. `None` stands for the object's own kind.
    #[must_use]
    pub fn kind(&self) -> Option<(&'static str, &'static str, &'static str)> {
        match self {
            Self::Status | Self::Finalize | Self::Approval | Self::EphemeralContainers => None,
            Self::Scale(_) => Some(("autoscaling", "v1", "Scale")),
            Self::Binding => Some(("", "v1", "Binding")),
            Self::Eviction => Some(("policy", "v1", "Eviction")),
            Self::Token => Some(("authentication.k8s.io", "v1", "TokenRequest")),
        }
    }

    /// What discovery says may be done with it.
    #[must_use]
    pub fn verbs(&self) -> &'static [&'static str] {
        match self {
            Self::Status | Self::Scale(_) | Self::Approval | Self::EphemeralContainers => {
                &["get", "patch", "update"]
            }
            Self::Binding | Self::Eviction | Self::Token => &["create"],
            Self::Finalize => &["update"],
        }
    }
}
