//! Who asks, and whether that one may: a token of the Kubernetes API that was made for the router, or one of a file.
//!
//! A token of the API must be for the audience `router.kubeedge.io` (`kubectl create token NAME --audience router.kubeedge.io`): one that is
//! good for the API itself is not taken, so nobody need show the router what opens the API. A service account may use the rules of its own
//! namespace; anybody else, and any other rule, needs to be allowed to `create` `rules/messages` of `rules.kubeedge.io`.

mod cache;
mod file;
mod reviews;

use std::path::Path;

use http::{HeaderMap, header};
use kube::Client;
use sha2::{Digest as _, Sha256};

use self::file::TokenFile;
use self::reviews::Reviews;
use super::rules::Key;

/// The audience of tokens for the router.
const AUDIENCE: &str = "router.kubeedge.io";
/// Longest token, in bytes. One of a service account has about 1 KiB.
const LONGEST: usize = 8 << 10;

/// A token as it is compared and remembered.
type Fingerprint = [u8; 32];

/// Who may ask.
#[derive(Debug)]
pub(super) enum Authority {
    /// Everybody who reaches the port (`modules.router.insecure`).
    Anybody,
    /// Who has a token of the file (`modules.router.tokenFile`).
    File(TokenFile),
    /// Whom the Kubernetes API knows.
    Kubernetes(Box<Reviews>),
}

/// Somebody who has shown who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// For logs.
    pub(super) name: String,
    fingerprint: Fingerprint,
    may: May,
}

/// What somebody may without being asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum May {
    /// Every rule.
    All,
    /// The rules of this namespace, and no others.
    Only(String),
    /// The rules of this namespace, where there is one; for others the API is asked.
    Ask { own: Option<String>, user: Box<reviews::User> },
}

/// Why somebody may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    /// Nobody knows who asks.
    #[error("no valid token: {0}")]
    Unknown(&'static str),
    /// It is known, and may not.
    #[error("{0} may not use this rule")]
    Forbidden(String),
    /// Nobody can say now.
    #[error("the Kubernetes API cannot be asked: {0}")]
    Unavailable(String),
}

impl Authority {
    /// Everybody.
    pub(super) fn anybody() -> Self {
        Self::Anybody
    }

    /// Who has a token of a file.
    ///
    /// # Errors
    /// When it cannot be read, or a line of it is none.
    pub(super) fn file(path: &Path) -> anyhow::Result<Self> {
        TokenFile::read(path).map(Self::File)
    }

    /// Whom the API knows.
    pub(super) fn kubernetes(client: Client) -> Self {
        Self::Kubernetes(Box::new(Reviews::new(client)))
    }

    /// Whether tokens are looked at.
    pub(super) fn wants_token(&self) -> bool {
        !matches!(self, Self::Anybody)
    }

    /// Who asks.
    ///
    /// # Errors
    /// [`Denied::Unknown`] or [`Denied::Unavailable`].
    pub(super) async fn recognise(&self, headers: &HeaderMap) -> Result<Caller, Denied> {
        if !self.wants_token() {
            return Ok(Caller { name: "anybody".to_owned(), fingerprint: [0; 32], may: May::All });
        }
        let token = bearer(headers)?;
        let fingerprint: Fingerprint = Sha256::digest(token).into();
        match self {
            Self::Anybody => Err(Denied::Unknown("it is not looked at")),
            Self::File(file) => {
                file.find(&fingerprint).cloned().ok_or(Denied::Unknown("it is not one of the file"))
            }
            Self::Kubernetes(reviews) => reviews.recognise(token, fingerprint).await,
        }
    }

    /// Whether somebody may use a rule.
    ///
    /// # Errors
    /// [`Denied::Forbidden`] or [`Denied::Unavailable`].
    pub(super) async fn allow(&self, caller: &Caller, rule: &Key) -> Result<(), Denied> {
        let may = match &caller.may {
            May::All => true,
            May::Only(namespace) => *namespace == rule.0,
            May::Ask { own, .. } if own.as_ref() == Some(&rule.0) => true,
            May::Ask { user, .. } => match self {
                Self::Kubernetes(reviews) => reviews.may(user, caller.fingerprint, rule).await?,
                Self::Anybody | Self::File(_) => false,
            },
        };
        if may { Ok(()) } else { Err(Denied::Forbidden(caller.name.clone())) }
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Denied> {
    let value = headers.get(header::AUTHORIZATION).ok_or(Denied::Unknown("there is none"))?;
    let value = value.to_str().map_err(|_| Denied::Unknown("it is no text"))?;
    let (scheme, token) = value.split_once(' ').ok_or(Denied::Unknown("expected \"Bearer\" and a token"))?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Denied::Unknown("expected \"Bearer\" and a token"));
    }
    if token.len() > LONGEST {
        return Err(Denied::Unknown("it is too long"));
    }
    Ok(token)
}

#[cfg(test)]
mod tests;
