//! Renews the node's certificate before it ends (spec edge-keadm-mapper 1.2).
//!
//! Nobody sends to it; the dialer reads [`Credentials`]. A new certificate is written to its files and used from the next dial on: a
//! connection that is up stays up, because it was authenticated when it was made. It stops when shutdown is requested.

use std::sync::Arc;
use std::time::Duration;

use certs::{CertificateInfo, PrivateKey, TlsIdentity, tls};
use chassis::backoff::Backoff;
use chassis::clock::Clock;
use chassis::module::Module;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use jiff::{SignedDuration, Timestamp};
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use tokio::sync::watch;
use tokio::time::sleep;

use super::{BootstrapError, Config, Joined, join, request_certificate, write_identity};
use crate::edgehub::validity::Validity;

/// Renewal falls evenly into this part of a certificate's life, as with stock: late enough not to be wasteful, early enough for weeks
/// without a network, and spread so that a fleet that joined on one day does not renew in one hour.
const WINDOW: std::ops::Range<f64> = 0.7..0.9;
/// The wall clock may jump (many edge machines have no battery for it), so it is looked at this often while waiting.
const LOOK: Duration = Duration::from_secs(60 * 60);

/// The TLS configuration of the moment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Credentials {
    current: watch::Receiver<Current>,
}

#[derive(Debug, Clone)]
struct Current {
    config: Arc<ClientConfig>,
    validity: Validity,
}

