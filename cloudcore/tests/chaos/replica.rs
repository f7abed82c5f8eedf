//! A CloudCore that is started again until it is up, as systemd and Kubernetes do it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use certs::SanList;
use chassis::clock::Clock;
use chassis::module::Module as _;
use chassis::readiness::Readiness;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use cloudcore::cloudhub::authority::{Authority, CaFiles, TokenRefresher};
use cloudcore::cloudhub::secrets::KubeSecrets;
use cloudcore::flow::{Bans, Leadership};
use kube::Client;
use proto::ban::BanList;

/// All are started within this.
const TOGETHER: Duration = Duration::from_millis(500);
/// One that failed is started again within this.
const AGAIN: Duration = Duration::from_secs(1);
/// One that is killed is so within this.
const LIFE: Duration = Duration::from_millis(400);
/// The default of `modules.cloudHub.tokenRefreshDuration`.
const PERIOD: Duration = Duration::from_secs(12 * 60 * 60);

pub(crate) struct Replica {
    pub(crate) index: usize,
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) rng: Rng,
    /// Certificates of every CA that any CloudCore has ever taken for its own, in DER.
    pub(crate) seen: Arc<Mutex<BTreeSet<Vec<u8>>>>,
}

/// One that is up.
pub(crate) struct Started {
    pub(crate) authority: Authority,
    /// Where nodes reach it.
    pub(crate) address: String,
    pub(crate) killed: usize,
    pub(crate) failed: usize,
}

impl Replica {
    pub(crate) async fn start(self) -> Started {
        let address = format!("10.0.0.{}", self.index + 1);
        self.within(TOGETHER).await;
        let (mut killed, mut failed) = (0, 0);
        loop {
            // Every third does not live to see the end of its start.
            let life = match self.rng.below(3) {
                0 => LIFE.mul_f64(self.rng.range(0.0..1.0)),
                _ => Duration::MAX,
            };
            match tokio::time::timeout(life, self.live(&address)).await {
                Ok(Ok(authority)) => return Started { authority, address, killed, failed },
                Ok(Err(_)) => failed += 1,
                Err(_) => killed += 1,
            }
            self.within(AGAIN).await;
        }
    }

    /// What CloudCore does before it serves nodes.
    async fn live(&self, address: &str) -> anyhow::Result<Authority> {
        let store = KubeSecrets::new(self.client.clone());
        let none = CaFiles { certificate: "/nowhere/ca.crt".into(), key: "/nowhere/ca.key".into() };
        let authority = Authority::load(&store, &none, &SanList::new([address]), &self.clock).await?;
        self.seen.lock().unwrap().insert(authority.ca.cert_der().to_vec());
        let readiness = Readiness::new();
        let refresher = TokenRefresher {
            store,
            ca: authority.ca.clone(),
            period: PERIOD,
            clock: self.clock.clone(),
            rng: self.rng.clone(),
            bans: Bans::fixed(BanList::default()),
            leadership: Leadership::always(),
            ready: readiness.register("tokens"),
        };
        let (_trigger, shutdown) = Shutdown::new();
        tokio::select! {
            ended = refresher.run(shutdown) => ended?,
            () = readiness.wait() => {}
        }
        Ok(authority)
    }

    async fn within(&self, longest: Duration) {
        tokio::time::sleep(longest.mul_f64(self.rng.range(0.0..1.0))).await;
    }
}
