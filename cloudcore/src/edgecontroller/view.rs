//! One writer, many readers of what nodes should have. The lock is a leaf, held for one look and never across an
//! `await`.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::desired::Desired;

/// The writing end: EdgeController's own loop.
#[derive(Debug, Default)]
pub(super) struct DesiredWriter(Arc<RwLock<Desired>>);

/// A reading end.
#[derive(Debug, Clone)]
pub(super) struct DesiredView(Arc<RwLock<Desired>>);

impl DesiredWriter {
    pub(super) fn view(&self) -> DesiredView {
        DesiredView(Arc::clone(&self.0))
    }

    // A panic ends the process (it is named by the supervisor), so nobody reads what it left half done.
    pub(super) fn write(&mut self) -> RwLockWriteGuard<'_, Desired> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DesiredView {
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Desired> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}
