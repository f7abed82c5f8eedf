//! Where shared secrets are kept: a trait with the two writes that replicas need to agree, and a fake in memory.
//!
//! Every write is a compare-and-swap, so that two replicas that start at once end with one CA (DESIGN 8).

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;

use thiserror::Error;

mod memory;

pub use memory::MemoryStore;

/// The data of one Secret: key to bytes. `Debug` shows the keys only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretData(pub BTreeMap<String, Vec<u8>>);

/// A Secret's data with the version that the store gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// What is in it.
    pub data: SecretData,
    /// Opaque; only good for [`SecretStore::replace`].
    pub version: String,
}

/// Why the store did not do as asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody else was first: read again and decide anew.
    #[error("secret {0} was written by somebody else at the same time")]
    Conflict(String),
    /// The store cannot be reached or refuses.
    #[error("secret {name}: {source}")]
    Unavailable {
        /// Name of the Secret.
        name: String,
        /// What the store said.
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// A place for Secrets that several replicas share.
pub trait SecretStore: Send + Sync {
    /// The Secret called `name`, if there is one.
    fn get(&self, name: &str) -> impl Future<Output = Result<Option<Versioned>, StoreError>> + Send;

    /// Creates the Secret. [`StoreError::Conflict`] when there is one already.
    fn create(&self, name: &str, data: &SecretData) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Replaces the Secret if it still has `version`. [`StoreError::Conflict`] when it does not.
    fn replace(
        &self,
        name: &str,
        data: &SecretData,
        version: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl SecretData {
    /// Data from keys and bytes.
    pub fn new<const N: usize>(entries: [(&str, &[u8]); N]) -> Self {
        Self(entries.into_iter().map(|(key, value)| (key.to_owned(), value.to_vec())).collect())
    }

    /// The bytes under `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).map(Vec::as_slice)
    }
}

impl fmt::Debug for SecretData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
