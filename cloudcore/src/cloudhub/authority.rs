//! Who this hub is, and who may join: loads the CA and the server certificate at start, and keeps the join token fresh, which of
//! all replicas one does.
//!
//! Nobody sends to it. It writes the Secrets `casecret`, `cloudcoresecret` and `tokensecret`. It stops when shutdown is requested.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use certs::authority::{load_or_create_ca, load_or_create_server, load_or_refresh_token};
use certs::files::{read_certificate, read_key};
use certs::store::{SecretData, SecretStore, StoreError, Versioned};
use certs::{Ca, SanList, TlsIdentity};
use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::clock::Clock;
use chassis::module::Module;
use chassis::readiness::ReadyGuard;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use jiff::SignedDuration;

use crate::flow::{Bans, Leadership};

/// Tokens are valid for this many refresh periods, so that one that was copied just before a refresh still works for a whole period (spec
/// cloud-and-wire 2.9).
const TOKEN_PERIODS: i32 = 2;
/// Retries of a failed refresh. Stock gives up for good after the first failure; a period is hours, so a minute between tries is soon enough.
const RETRY: BackoffPolicy =
    BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(60), factor: 2.0, jitter: 0.5 };

/// The files that an operator may bring a CA in: certificate and key in PEM.
#[derive(Debug, Clone)]
pub struct CaFiles {
    /// `modules.cloudHub.tlsCAFile`
    pub certificate: PathBuf,
    /// `modules.cloudHub.tlsCAKeyFile`
    pub key: PathBuf,
}

/// What the listeners of the hub need.
#[derive(Debug, Clone)]
pub struct Authority {
    /// Signs node certificates, and is what they are verified against.
    pub ca: Ca,
    /// What the hub shows.
    pub server: TlsIdentity,
}

impl Authority {
    /// Loads both from the Secrets, or makes them. A CA in `files` comes first, but never replaces another one that is in use.
    ///
    /// # Errors
    /// When the store cannot be reached, or holds or is given something unusable.
    pub async fn load(
        store: &impl SecretStore,
        files: &CaFiles,
        names: &SanList,
        clock: &Clock,
    ) -> anyhow::Result<Self> {
        let local = read_ca(&files.certificate, &files.key)?;
        let now = clock.now();
        let ca = load_or_create_ca(store, local.as_ref(), now).await.context("load the CA")?;
        let server =
            load_or_create_server(store, &ca, names, now).await.context("load the server certificate")?;
        tracing::info!(ca = ca.fingerprint(), "certificates loaded");
        Ok(Self { ca, server })
    }
}

/// `None` unless both files are there: edges keep the CA certificate at the same path, without a key.
fn read_ca(certificate: &Path, key: &Path) -> anyhow::Result<Option<Ca>> {
    let (Some((der, _)), Some(key)) = (read_certificate(certificate)?, read_key(key)?) else {
        return Ok(None);
    };
    let ca = Ca::new(der, key).with_context(|| format!("CA in {}", certificate.display()))?;
    Ok(Some(ca))
}

/// Keeps a valid join token in its Secret.
#[derive(Debug)]
pub struct TokenRefresher<S> {
    /// Where the token is.
    pub store: S,
    /// Whose token it is.
    pub ca: Ca,
    /// How often a new one is made (`modules.cloudHub.tokenRefreshDuration`).
    pub period: Duration,
    /// Decides what is expired.
    pub clock: Clock,
    /// Spreads retries.
    pub rng: Rng,
    /// Tokens that a banned node may know count no more.
    pub bans: Bans,
    /// Of all replicas one makes tokens.
    pub leadership: Leadership,
    /// Let go when there is a token, or another replica sees to it: before that no node can join.
    pub ready: ReadyGuard,
}

/// A store that takes what is written by who leads, and by nobody else.
struct Led<'a, S> {
    store: &'a S,
    leadership: &'a Leadership,
}

/// Somebody else leads now.
#[derive(Debug, thiserror::Error)]
#[error("another replica leads now")]
struct NotLeading;

impl<S: SecretStore + 'static> Module for TokenRefresher<S> {
    const NAME: &'static str = "tokens";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        tokio::select! {
            () = shutdown.requested() => {}
            () = self.refresh_forever() => {}
        }
        Ok(())
    }
}

impl<S: SecretStore> TokenRefresher<S> {
    async fn refresh_forever(mut self) {
        let ttl = token_lifetime(self.period);
        self.bans.known().await;
        let mut backoff = Backoff::new(RETRY, self.rng);
        let mut ready = Some(self.ready);
        let store = Led { store: &self.store, leadership: &self.leadership };
        self.leadership.settled().await;
        loop {
            if !self.leadership.is_leading() {
                if let Some(ready) = ready.take() {
                    ready.ready();
                }
                self.leadership.gained().await;
            }
            let since = self.bans.get().ok().and_then(|bans| bans.tokens_since());
            let refreshed = load_or_refresh_token(&store, &self.ca, ttl, self.clock.now(), since).await;
            let wait = match refreshed {
                Ok(_) => {
                    if let Some(ready) = ready.take() {
                        ready.ready();
                    }
                    backoff.reset();
                    self.period
                }
                Err(_) if !self.leadership.is_leading() => continue,
                Err(error) => {
                    let wait = backoff.next_delay();
                    tracing::warn!(%error, retry_in = ?wait, "the join token could not be refreshed");
                    wait
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.bans.changed() => {}
                () = self.leadership.lost() => {}
            }
        }
    }
}

impl<S: SecretStore> Led<'_, S> {
    fn check(&self, name: &str) -> Result<(), StoreError> {
        let refused = || StoreError::Unavailable { name: name.to_owned(), source: NotLeading.into() };
        self.leadership.is_leading().then_some(()).ok_or_else(refused)
    }
}

impl<S: SecretStore> SecretStore for Led<'_, S> {
    async fn get(&self, name: &str) -> Result<Option<Versioned>, StoreError> {
        self.store.get(name).await
    }

    async fn create(&self, name: &str, data: &SecretData) -> Result<(), StoreError> {
        self.check(name)?;
        self.store.create(name, data).await
    }

    async fn replace(&self, name: &str, data: &SecretData, version: &str) -> Result<(), StoreError> {
        self.check(name)?;
        self.store.replace(name, data, version).await
    }
}

/// How long a token is good that is refreshed with this period.
pub fn token_lifetime(period: Duration) -> SignedDuration {
    SignedDuration::try_from(period).unwrap_or(SignedDuration::MAX).saturating_mul(TOKEN_PERIODS)
}

#[cfg(test)]
mod tests;
