//! What is read together: the properties that are due at one moment, in as few requests as possible. A pure state.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::plan::{self, Limits};
use crate::registers::{Content, Span};

/// What was read with others is theirs only so long: a reading that comes later is made anew. As long as a slow line needs for a
/// cycle.
const FRESH: Duration = Duration::from_secs(5);

/// Properties that are read next, and what was read of them already.
#[derive(Debug, Default)]
pub(crate) struct Cycle {
    /// Names that were announced and not read yet, with where they are.
    waiting: BTreeMap<String, Span>,
    requests: Vec<Span>,
    held: Vec<(Span, Content, Instant)>,
    /// Spans that were refused together with others: each is read by itself.
    alone: BTreeSet<Span>,
}

impl Cycle {
    /// These are read next.
    pub(crate) fn begin(&mut self, waiting: BTreeMap<String, Span>, limits: Limits) {
        let (alone, together): (Vec<_>, Vec<_>) =
            waiting.values().copied().partition(|span| self.alone.contains(span));
        self.requests = plan::requests(together, limits);
        self.requests.extend(alone);
        self.waiting = waiting;
        self.held.clear();
    }

    /// What is known of a property that waits, or the request that reads it. Its next reading is its own.
    pub(crate) fn take(&mut self, name: &str, span: Span, now: Instant) -> Result<Content, Span> {
        if self.waiting.remove(name) != Some(span) {
            return Err(span);
        }
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < FRESH;
        let mut held = self.held.iter().filter(|(_, _, at)| is_fresh(*at));
        if let Some(content) = held.find_map(|(outer, content, _)| content.part(*outer, span)) {
            return Ok(content);
        }
        Err(self.requests.iter().copied().find(|request| request.contains(span)).unwrap_or(span))
    }

    /// A request was answered.
    pub(crate) fn hold(&mut self, request: Span, content: Content, now: Instant) {
        if self.waiting.values().any(|span| request.contains(*span)) {
            self.held.push((request, content, now));
        }
    }

    /// A request for several was refused: one of them is at fault, and which one is seen when each is asked for.
    pub(crate) fn split(&mut self, request: Span, own: Span) {
        self.alone.insert(own);
        self.alone.extend(self.waiting.values().filter(|span| request.contains(**span)));
        self.requests.retain(|other| *other != request);
    }

    /// Something was set: what was read before may not be so any more.
    pub(crate) fn forget(&mut self) {
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registers::Table;

    const LIMITS: Limits = Limits { most_words: 125, gap: 0 };

    fn span(start: u16, count: u16) -> Span {
        Span::new(Table::Holding, start, count).unwrap()
    }

    fn begun() -> Cycle {
        let mut cycle = Cycle::default();
        begin(&mut cycle);
        cycle
    }

    fn begin(cycle: &mut Cycle) {
        let waiting = [("a", span(0, 2)), ("b", span(2, 1)), ("c", span(9, 1))];
        cycle.begin(waiting.map(|(name, span)| (name.to_owned(), span)).into(), LIMITS);
    }

    #[tokio::test(start_paused = true)]
    async fn one_request_reads_neighbours_and_each_takes_its_own_once() {
        let (mut cycle, now) = (begun(), Instant::now());
        assert_eq!(cycle.take("a", span(0, 2), now), Err(span(0, 3)));
        cycle.hold(span(0, 3), Content::Words(vec![1, 2, 3]), now);
        assert_eq!(cycle.take("b", span(2, 1), now), Ok(Content::Words(vec![3])));
        // Who asks again wants to know it now.
        assert_eq!(cycle.take("b", span(2, 1), now), Err(span(2, 1)));
        assert_eq!(cycle.take("c", span(9, 1), now), Err(span(9, 1)));
        assert_eq!(cycle.take("never announced", span(0, 2), now), Err(span(0, 2)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_old_or_was_set_meanwhile_is_read_anew() {
        let (mut cycle, now) = (begun(), Instant::now());
        cycle.hold(span(0, 3), Content::Words(vec![1, 2, 3]), now);
        assert_eq!(cycle.take("a", span(0, 2), now + FRESH), Err(span(0, 3)));
        let mut cycle = begun();
        cycle.hold(span(0, 3), Content::Words(vec![1, 2, 3]), now);
        cycle.forget();
        assert_eq!(cycle.take("a", span(0, 2), now), Err(span(0, 3)));
        // Another visitor than the one that was announced.
        begin(&mut cycle);
        cycle.hold(span(0, 3), Content::Words(vec![1, 2, 3]), now);
        assert_eq!(cycle.take("a", span(1, 2), now), Err(span(1, 2)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_together_is_asked_for_alone_from_then_on() {
        let (mut cycle, now) = (begun(), Instant::now());
        assert_eq!(cycle.take("a", span(0, 2), now), Err(span(0, 3)));
        cycle.split(span(0, 3), span(0, 2));
        assert_eq!(cycle.take("b", span(2, 1), now), Err(span(2, 1)));
        begin(&mut cycle);
        assert_eq!(cycle.take("a", span(0, 2), now), Err(span(0, 2)));
        assert_eq!(cycle.take("c", span(9, 1), now), Err(span(9, 1)));
    }
}
