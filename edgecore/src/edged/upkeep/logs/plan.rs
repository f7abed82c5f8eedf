//! Names of log files, and what is to be done about those of one container. Pure.
//!
//! A container's folder holds `<attempt>.log`, which is written to, `<attempt>.log.<time>`, which was, and
//! `<attempt>.log.<time>.gz`. What has another name is not ours and is left alone.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// When a log was rotated, to the second: kubelet's form. UTC here, so that a change of the time zone does not put
/// files out of order.
const STAMP: &str = "%Y%m%d-%H%M%S";

/// One file, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogFile {
    /// Counts the containers of one name.
    pub(super) attempt: u32,
    pub(super) part: Part,
}

/// Which part of a container's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Written to.
    Live,
    /// Was written to until then.
    Rotated { until: DateTime, form: Form },
}

/// How a rotated part is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// As it was written.
    Plain,
    /// gzip, complete.
    Packed,
    /// gzip in the making: worth nothing if nobody is making it.
    Unfinished,
}

/// What to do about the rotated parts of a log, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tidying {
    /// Parts that nobody needs.
    pub(super) remove: Vec<Part>,
    /// Plain parts to be packed, by time.
    pub(super) pack: Vec<DateTime>,
}

// === impl LogFile ===

impl LogFile {
    /// `None`: not the name of a log.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (attempt, rest) = name.split_once(".log")?;
        let is_number = !attempt.is_empty() && attempt.bytes().all(|byte| byte.is_ascii_digit());
        let attempt = is_number.then(|| attempt.parse().ok()).flatten()?;
        if rest.is_empty() {
            return Some(Self { attempt, part: Part::Live });
        }
        let (stamp, form) = match rest.strip_prefix('.')? {
            packed if packed.ends_with(".gz") => (packed.strip_suffix(".gz")?, Form::Packed),
            unfinished if unfinished.ends_with(".tmp") => {
                (unfinished.strip_suffix(".tmp")?, Form::Unfinished)
            }
            plain => (plain, Form::Plain),
        };
        let until = DateTime::strptime(STAMP, stamp).ok()?;
        let file = Self { attempt, part: Part::Rotated { until, form } };
        // A number with a leading zero reads the same and is another file.
        (file.name() == name).then_some(file)
    }

    pub(super) fn name(&self) -> String {
        let attempt = self.attempt;
        match self.part {
            Part::Live => format!("{attempt}.log"),
            Part::Rotated { until, form } => {
                let ending = match form {
                    Form::Plain => "",
                    Form::Packed => ".gz",
                    Form::Unfinished => ".tmp",
                };
                format!("{attempt}.log.{}{ending}", until.strftime(STAMP))
            }
        }
    }
}

/// When the log that is rotated at `now` was written until. Later than all before it, whatever has become of the
/// clock: no part takes the place of another, and their order is that in which they were written.
pub(super) fn rotated_at(now: Timestamp, parts: &[Part]) -> Option<DateTime> {
    let now = now.to_zoned(TimeZone::UTC).datetime().with().subsec_nanosecond(0).build().ok()?;
    let last = parts.iter().filter_map(|part| part.until()).max();
    match last {
        Some(last) if last >= now => last.checked_add(jiff::Span::new().seconds(1)).ok(),
        _ => Some(now),
    }
}

impl Part {
    pub(super) fn until(self) -> Option<DateTime> {
        match self {
            Self::Live => None,
            Self::Rotated { until, .. } => Some(until),
        }
    }
}

impl Tidying {
    /// Of the parts of one container's log, `max_files` of which may be kept, the live one among them. The newest
    /// rotated part is never packed: who follows the log may still be reading it, and it may still be written to when
    /// edged ended between renaming it and telling the runtime.
    pub(super) fn of(parts: &[Part], max_files: usize) -> Self {
        let mut tidying = Self::default();
        let mut times: Vec<DateTime> = parts.iter().filter_map(|part| part.until()).collect();
        times.sort_unstable();
        times.dedup();
        let has = |until: DateTime, form: Form| parts.contains(&Part::Rotated { until, form });
        // Times of which there is something to keep, oldest first.
        let kept: Vec<DateTime> = times
            .iter()
            .copied()
            .filter(|until| has(*until, Form::Plain) || has(*until, Form::Packed))
            .collect();
        let excess = kept.len().saturating_sub(max_files.saturating_sub(1));
        let (old, kept) = kept.split_at(excess);
        for until in times {
            let is_old = old.contains(&until);
            for form in [Form::Unfinished, Form::Plain, Form::Packed] {
                // Packed is complete when it has its name, so plain beside it is what was not removed in time.
                let is_double = form == Form::Plain && has(until, Form::Packed);
                if has(until, form) && (is_old || is_double || form == Form::Unfinished) {
                    tidying.remove.push(Part::Rotated { until, form });
                }
            }
        }
        let packable = kept.split_last().map(|(_, older)| older).unwrap_or_default();
        tidying.pack = packable.iter().copied().filter(|until| !has(*until, Form::Packed)).collect();
        tidying
    }

