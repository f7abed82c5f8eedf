//! Which requests read what is to be read: as few as there can be. Pure functions.

use crate::registers::Span;

/// How requests may be made larger than what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Most words in one request: some devices have small buffers.
    pub(crate) most_words: u16,
    /// Most words or bits that are read between two that are wanted, though nobody wants them.
    pub(crate) gap: u16,
}

impl Limits {
    fn most(self, span: Span) -> u32 {
        let by_protocol = span.table.most_read();
        u32::from(if span.table.is_bits() { by_protocol } else { by_protocol.min(self.most_words) })
    }
}

/// Requests that together read all of these spans, each of them whole in one request.
///
/// From left to right, each request goes as far as it may: what does not fit in begins the next one. No other way needs fewer,
/// for every span that begins a request fits into none that begins further left.
pub(crate) fn requests(mut spans: Vec<Span>, limits: Limits) -> Vec<Span> {
    spans.sort_unstable();
    let mut requests: Vec<Span> = Vec::new();
    for span in spans {
        match requests.last_mut().and_then(|last| Some((joined(*last, span, limits)?, last))) {
            Some((joined, last)) => *last = joined,
            None => requests.push(span),
        }
    }
    requests
}

/// The request for both, where one may read both. `next` does not begin before `last`.
fn joined(last: Span, next: Span, limits: Limits) -> Option<Span> {
    let is_near = u32::from(next.start) <= last.end() + u32::from(limits.gap);
    let end = last.end().max(next.end());
    let count = end - u32::from(last.start);
    // One that is longer than the limit already stays as it is: its own manifest asks for it.
    let fits = count <= limits.most(last) || last.contains(next);
    if last.table != next.table || !is_near || !fits {
        return None;
    }
    Some(Span { count: u16::try_from(count).ok()?, ..last })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::registers::Table;

    fn span(table: Table, start: u16, count: u16) -> Span {
        Span::new(table, start, count).unwrap()
    }

    const USUAL: Limits = Limits { most_words: 125, gap: 0 };

    #[test]
    fn neighbours_are_read_together_and_others_are_not() {
        use Table::{Coil, Holding, Input};
        let all = vec![
            span(Holding, 4, 2),
            span(Holding, 0, 2),
            span(Holding, 2, 2),
            span(Holding, 7, 1),
            span(Input, 6, 1),
            span(Coil, 0, 1),
            span(Holding, 3, 1),
        ];
        let expected = [span(Coil, 0, 1), span(Holding, 0, 6), span(Holding, 7, 1), span(Input, 6, 1)];
        assert_eq!(requests(all.clone(), USUAL), expected);
        let wide = requests(all, Limits { gap: 1, ..USUAL });
        assert_eq!(wide, [span(Coil, 0, 1), span(Holding, 0, 8), span(Input, 6, 1)]);
    }

    #[test]
    fn a_request_ends_where_the_protocol_or_the_device_says() {
        let words: Vec<Span> = (0..300).map(|at| span(Table::Holding, at, 1)).collect();
        let counts = |spans: Vec<Span>| spans.iter().map(|span| span.count).collect::<Vec<_>>();
        assert_eq!(counts(requests(words.clone(), USUAL)), [125, 125, 50]);
        assert_eq!(counts(requests(words, Limits { most_words: 100, gap: 0 })), [100, 100, 100]);
        let bits = (0..2500).map(|at| span(Table::Coil, at, 1)).collect();
        assert_eq!(counts(requests(bits, USUAL)), [2000, 500]);
        let end = vec![span(Table::Input, 65535, 1), span(Table::Input, 65530, 5)];
        assert_eq!(requests(end, USUAL), [span(Table::Input, 65530, 6)]);
    }

    fn some_span() -> impl Strategy<Value = Span> {
        let table = prop::sample::select(vec![Table::Coil, Table::Holding, Table::Input]);
        (table, 0u16..400, 1u16..=40).prop_map(|(table, start, count)| span(table, start, count))
    }

    proptest! {
        #[test]
        fn everything_is_read_whole_within_the_limits_and_nothing_else_is(
            spans in prop::collection::vec(some_span(), 0..40), most_words in 40u16..=125, gap in 0u16..10,
        ) {
            let limits = Limits { most_words, gap };
            let planned = requests(spans.clone(), limits);
            for span in &spans {
                prop_assert!(planned.iter().any(|request| request.contains(*span)), "{span} is in none of {planned:?}");
            }
            for request in &planned {
                prop_assert!(u32::from(request.count) <= limits.most(*request));
                let wanted = |at: u32| spans.iter().any(|span| {
                    span.table == request.table && (u32::from(span.start)..span.end()).contains(&at)
                });
                let mut unwanted = 0;
                for at in u32::from(request.start)..request.end() {
                    unwanted = if wanted(at) { 0 } else { unwanted + 1 };
                    prop_assert!(unwanted <= gap, "{request} reads {unwanted} in a row that nobody wants");
                }
            }
        }

        /// Against the best of all ways to put neighbours together.
        #[test]
        fn there_is_no_way_with_fewer_requests(spans in prop::collection::vec(some_span(), 1..12), gap in 0u16..10) {
            let limits = Limits { most_words: 60, gap };
            let mut sorted = spans.clone();
            sorted.sort_unstable();
            // Fewest requests for the first n spans, by trying where the last request begins.
            let mut fewest = vec![0];
            for n in 1..=sorted.len() {
                let ways = (0..n).filter_map(|from| {
                    let mut group = sorted[from..n].iter();
                    let first = *group.next()?;
                    group.try_fold(first, |all, next| joined(all, *next, limits)).map(|_| fewest[from] + 1)
                });
                fewest.push(ways.min().unwrap());
            }
            prop_assert_eq!(requests(spans, limits).len(), fewest[sorted.len()]);
        }
    }
}
