//! What a module shows of itself at `/debug/state`, one entry for each thing that it looks after.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

/// Entries by name. Cheap to clone. It holds what its module looks after and nothing else, so it is as bounded as that.
#[derive(Clone)]
pub struct Board<T> {
    entries: Arc<Mutex<BTreeMap<String, T>>>,
}

// === impl Board ===

impl<T> Board<T> {
    /// Puts up `entry`, in place of what was there under this name.
    pub fn set(&self, name: impl fmt::Display, entry: T) {
        self.entries().insert(name.to_string(), entry);
    }

    /// Takes the entry down.
    pub fn remove(&self, name: impl fmt::Display) {
        self.entries().remove(&name.to_string());
    }

    /// Takes down all entries but those whose names are good.
    pub fn only(&self, is_good: impl Fn(&str) -> bool) {
        self.entries().retain(|name, _| is_good(name));
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, T>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Serialize> Board<T> {
    /// All entries, as JSON.
    #[must_use]
    pub fn snapshot(&self) -> Value {
        serde_json::to_value(&*self.entries()).unwrap_or_else(|error| Value::String(error.to_string()))
    }
}

/// One that nobody looks at, for a module that runs alone.
impl<T> Default for Board<T> {
    fn default() -> Self {
        Self { entries: Arc::default() }
    }
}

impl<T> fmt::Debug for Board<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("entries", &self.entries().len()).finish()
    }
}
