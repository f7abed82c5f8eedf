//! The certificate that this CloudCore shows to others: made here at each start, kept in memory, and made anew long before it ends.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use certs::replica::{replica_client_config, replica_server_config};
use certs::{Ca, SanList};
use chassis::clock::Clock;
use chassis::module::Module;
use chassis::shutdown::Shutdown;
use jiff::SignedDuration;
use rustls::{ClientConfig, ServerConfig};
use tokio::sync::watch;

/// How long one is good: a day, so that one that leaks is worth little, and clocks may differ.
const LIFE: SignedDuration = SignedDuration::from_hours(24);
/// A new one this often. It costs a millisecond, and what fails is tried twenty times before it matters.
const PERIOD: Duration = Duration::from_secs(3600);

/// What is shown at both ends, always the newest. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Credentials {
    pair: watch::Receiver<Pair>,
}

/// The two sides.
#[derive(Debug, Clone)]
struct Pair {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

/// The module that makes them anew.
#[derive(Debug)]
pub struct Renewal {
    issuer: Issuer,
    pair: watch::Sender<Pair>,
}

#[derive(Debug)]
struct Issuer {
    ca: Ca,
    name: String,
    addresses: SanList,
    clock: Clock,
}

impl Credentials {
    /// The first ones, for a replica that calls itself `name`, and what makes the next ones.
    ///
    /// # Errors
    /// When the CA can sign nothing.
    pub fn new(ca: Ca, name: String, addresses: SanList, clock: Clock) -> anyhow::Result<(Renewal, Self)> {
        let issuer = Issuer { ca, name, addresses, clock };
        let (tx, pair) = watch::channel(issuer.issue()?);
        Ok((Renewal { issuer, pair: tx }, Self { pair }))
    }

    pub(super) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.pair.borrow().server)
    }

    pub(super) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.pair.borrow().client)
    }
}

impl Issuer {
    fn issue(&self) -> anyhow::Result<Pair> {
        let identity = self
            .ca
            .issue_replica(&self.name, &self.addresses, LIFE, self.clock.now())
            .context("sign the certificate for other CloudCores")?;
        let ca = self.ca.cert_der();
        let server = Arc::new(replica_server_config(ca, &identity)?);
        Ok(Pair { server, client: Arc::new(replica_client_config(ca, &identity)?) })
    }
}

impl Module for Renewal {
    const NAME: &'static str = "forwarding-certificate";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                () = tokio::time::sleep(PERIOD) => {}
            }
            match self.issuer.issue() {
                Ok(pair) => drop(self.pair.send_replace(pair)),
                Err(error) => tracing::warn!("no new certificate: {error:#}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chassis::task;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_new_one_is_made_while_the_old_one_is_good() {
        let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
        let ca = Ca::generate(clock.now()).unwrap();
        let (renewal, credentials) =
            Credentials::new(ca, "one".to_owned(), SanList::default(), clock).unwrap();
        let (_trigger, shutdown) = Shutdown::new();
        let _running = task::spawn(tracing::Span::none(), renewal.run(shutdown));
        let (server, client) = (credentials.server(), credentials.client());
        tokio::time::sleep(PERIOD / 2).await;
        assert!(Arc::ptr_eq(&server, &credentials.server()));
        tokio::time::sleep(PERIOD).await;
        assert!(!Arc::ptr_eq(&server, &credentials.server()));
        assert!(!Arc::ptr_eq(&client, &credentials.client()));
    }
}