    pub(super) fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.pack.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(second: i8) -> DateTime {
        DateTime::constant(2026, 11, 23, 7, 0, second, 0)
    }

    fn part(second: i8, form: Form) -> Part {
        Part::Rotated { until: time(second), form }
    }

    #[test]
    fn names_are_kubelets() {
        let file = LogFile { attempt: 3, part: part(5, Form::Packed) };
        assert_eq!(file.name(), "3.log.20261123-070005.gz");
        assert_eq!(LogFile::parse("3.log.20261123-070005.gz"), Some(file));
        assert_eq!(LogFile::parse("0.log"), Some(LogFile { attempt: 0, part: Part::Live }));
        for other in
            ["0.logs", "x.log", ".log", "00.log.20261123-070005", "0.log.gz", "0.log.2026.gz.tmp", "+1.log"]
        {
            assert_eq!(LogFile::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_clock_that_went_back_puts_nothing_out_of_order() {
        let now = time(10).to_zoned(TimeZone::UTC).unwrap().timestamp();
        assert_eq!(rotated_at(now, &[part(9, Form::Plain)]), Some(time(10)));
        assert_eq!(rotated_at(now, &[part(10, Form::Packed)]), Some(time(11)));
        assert_eq!(rotated_at(now, &[part(40, Form::Plain), part(3, Form::Plain)]), Some(time(41)));
    }

    #[test]
    fn the_newest_part_stays_as_it_is() {
        let parts = [part(1, Form::Packed), part(2, Form::Plain), part(3, Form::Plain), Part::Live];
        assert_eq!(Tidying::of(&parts, 5), Tidying { remove: Vec::new(), pack: vec![time(2)] });
        assert_eq!(
            Tidying::of(&parts, 3),
            Tidying { remove: vec![part(1, Form::Packed)], pack: vec![time(2)] }
        );
    }

    #[test]
    fn what_a_crash_has_left_is_taken_away() {
        let parts =
            [part(1, Form::Packed), part(1, Form::Plain), part(2, Form::Plain), part(2, Form::Unfinished)];
        let tidying = Tidying::of(&parts, 5);
        assert_eq!(tidying.remove, [part(1, Form::Plain), part(2, Form::Unfinished)]);
        assert_eq!(tidying.pack, []);
    }

    /// Does what is planned, as the disk would.
    fn carry_out(parts: &mut Vec<Part>, tidying: &Tidying, steps: usize) {
        let removals = tidying.remove.iter().map(|part| (Some(*part), None));
        let packings = tidying.pack.iter().flat_map(|until| {
            let (plain, packed) = ((*until, Form::Plain), (*until, Form::Packed));
            let part = |(until, form)| Part::Rotated { until, form };
            [
                (None, Some(part((*until, Form::Unfinished)))),
                (Some(part((*until, Form::Unfinished))), Some(part(packed))),
                (Some(part(plain)), None),
            ]
        });
        for (gone, made) in removals.chain(packings).take(steps) {
            parts.retain(|part| Some(*part) != gone);
            parts.extend(made);
        }
    }

    proptest! {
        #[test]
        fn a_crash_anywhere_loses_nothing_that_is_to_be_kept(
            seconds in proptest::collection::btree_set((0i8..50, prop_oneof![
                Just(Form::Plain), Just(Form::Packed), Just(Form::Unfinished)]), 0..12),
            max_files in 2usize..6,
            crash_after in 0usize..20,
        ) {
            let mut parts: Vec<Part> = seconds.into_iter().map(|(second, form)| part(second, form)).collect();
            parts.push(Part::Live);
            let content = |parts: &[Part]| -> Vec<DateTime> {
                let whole = |part: &&Part| !matches!(part, Part::Live | Part::Rotated { form: Form::Unfinished, .. });
                let mut times: Vec<_> = parts.iter().filter(whole).filter_map(|part| part.until()).collect();
                times.sort_unstable();
                times.dedup();
                times
            };
            let before = content(&parts);
            let newest: Vec<_> = before.iter().rev().take(max_files - 1).rev().copied().collect();
            let tidying = Tidying::of(&parts, max_files);
            carry_out(&mut parts, &tidying, crash_after);
            prop_assert!(newest.iter().all(|time| content(&parts).contains(time)), "after a crash: {parts:?}");
            let rest = Tidying::of(&parts, max_files);
            carry_out(&mut parts, &rest, usize::MAX);
            prop_assert_eq!(&content(&parts), &newest);
            prop_assert_eq!(parts.len(), newest.len() + 1);
            prop_assert!(Tidying::of(&parts, max_files).is_empty(), "it comes to rest: {parts:?}");
            if let Some(last) = newest.last() {
                let was_plain = tidying.pack.contains(last) || rest.pack.contains(last);
                prop_assert!(!was_plain, "the newest is not packed");
            }
        }
    }
}
