//! The fake: a map with versions. It gives way before each answer, so that replicas in a test interleave.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use super::{SecretData, SecretStore, StoreError, Versioned};

/// Secrets in memory, for tests and for trying out without Kubernetes.
#[derive(Debug, Default)]
pub struct MemoryStore {
    secrets: Mutex<BTreeMap<String, (u64, SecretData)>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (u64, SecretData)>> {
        // Every change is one insert, so a panic elsewhere cannot leave half of one.
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SecretStore for MemoryStore {
    async fn get(&self, name: &str) -> Result<Option<Versioned>, StoreError> {
        give_way().await;
        let found = self.lock().get(name).cloned();
        Ok(found.map(|(version, data)| Versioned { data, version: version.to_string() }))
    }

    async fn create(&self, name: &str, data: &SecretData) -> Result<(), StoreError> {
        give_way().await;
        let mut secrets = self.lock();
        if secrets.contains_key(name) {
            return Err(StoreError::Conflict(name.to_owned()));
        }
        secrets.insert(name.to_owned(), (1, data.clone()));
        Ok(())
    }

    async fn replace(&self, name: &str, data: &SecretData, version: &str) -> Result<(), StoreError> {
        give_way().await;
        match self.lock().get_mut(name) {
            Some((current, held)) if current.to_string() == version => {
                *current += 1;
                data.clone_into(held);
                Ok(())
            }
            _ => Err(StoreError::Conflict(name.to_owned())),
        }
    }
}

/// Pending once, as an answer from a network would be.
async fn give_way() {
    let mut waited = false;
    poll_fn(|context| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
