//! Keepers: those inside this process for whose acknowledgement the senders of messages wait.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Attached, Core, Link, Taken};
use crate::message::Message;
use crate::owed::{Origin, Owed, Standing};

impl Core {
    /// Publishes something of one of them. Returns whether who is to have it is behind, so that the next one had better wait.
    pub(crate) fn say(&mut self, now: Instant, attached: Attached, message: Message) -> bool {
        self.metrics.received.inc();
        let is_kept = message.retain;
        self.publish(now, &Arc::new(message), Some(attached.session), None);
        if is_kept {
            self.show();
        }
        self.take_pressure()
    }

    /// Where a message has come from that a keeper was sent and has not acknowledged.
    pub(crate) fn origin(&mut self, attached: Attached, id: u16) -> Option<Origin> {
        self.member(attached).ok()?.state.origin(id).cloned()
    }

    /// How it stands with the answers to a client.
    ///
    /// # Errors
    /// When the session is another connection's now.
    pub(crate) fn standing(&mut self, attached: Attached) -> Result<Standing, Taken> {
        let limits = Arc::clone(&self.limits);
        Ok(self.owed(attached)?.standing(&limits))
    }

    pub(super) fn owed(&mut self, attached: Attached) -> Result<&mut Owed, Taken> {
        self.member(attached)?.link.as_mut().map(|link| &mut link.owed).ok_or(Taken)
    }

    /// Where a message comes from that a client publishes now.
    pub(super) fn origin_of(
        &mut self,
        attached: Attached,
        id: u16,
        is_repeated: bool,
    ) -> Result<Origin, Taken> {
        let number = self.owed(attached)?.next();
        let client = Arc::clone(&self.member(attached)?.client);
        Ok(Origin { session: attached.session, epoch: attached.epoch, number, client, id, is_repeated })
    }

    /// A keeper has this message: its sender may be answered.
    pub(super) fn kept(&mut self, origin: &Origin) {
        if let Some(link) = self.sender(origin)
            && link.owed.kept(origin.number)
        {
            link.wake.notify_one();
        }
    }

    /// A keeper will never have it. Its sender is not told that it has: it is cut off, and may send it again.
    pub(super) fn unkept(&mut self, origin: &Origin) {
        if let Some(link) = self.sender(origin) {
            link.owed.fail();
            link.wake.notify_one();
        }
    }

    /// The connection that a message came on, if there is still that one.
    fn sender(&mut self, origin: &Origin) -> Option<&mut Link> {
        let link = self.members.get_mut(&origin.session)?.link.as_mut()?;
        (link.epoch == origin.epoch).then_some(link)
    }
}
