//! One record: what the API has of it, what it should be, and what makes it so.

use std::time::Duration;

use proto::api::reliablesync::ObjectSyncSpec;

use super::Step;

#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Which object the edge acknowledged; before it has acknowledged any, the one that the record names.
    pub(super) object: ObjectSyncSpec,
    /// As last seen or written.
    pub(super) record: Option<Written>,
    pub(super) wanted: Wanted,
    pub(super) state: State,
}

#[derive(Debug, PartialEq)]
pub(super) struct Written {
    pub(super) object: ObjectSyncSpec,
    pub(super) version: String,
}

/// What the record should be.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Wanted {
    #[default]
    AsItIs,
    Version(String),
    Gone,
    /// Gone with its node.
    Collected,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) enum State {
    #[default]
    Idle,
    Due(Duration),
    /// A call is under way.
    Busy,
}

// === impl Entry ===

impl Entry {
    pub(super) fn is_written(&self, version: &str) -> bool {
        self.record.as_ref().is_some_and(|record| record.object == self.object && record.version == version)
    }

    pub(super) fn is_held(&self) -> bool {
        match self.wanted {
            Wanted::AsItIs => self.record.is_some(),
            Wanted::Version(_) => true,
            Wanted::Gone | Wanted::Collected => false,
        }
    }

    /// What makes the record what it should be; `None` when it is.
    pub(super) fn step(&self) -> Option<Step> {
        match (&self.wanted, &self.record) {
            (Wanted::AsItIs, _) | (Wanted::Gone | Wanted::Collected, None) => None,
            (Wanted::Gone, Some(_)) => Some(Step::Delete),
            (Wanted::Collected, Some(_)) => Some(Step::Collect),
            (Wanted::Version(version), None) => {
                Some(Step::Create { object: self.object.clone(), version: version.clone() })
            }
            (Wanted::Version(version), Some(record)) => (!self.is_written(version)).then(|| Step::Update {
                object: (record.object != self.object).then(|| self.object.clone()),
                version: version.clone(),
            }),
        }
    }

    pub(super) fn written(&mut self, step: &Step) {
        self.record = match step {
            Step::Delete | Step::Collect => None,
            Step::Create { object, version } => {
                Some(Written { object: object.clone(), version: version.clone() })
            }
            Step::Update { object, version } => {
                let before = self.record.take().map(|record| record.object).unwrap_or_default();
                Some(Written { object: object.clone().unwrap_or(before), version: version.clone() })
            }
        };
    }
}

// === impl Wanted ===

impl Wanted {
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Gone | Self::Collected)
    }
}