impl Credentials {
    /// What to dial the cloud with, now.
    #[must_use]
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.current.borrow().config)
    }

    /// When the node's present certificate is good.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.current.borrow().validity
    }

    /// Waits until there is a newer configuration than the one last seen here; for ever, when there will be none.
    pub async fn changed(&mut self) {
        if self.current.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The module.
#[derive(Debug)]
pub struct Rotation {
    config: Config,
    joined: Joined,
    current: watch::Sender<Current>,
    clock: Clock,
    rng: Rng,
}

impl Rotation {
    /// Begins with what the node joined with. The credentials are good without the module too: then they never change.
    ///
    /// # Errors
    /// When certificate and key cannot be used for TLS.
    pub fn new(
        config: Config,
        joined: Joined,
        clock: Clock,
        rng: Rng,
    ) -> Result<(Self, Credentials), BootstrapError> {
        let (current, receiver) = watch::channel(Current::of(&joined.ca, &joined.identity)?);
        Ok((Self { config, joined, current, clock, rng }, Credentials { current: receiver }))
    }

    async fn rotate_forever(&mut self) -> Result<(), BootstrapError> {
        let mut renewed = false;
        loop {
            let deadline = deadline(&self.joined.identity, &self.rng)?;
            tracing::info!(at = %deadline, "the certificate will be renewed");
            // By a clock that is far ahead every certificate is due at once, the new ones too.
            if std::mem::take(&mut renewed) {
                sleep(LOOK).await;
            }
            wait_until(deadline, &self.clock).await;
            let mut backoff = Backoff::new(self.config.retry, self.rng.clone());
            while let Err(error) = self.rotate().await {
                let delay = backoff.next_delay();
                tracing::warn!(%error, retry_in = ?delay, hint = error.hint(), "the certificate could not be renewed");
                sleep(delay).await;
            }
            renewed = true;
        }
    }

    /// Whether by this node's clock the certificate has expired.
    #[must_use]
    pub fn has_expired(&self) -> bool {
        self.current.borrow().validity.not_after < self.clock.now()
    }

    /// A new certificate, durable before it is used. Where the present one is too old to ask for it, a token will do: whoever gave it says
    /// that this is the node still, and the key, which stays, that it is the machine that had the certificate.
    pub(super) async fn rotate(&mut self) -> Result<(), BootstrapError> {
        match (self.renew().await, self.config.token.clone()) {
            (Err(error), Some(token)) if self.has_expired() => {
                tracing::warn!(%error, "the certificate is not renewed: joining anew");
                let key = self.joined.identity.key().clone();
                self.joined = join(&self.config, &token, &self.clock, key).await?;
                self.current.send_replace(Current::of(&self.joined.ca, &self.joined.identity)?);
                tracing::info!("joined anew, with the same key");
                Ok(())
            }
            (renewed, _) => renewed,
        }
    }

    async fn renew(&mut self) -> Result<(), BootstrapError> {
        let ca = &self.joined.ca;
        let present = tls::client_config(ca, Some(&self.joined.identity))?;
        let shown = Validity::of(&self.joined.identity)?;
        let asked = request_certificate(&self.config, ca, present, None, PrivateKey::generate()?).await;
        let identity = asked.map_err(|error| error.with_certificate(shown, self.clock.now()))?;
        let next = Current::of(ca, &identity)?;
        write_identity(self.config.clone(), identity.clone()).await?;
        self.joined.identity = identity;
        self.current.send_replace(next);
        tracing::info!("the certificate was renewed");
        Ok(())
    }
}

impl Current {
    fn of(ca: &CertificateDer<'static>, identity: &TlsIdentity) -> Result<Self, BootstrapError> {
        let config = Arc::new(tls::client_config(ca, Some(identity))?);
        Ok(Self { config, validity: Validity::of(identity)? })
    }
}

impl Module for Rotation {
    const NAME: &'static str = "rotation";

    async fn run(mut self, shutdown: Shutdown) -> anyhow::Result<()> {
        tokio::select! {
            () = shutdown.requested() => Ok(()),
            ended = self.rotate_forever() => Ok(ended?),
        }
    }
}

/// A moment within [`WINDOW`] of the certificate's life.
fn deadline(identity: &TlsIdentity, rng: &Rng) -> Result<Timestamp, BootstrapError> {
    let info = CertificateInfo::from_der(identity.certificate())?;
    let life = info.not_after.duration_since(info.not_before);
    let used = SignedDuration::try_from_secs_f64(life.as_secs_f64() * rng.range(WINDOW)).unwrap_or_default();
    Ok(info.not_before.checked_add(used).unwrap_or(info.not_after))
}

async fn wait_until(deadline: Timestamp, clock: &Clock) {
    loop {
        let left = Duration::try_from(deadline.duration_since(clock.now())).unwrap_or_default();
        if left.is_zero() {
            return;
        }
        sleep(left.min(LOOK)).await;
    }
}

#[cfg(test)]
mod tests {
    use certs::Ca;

    use super::*;

    #[test]
    fn renewal_falls_into_the_window_and_not_always_onto_the_same_moment() {
        let now: Timestamp = "2026-11-23T03:00:00Z".parse().unwrap();
        let ca = Ca::generate(now).unwrap();
        let identity =
            ca.issue_client("system:node:a", "system:nodes", SignedDuration::from_hours(1000), now);
        let identity = identity.unwrap();
        let info = CertificateInfo::from_der(identity.certificate()).unwrap();
        let life = info.not_after.duration_since(info.not_before).as_secs_f64();
        let mut moments = Vec::new();
        for seed in 0..50 {
            let at = deadline(&identity, &Rng::seeded(seed)).unwrap();
            assert!(WINDOW.contains(&(at.duration_since(info.not_before).as_secs_f64() / life)), "{at}");
            moments.push(at);
        }
        moments.dedup();
        assert!(moments.len() > 40);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_at_the_deadline_and_at_once_when_it_is_past() {
        let clock = Clock::fixed("2026-11-23T03:00:00Z".parse().unwrap());
        let deadline = clock.now() + SignedDuration::from_hours(24 * 300);
        wait_until(deadline, &clock).await;
        assert_eq!(clock.now(), deadline);
        wait_until(Timestamp::UNIX_EPOCH, &clock).await;
        assert_eq!(clock.now(), deadline);
    }
}
