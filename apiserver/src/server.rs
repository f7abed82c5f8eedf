//! The server: what it is made of, and how to open it.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use arc_swap::ArcSwap;
use certs::jwt::Es256;
use certs::key::PrivateKey;
use chassis::clock::Clock;
use chassis::rng::Rng;
use chassis::task::{self, AbortOnDrop};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::call;
use crate::error::{ApiError, ApiResult};
use crate::garbage;
use crate::initial;
use crate::kinds::definition;
use crate::metrics::Metrics;
use crate::object;
use crate::registry::{Hooks, KindInfo, Registry};
use crate::store::{Database, Limits, Place, Range, Store, StoreError};

/// Watches at once. Each costs a task's worth of memory and no queue; a site of this size has a few per node.
const MAX_WATCHES: usize = 4096;

/// What a server is opened with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where objects are kept.
    pub database: Database,
    /// How much is kept.
    pub limits: Limits,
    /// Time of day.
    pub clock: Clock,
    /// Ids and generated names.
    pub rng: Rng,
    /// What single custom kinds do beyond what every kind does, by where they are stored: `<plural>.<group>`.
    pub custom_hooks: Vec<(String, Hooks)>,
    /// Key that signs service account tokens; to keep them valid over a restart, it has to be the same one.
    pub service_account_key: PrivateKey,
}

/// The operating system gave no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no randomness")]
pub struct NoRandomness;

/// A Kubernetes API. Clones are handles to the same server; it ends with the last of them.
#[derive(Clone)]
pub struct ApiServer {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    registry: ArcSwap<Registry>,
    /// Held while the kinds are read and swapped, so that a slower reader cannot put older ones back.
    reloading: Mutex<()>,
    custom_hooks: Vec<(String, Hooks)>,
    clock: Clock,
    rng: Rng,
    signer: Es256,
    watches: Arc<Semaphore>,
    metrics: Metrics,
    /// Ends with the server.
    garbage: OnceLock<AbortOnDrop<()>>,
}

/// A handle that does not keep the server alive.
#[derive(Clone)]
pub(crate) struct WeakApi {
    shared: Weak<Shared>,
}

impl Options {
    /// Options with the system's clock and randomness, default limits and a new key.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn new(database: Database) -> Result<Self, NoRandomness> {
        Ok(Self {
            database,
            limits: Limits::default(),
            clock: Clock::system(),
            rng: Rng::from_os().map_err(|_| NoRandomness)?,
            custom_hooks: Vec::new(),
            service_account_key: PrivateKey::generate().map_err(|_| NoRandomness)?,
        })
    }
}

impl ApiServer {
    /// Opens the database, creates what is always there, and serves the custom kinds that are stored.
    ///
    /// # Errors
    /// When the database cannot be opened or written.
    pub async fn open(options: Options) -> Result<Self, StoreError> {
        let store = Store::open(options.database, options.limits).await?;
        let shared = Shared {
            store,
            registry: ArcSwap::from_pointee(Registry::builtin()),
            reloading: Mutex::new(()),
            custom_hooks: options.custom_hooks,
            clock: options.clock,
            rng: options.rng,
            signer: Es256::new(options.service_account_key),
            watches: Arc::new(Semaphore::new(MAX_WATCHES)),
            metrics: Metrics::default(),
            garbage: OnceLock::new(),
        };
        let api = Self { shared: Arc::new(shared) };
        api.reload_custom_kinds();
        initial::create(&api).await?;
        let weak = WeakApi { shared: Arc::downgrade(&api.shared) };
        let collector = task::spawn(tracing::info_span!("garbage"), garbage::run(weak));
        // Set here and nowhere else, so it cannot be set already.
        api.shared.garbage.get_or_init(|| collector);
        Ok(api)
    }

    /// The objects.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// The kinds that are served now.
    #[must_use]
    pub fn registry(&self) -> Arc<Registry> {
        self.shared.registry.load_full()
    }

    /// Serves the kinds of the definitions that are stored now.
    pub(crate) fn reload_custom_kinds(&self) {
        let _guard = self.shared.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let range = Range { resource: definition::STORAGE, namespace: None, after: None, at: None };
        let Ok(snapshot) = self.store().list(range) else { return };
        let definitions = snapshot.entries.iter().filter_map(|entry| call::parse(&entry.object).ok());
        let hooks = |kind: &KindInfo| {
            let own = self.shared.custom_hooks.iter().find(|(storage, _)| **storage == *kind.storage);
            own.map_or(kind.hooks, |(_, hooks)| *hooks)
        };
        let kinds = definitions.flat_map(|definition| definition::kinds(&definition));
        let kinds = kinds.map(|kind| KindInfo { hooks: hooks(&kind), ..kind });
        self.shared.registry.store(Arc::new(Registry::builtin().with(kinds)));
    }

    /// Shows the server's numbers in `registry`.
    pub fn register_metrics(&self, registry: &mut prometheus_client::registry::Registry) {
        self.shared.metrics.register(registry);
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    pub(crate) fn signer(&self) -> &Es256 {
        &self.shared.signer
    }

    pub(crate) fn rng(&self) -> &Rng {
        &self.shared.rng
    }

    /// Room for one more watch.
    ///
    /// # Errors
    /// 429 when there is none.
    pub(crate) fn admit_watch(&self) -> ApiResult<OwnedSemaphorePermit> {
        Arc::clone(&self.shared.watches).try_acquire_owned().map_err(|_| {
            self.shared.metrics.watch_refused();
            ApiError::too_many_requests("too many watches, please try again later", 5)
        })
    }

    /// Objects can be created in `namespace`.
    ///
    /// # Errors
    /// 404 when it is not there, 403 when it is being deleted.
    pub(crate) fn check_namespace(&self, namespace: &str, kind: &KindInfo, name: &str) -> ApiResult<()> {
        let registry = self.registry();
        let namespaces = registry.resource("", "v1", "namespaces").ok_or_else(ApiError::no_such_path)?;
        let entry = self.store().get(&namespaces.storage, &Place::new("", namespace));
        let entry = entry.ok_or_else(|| ApiError::not_found(namespaces, namespace))?;
        if object::is_terminating(&call::parse(&entry.object)?) {
            let why = format!(
                "unable to create new content in namespace {namespace} because it is being terminated"
            );
            return Err(ApiError::forbidden(kind, name, &why));
        }
        Ok(())
    }
}

impl WeakApi {
    pub(crate) fn upgrade(&self) -> Option<ApiServer> {
        self.shared.upgrade().map(|shared| ApiServer { shared })
    }
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").field("revision", &self.store().revision()).finish_non_exhaustive()
    }
}
