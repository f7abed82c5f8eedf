//! Messages with many reports: each is answered when the last of its reports is in the cluster, or when that takes too long.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proto::twin::{OpenReport, ReportsAnswer};
use proto::{Content, Message};
use tokio::time::Instant;

use crate::flow::NodeName;

/// A status that cannot be written must not keep the others of its message from being known as written. A node waits a minute
/// for an answer.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// See the module's documentation. Bounded by what nodes have under way: each sends a few at a time.
#[derive(Debug, Default)]
pub(super) struct Batches {
    all: BTreeMap<u64, Batch>,
    last: u64,
}

#[derive(Debug)]
struct Batch {
    node: NodeName,
    /// What to answer; without its content.
    message: Box<Message>,
    /// Paths that are not written.
    open: BTreeSet<String>,
    refused: Vec<OpenReport>,
    due: Instant,
}

/// A message that can be answered.
#[derive(Debug, PartialEq)]
pub(super) struct Complete {
    pub(super) node: NodeName,
    pub(super) message: Box<Message>,
    pub(super) answer: ReportsAnswer,
}

impl Batches {
    /// The number of a new message.
    pub(super) fn begin(&mut self, node: NodeName, mut message: Box<Message>, now: Instant) -> u64 {
        self.last += 1;
        message.content = Content::Null;
        let batch =
            Batch { node, message, open: BTreeSet::new(), refused: Vec::new(), due: now + ANSWER_WITHIN };
        self.all.insert(self.last, batch);
        self.last
    }

    /// A report of it waits to be written.
    pub(super) fn wait(&mut self, number: u64, path: &str) {
        if let Some(batch) = self.all.get_mut(&number) {
            batch.open.insert(path.to_owned());
        }
    }

    /// A report of it is refused.
    pub(super) fn refuse(&mut self, number: u64, report: OpenReport) {
        if let Some(batch) = self.all.get_mut(&number) {
            batch.refused.push(report);
        }
    }

    /// A report of it is in the cluster.
    pub(super) fn written(&mut self, number: u64, path: &str) -> Option<Complete> {
        self.all.get_mut(&number)?.open.remove(path);
        self.complete(number)
    }

    /// The message can be answered, if nothing of it waits.
    pub(super) fn complete(&mut self, number: u64) -> Option<Complete> {
        self.all.get(&number).filter(|batch| batch.open.is_empty())?;
        self.all.remove(&number).map(Batch::complete)
    }

    /// When one has waited long enough. They become due in the order in which they came.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.all.first_key_value().map(|(_, batch)| batch.due)
    }

    /// The next that has waited long enough.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<Complete> {
        let first = self.all.first_entry().filter(|first| first.get().due <= now)?;
        Some(first.remove().complete())
    }
}

impl Batch {
    fn complete(self) -> Complete {
        let late = self.open.into_iter().map(|path| OpenReport {
            path,
            reason: String::new(),
            message: "it is not written yet".to_owned(),
        });
        let open = self.refused.into_iter().chain(late).collect();
        Complete { node: self.node, message: self.message, answer: ReportsAnswer { open } }
    }
}

#[cfg(test)]
mod tests {
    use proto::{Group, Operation, Resource, Route, Source, Stamp};

    use super::*;

    fn message() -> Box<Message> {
        let route = Route {
            source: Source::Twin,
            group: Group::Resource,
            operation: Operation::Update,
            resource: Resource::DeviceReports,
        };
        Box::new(Message::new(Stamp { id: "1".into(), timestamp: 1 }, route, Content::text("large")))
    }

    fn open(path: &str, reason: &str) -> OpenReport {
        OpenReport { path: path.into(), reason: reason.into(), ..OpenReport::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_answered_when_its_last_report_is_written() {
        let (mut batches, now) = (Batches::default(), Instant::now());
        let number = batches.begin(NodeName::new("n"), message(), now);
        batches.wait(number, "a");
        batches.wait(number, "b");
        batches.refuse(number, open("c", "NotFound"));
        assert_eq!(batches.written(number, "a"), None);
        let complete = batches.written(number, "b").unwrap();
        assert_eq!(complete.answer.open, [open("c", "NotFound")]);
        assert_eq!((complete.message.header.id.as_str(), &complete.message.content), ("1", &Content::Null));
        assert_eq!(batches.written(number, "b"), None, "once");
        assert_eq!(batches.deadline(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_written_keeps_nobody_waiting() {
        let (mut batches, now) = (Batches::default(), Instant::now());
        let first = batches.begin(NodeName::new("n"), message(), now);
        batches.wait(first, "a");
        batches.wait(first, "b");
        batches.written(first, "a");
        let later = batches.begin(NodeName::new("n"), message(), now + Duration::from_secs(1));
        batches.wait(later, "a");
        assert!(batches.overdue(now).is_none());
        assert_eq!(batches.deadline(), Some(now + ANSWER_WITHIN));
        let complete = batches.overdue(now + ANSWER_WITHIN).unwrap();
        assert_eq!(complete.answer.open[0].path, "b");
        assert!(complete.answer.open[0].reason.is_empty());
        assert!(batches.overdue(now + ANSWER_WITHIN).is_none());
    }
}
