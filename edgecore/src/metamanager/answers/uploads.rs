//! Users' messages are kept until the cloud has them.

use super::Answers;
use crate::flow::MetaError;
use crate::metamanager::Metrics;
use crate::metamanager::uploads::UploadWake;
use crate::store::{Change, Outcome, Upload, UploadLimit};

/// What it takes to keep them.
#[derive(Debug, Clone)]
pub(in crate::metamanager) struct Keeping {
    pub(in crate::metamanager) limit: UploadLimit,
    pub(in crate::metamanager) wake: UploadWake,
    pub(in crate::metamanager) metrics: Metrics,
}

impl Answers {
    pub(super) async fn keep_uploads(&self, uploads: Vec<Upload>) -> Result<(), MetaError> {
        let Keeping { limit, wake, metrics } = &self.uploads;
        let changes = uploads.into_iter().map(|upload| Change::PutUpload { upload, limit: *limit });
        let outcomes = self.store.apply(changes.collect()).await;
        for outcome in outcomes.map_err(|error| MetaError::Store(error.to_string()))? {
            match outcome {
                Outcome::Changed => metrics.upload("stored", 1),
                Outcome::Unchanged => metrics.upload("repeated", 1),
                Outcome::Crowded(dropped) => {
                    tracing::warn!(
                        dropped,
                        "no room for users' messages (modules.eventBus.uploadQueueBytes)"
                    );
                    metrics.upload("crowded_out", dropped);
                }
            }
        }
        wake.wake();
        Ok(())
    }
}
