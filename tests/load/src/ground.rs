//! Everything that is there before the first node connects: certificates, limits, the hub's address.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use certs::{JoinToken, tls};
use chassis::clock::Clock;
use chassis::rng::Rng;
use kube::Client;
use rustls::sign::CertifiedKey;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::args::Target;
use crate::cluster;
use crate::connection::Hub;
use crate::datagrams::Sockets;
use crate::dialect::Dialect;
use crate::endpoint::Endpoint;
use crate::hub::{Observer, Sample};
use crate::join::Joiner;
use crate::node::Timing;
use crate::process;

/// What scenarios stand on.
#[derive(Debug)]
pub struct Ground {
    /// Whom nodes dial.
    pub hub: Arc<Hub>,
    /// Where nodes join.
    pub https: Endpoint,
    /// Who there is.
    pub members: Vec<Member>,
    /// What their names begin with.
    pub prefix: String,
    /// What they speak.
    pub dialect: Dialect,
    /// What they share where they speak QUIC.
    pub sockets: Sockets,
    /// How often they speak.
    pub timing: Timing,
    /// How many of them may be opening a link.
    pub dials: Arc<Semaphore>,
    /// Time of day.
    pub clock: Clock,
    /// Jitter.
    pub rng: Rng,
    /// The hub from outside.
    pub observer: Observer,
    /// The hub before any node was connected.
    pub before: Sample,
    /// How long a step of a scenario may take.
    pub limit: Duration,
    /// The Kubernetes API, where a scenario needs it.
    client: Option<ClientSlot>,
    /// How many certificates are new, and how long that took.
    pub joined: (usize, Duration),
}

/// A node that can be started.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name.
    pub name: Box<str>,
    /// Its number.
    pub index: u32,
    /// Its certificate and key.
    pub key: Arc<CertifiedKey>,
    /// The address that it dials from.
    pub source: Option<IpAddr>,
}

/// `kube::Client` shows nothing of itself.
struct ClientSlot(Client);

impl std::fmt::Debug for ClientSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Ground {
    /// Gets everything ready for the nodes that the command line asks for, and `further` ones beside them.
    ///
    /// # Errors
    /// When something of it cannot be had.
    pub async fn prepare(target: &Target, further: &[&str]) -> anyhow::Result<Self> {
        tls::install_provider();
        let names: Vec<Box<str>> = target.names().chain(further.iter().map(|name| (*name).into())).collect();
        process::allow_sockets(target.dialect.sockets(names.len()))?;
        let client = match &target.kubeconfig {
            Some(file) => Some(cluster::client(file).await?),
            None => None,
        };
        let joiner = Joiner {
            https: Endpoint::find(&target.https).await?,
            token: token(target, client.as_ref()).await?,
            folder: target.cert_dir.clone(),
            at_once: target.join_at_once,
        };
        let start = Instant::now();
        let joined = joiner.join(&names).await?;
        let took = start.elapsed();
        let hub = Hub::new(
            Endpoint::find(&target.server).await?,
            target.project.clone(),
            target.handshake(),
            tls::client_config(&joined.ca, None)?,
        );
        let sockets = match target.dialect {
            Dialect::Quic => Sockets::open(names.len(), &target.source_ips, hub.server().address())?,
            Dialect::Stock | Dialect::Native => Sockets::default(),
        };
        let observer = Observer { pid: target.hub_pid, metrics: target.metrics.clone() };
        let members = names.into_iter().zip(joined.keys).zip(target.first_index..);
        let source = |index: u32| {
            let sources = &target.source_ips;
            (!sources.is_empty()).then(|| sources[index as usize % sources.len()])
        };
        Ok(Self {
            hub: Arc::new(hub),
            https: joiner.https,
            members: members
                .map(|((name, key), index)| Member { name, index, key, source: source(index) })
                .collect(),
            prefix: target.name_prefix.clone(),
            dialect: target.dialect,
            sockets,
            timing: target.timing(),
            dials: Arc::new(Semaphore::new(target.dial_at_once.unwrap_or(Semaphore::MAX_PERMITS))),
            clock: Clock::system(),
            rng: Rng::from_os().context("no randomness")?,
            before: observer.sample().await?,
            observer,
            limit: target.limit,
            client: client.map(ClientSlot),
            joined: (joined.new, took),
        })
    }

    /// The Kubernetes API.
    ///
    /// # Errors
    /// When there is no `--kubeconfig`.
    pub fn client(&self) -> anyhow::Result<Client> {
        let client = self.client.as_ref().context("this scenario changes objects and needs --kubeconfig")?;
        Ok(client.0.clone())
    }
}

/// The one that was given, else the one in the cluster.
async fn token(target: &Target, client: Option<&Client>) -> anyhow::Result<Option<JoinToken>> {
    let text = match (&target.token, client) {
        (Some(token), _) => token.clone(),
        (None, Some(client)) => cluster::join_token(client).await?,
        (None, None) => return Ok(None),
    };
    Ok(Some(JoinToken::parse(&text)?))
}
