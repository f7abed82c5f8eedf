//! Users' messages on their way to the disk: one batch at a time, so that their order stays, and acknowledged when they are there.
//!
//! A broker does not send again what is not acknowledged while the connection lasts. So what could not be written waits here and
//! is tried again; when there is too much of it, nothing more is heard, and the broker keeps the rest.

use std::collections::VecDeque;
use std::time::Duration;

use chassis::task::{self, AbortOnDrop};
use tokio::time::Instant;

use super::wire::{Ack, Broker};
use crate::flow::{MetaClient, MetaError};
use crate::store::Upload;

/// Messages in one batch: one commit for all of them.
const BATCH: usize = 256;
/// Bytes of messages that wait for the disk; past this no more are heard.
const WAITING_BYTES: u64 = 8 << 20;
/// How long to wait with a disk that is full.
const AGAIN: Duration = Duration::from_secs(5);

type Receipt = Option<(Broker, Ack)>;

/// See the module.
#[derive(Debug)]
pub(super) struct Uploading {
    meta: MetaClient,
    waiting: VecDeque<(Upload, Receipt)>,
    bytes: u64,
    /// Of the first ones, how many are being written.
    batch: usize,
    writing: Option<AbortOnDrop<Result<(), MetaError>>>,
    again: Option<Instant>,
}

impl Uploading {
    pub(super) fn new(meta: MetaClient) -> Self {
        Self { meta, waiting: VecDeque::new(), bytes: 0, batch: 0, writing: None, again: None }
    }

    /// Whether one more may come.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < WAITING_BYTES
    }

    /// One more; it is written with the next batch.
    pub(super) fn push(&mut self, upload: Upload, receipt: Receipt) {
        self.bytes += upload.size();
        self.waiting.push_back((upload, receipt));
    }

    /// Begins to write what waits, unless something is being written.
    pub(super) fn go_on(&mut self) {
        if self.writing.is_some() || self.waiting.is_empty() {
            return;
        }
        if self.again.is_some_and(|again| again > Instant::now()) {
            return;
        }
        self.again = None;
        self.batch = self.waiting.len().min(BATCH);
        let uploads = self.waiting.iter().take(self.batch).map(|(upload, _)| upload.clone()).collect();
        let meta = self.meta.clone();
        self.writing = Some(task::spawn(tracing::Span::current(), async move { meta.upload(uploads).await }));
    }

    /// When what failed is tried again.
    pub(super) fn again(&self) -> Option<Instant> {
        self.again
    }

    /// What became of the batch; never where there is none. Dropped while waiting, it takes nothing.
    pub(super) async fn stored(&mut self) -> Result<(), MetaError> {
        match &mut self.writing {
            Some(writing) => writing.await.unwrap_or_else(|error| Err(MetaError::Store(error.to_string()))),
            None => std::future::pending().await,
        }
    }

    /// The batch has ended so. Gives what can be acknowledged.
    pub(super) fn settle(&mut self, outcome: Result<(), MetaError>) -> Vec<(Broker, Ack)> {
        self.writing = None;
        let receipts = match outcome {
            Ok(()) => {
                let done = self.waiting.drain(..self.batch);
                let mut receipts = Vec::with_capacity(done.len());
                for (upload, receipt) in done {
                    self.bytes -= upload.size();
                    receipts.extend(receipt);
                }
                receipts
            }
            Err(error) => {
                tracing::error!(%error, waiting = self.waiting.len(), "users' messages are not on disk yet");
                self.again = Some(Instant::now() + AGAIN);
                Vec::new()
            }
        };
        self.go_on();
        receipts
    }
}
