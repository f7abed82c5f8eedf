//! What all clients cost together: shown, and kept within its bounds.

use super::Core;
use crate::metrics::Drop as Dropped;
use crate::session::Gone;

/// Once there is too much, so much of it stays: looking for whoever has most is not done for every message.
const STAYS: (usize, usize) = (7, 8);

impl Core {
    /// All that waits is too much: the oldest of those who have most goes.
    pub(super) fn shed(&mut self) {
        let stays = self.limits.total_bytes / STAYS.1 * STAYS.0;
        while self.bytes > stays {
            let most = self.members.values_mut().max_by_key(|member| member.state.waiting());
            let Some(member) = most else { return };
            let mut gone = Gone::default();
            let goal = member.state.waiting() / 2;
            while self.bytes > stays && member.state.waiting() > goal {
                let before = member.state.weight();
                let Some(oldest) = member.state.drop_oldest() else { break };
                self.bytes = self.bytes - before + member.state.weight();
                gone.add(oldest);
            }
            if gone.count == 0 {
                // What is under way cannot be dropped, and is bounded for each client.
                return;
            }
            self.metrics.dropped(Dropped::Total, gone.count);
            gone.unkept.iter().for_each(|origin| self.unkept(origin));
        }
    }

    pub(super) fn show(&self) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.clients.set(number(self.clients));
        self.metrics.sessions.set(number(self.members.len()));
        self.metrics.subscriptions.set(number(self.subscriptions));
        self.metrics.retained.set(number(self.retained.len()));
        self.metrics.retained_bytes.set(number(self.retained.bytes()));
        self.show_bytes();
    }

    /// Whether what is counted is what is there.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn check(&self) {
        let members = || self.members.values();
        assert_eq!(self.bytes, members().map(|member| member.state.weight()).sum::<usize>());
        assert_eq!(
            self.subscriptions,
            members().map(|member| member.state.subscriptions.len()).sum::<usize>()
        );
        assert_eq!(
            self.clients,
            members().filter(|member| member.link.is_some() && !member.is_keeper).count()
        );
        assert_eq!(self.away.len(), members().filter(|member| member.expires.is_some()).count());
        assert!(members().all(|member| member.link.is_some() != member.expires.is_some()));
        assert_eq!(self.ids.len(), self.members.len());
        assert!(self.clients <= self.limits.clients && self.members.len() <= self.limits.sessions);
        assert!(
            self.retained.len() <= self.limits.retained
                && self.retained.bytes() <= self.limits.retained_bytes
        );
        members().for_each(|member| member.state.check(&self.limits));
    }

    pub(super) fn show_bytes(&self) {
        self.metrics.queued_bytes.set(i64::try_from(self.bytes).unwrap_or(i64::MAX));
    }
}
