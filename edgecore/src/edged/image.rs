//! Images: is one here, may it be pulled, and with whose name and password.
//!
//! <https://kubernetes.io/docs/concepts/containers/images/>. Pulls run one after the other unless the configuration says otherwise
//! ([`PullLimits`]): two at once on a thin line only make both late.

mod credentials;
mod limits;
mod reference;

use k8s_cri::v1::{AuthConfig, PodSandboxConfig};
use k8s_openapi::api::core::v1::{Container, Pod, Secret};

use self::limits::Pace;
pub use credentials::{Keyring, KeyringError};
pub use limits::PullLimits;
pub use reference::{ImageReference, ReferenceError};

use super::runtime::{Image, Runtime, RuntimeError};

/// `imagePullPolicy`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// Ask the registry each time a container is made.
    Always,
    /// Only what is not here.
    IfNotPresent,
    /// What is not here cannot be run.
    Never,
}

/// Why a container has no image.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ImageError {
    /// Its name makes no sense.
    #[error("couldn't parse image name {image:?}: {source}")]
    InvalidName {
        /// The name.
        image: String,
        /// What is wrong with it.
        source: ReferenceError,
    },
    /// It is not on this node, and the pod says not to pull it.
    #[error("Container image {0:?} is not present with pull policy of Never")]
    NeverPull(String),
    /// The registry, or the way to it, failed.
    #[error("failed to pull image {image:?}: {message}")]
    Pull {
        /// The image.
        image: String,
        /// The runtime's text.
        message: String,
    },
    /// The runtime cannot be reached.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// How an image came to be here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It was on the node.
    Present(Image),
    /// It was pulled.
    Pulled(Image),
}

/// Why a pull does not begin, in kubelet's words.
const TOO_MANY: &str = "pull QPS exceeded";

/// Pulls images, within limits.
#[derive(Debug)]
pub struct Images {
    runtime: Runtime,
    pace: Pace,
}

impl PullPolicy {
    /// Of a container; where it says nothing, `Always` for the tag `latest`, else `IfNotPresent`.
    pub fn of(container: &Container) -> Self {
        match container.image_pull_policy.as_deref() {
            Some("Always") => Self::Always,
            Some("Never") => Self::Never,
            Some("IfNotPresent") => Self::IfNotPresent,
            _ => {
                let image = container.image.as_deref().unwrap_or_default();
                let latest = image.parse().is_ok_and(|image: ImageReference| image.is_latest());
                if latest { Self::Always } else { Self::IfNotPresent }
            }
        }
    }
}

impl Images {
    /// Images of this runtime.
    pub fn new(runtime: Runtime, limits: PullLimits) -> Self {
        Self { runtime, pace: Pace::new(limits) }
    }

    /// Is the image here, and is that enough? `None`: it has to be pulled.
    pub async fn present(&self, container: &Container) -> Result<Option<Image>, ImageError> {
        let image = container.image.as_deref().unwrap_or_default();
        parse(image)?;
        match (PullPolicy::of(container), self.runtime.image(image).await?) {
            (PullPolicy::Always, _) | (PullPolicy::IfNotPresent, None) => Ok(None),
            (PullPolicy::IfNotPresent | PullPolicy::Never, Some(image)) => Ok(Some(image)),
            (PullPolicy::Never, None) => Err(ImageError::NeverPull(image.to_owned())),
        }
    }

    /// Pulls an image, trying each of the passwords that `keyring` has for its registry, or none.
    pub async fn pull(
        &self,
        image: &str,
        keyring: &Keyring,
        sandbox: PodSandboxConfig,
    ) -> Result<Image, ImageError> {
        let reference = parse(image)?;
        let _turn = self.pace.turn().await;
        if !self.pace.may_begin() {
            return Err(ImageError::Pull { image: image.to_owned(), message: TOO_MANY.to_owned() });
        }
        let mut last = None;
        let known: Vec<Option<AuthConfig>> = keyring.find(&reference).into_iter().map(Some).collect();
        let tries = if known.is_empty() { vec![None] } else { known };
        for auth in tries {
            match self.runtime.pull_image(image, auth, sandbox.clone()).await {
                Ok(pulled) => return self.pulled(image, &pulled).await,
                Err(error) if error.is_outage() => return Err(error.into()),
                Err(error) => last = Some(error),
            }
        }
        let message = last.map(|error| error.to_string()).unwrap_or_default();
        Err(ImageError::Pull { image: image.to_owned(), message })
    }

    async fn pulled(&self, image: &str, pulled: &str) -> Result<Image, ImageError> {
        let found = self.runtime.image(pulled).await?;
        found.ok_or_else(|| ImageError::Pull {
            image: image.to_owned(),
            message: format!("{pulled} was pulled, but is not there"),
        })
    }
}

/// Names of the secrets with the pod's passwords for registries.
pub fn pull_secrets(pod: &Pod) -> impl Iterator<Item = &str> {
    let references = pod.spec.as_ref().and_then(|spec| spec.image_pull_secrets.as_ref());
    references.into_iter().flatten().map(|reference| reference.name.as_str()).filter(|name| !name.is_empty())
}

/// The passwords in these secrets; one that cannot be read is left out, with a line in the log.
pub fn keyring<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Keyring {
    let mut keyring = Keyring::default();
    for secret in secrets {
        if let Err(error) = keyring.add(secret) {
            let name = secret.metadata.name.as_deref().unwrap_or_default();
            tracing::warn!(secret = name, %error, "image pull secret left out");
        }
    }
    keyring
}

fn parse(image: &str) -> Result<ImageReference, ImageError> {
    image.parse().map_err(|source| ImageError::InvalidName { image: image.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(image: &str, policy: Option<&str>) -> PullPolicy {
        PullPolicy::of(&Container {
            image: Some(image.to_owned()),
            image_pull_policy: policy.map(str::to_owned),
            ..Container::default()
        })
    }

    #[test]
    fn latest_is_always_pulled_unless_told_otherwise() {
        assert_eq!(policy("app", None), PullPolicy::Always);
        assert_eq!(policy("app:latest", None), PullPolicy::Always);
        assert_eq!(policy("app:1", None), PullPolicy::IfNotPresent);
        assert_eq!(policy("app:latest", Some("IfNotPresent")), PullPolicy::IfNotPresent);
        assert_eq!(policy("app:1", Some("Never")), PullPolicy::Never);
    }
}
