//! From records to what a client gets: lines put together again, chosen, and marked with their times.

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;

use super::options::Options;
use super::record::{Piece, Source};

/// A line is kept until its end has come, so that those of the two streams do not mix; of one that is longer than this,
/// what is there is passed on.
const MAX_HELD: usize = 64 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Printer {
    timestamps: bool,
    since: Option<Timestamp>,
    only: Option<Source>,
    /// Bytes that may still be given.
    left: Option<u64>,
    stdout: Line,
    stderr: Line,
    out: BytesMut,
}

/// A line of one stream that has begun.
#[derive(Debug, Default)]
struct Line {
    held: Vec<u8>,
    has_begun: bool,
    /// It is older than what is wanted.
    is_old: bool,
}

// === impl Printer ===

impl Printer {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            timestamps: options.timestamps,
            since: options.since,
            only: options.source,
            left: options.limit,
            stdout: Line::default(),
            stderr: Line::default(),
            out: BytesMut::new(),
        }
    }

    /// Takes in the next piece.
    pub(super) fn add(&mut self, piece: Piece<'_>) {
        if self.only.is_some_and(|only| only != piece.source) {
            return;
        }
        let line = match piece.source {
            Source::Stdout => &mut self.stdout,
            Source::Stderr => &mut self.stderr,
        };
        if !line.has_begun {
            line.has_begun = true;
            // A time that cannot be read is not older.
            line.is_old =
                self.since.is_some_and(|since| piece.time.parse().is_ok_and(|at: Timestamp| at < since));
            if self.timestamps {
                line.held.extend_from_slice(piece.time.as_bytes());
                line.held.push(b' ');
            }
        }
        line.held.extend_from_slice(piece.text);
        if piece.is_end {
            line.held.push(b'\n');
        }
        if line.is_old {
            line.held.clear();
        }
        if piece.is_end || line.held.len() >= MAX_HELD {
            give(&mut self.out, &mut self.left, &mut line.held);
        }
        if piece.is_end {
            (line.has_begun, line.is_old) = (false, false);
        }
    }

    /// There is no more: lines without an end are given as they are.
    pub(super) fn finish(&mut self) {
        for line in [&mut self.stdout, &mut self.stderr] {
            give(&mut self.out, &mut self.left, &mut line.held);
        }
    }

    /// What there is to give; `None`: nothing.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        (!self.out.is_empty()).then(|| self.out.split().freeze())
    }

    /// Everything that may be given was.
    pub(super) fn is_full(&self) -> bool {
        self.left == Some(0)
    }
}

fn give(out: &mut BytesMut, left: &mut Option<u64>, held: &mut Vec<u8>) {
    let allowed =
        left.map_or(held.len(), |left| usize::try_from(left).map_or(held.len(), |left| left.min(held.len())));
    out.extend_from_slice(&held[..allowed]);
    if let Some(left) = left {
        *left -= allowed as u64;
    }
    held.clear();
}

#[cfg(test)]
mod tests {
    use super::super::record::Decoder;
    use super::*;

    const FILE: &str = "2026-01-01T00:00:01.5Z stdout F one\n\
        2026-01-01T00:00:02.5Z stdout P tw\n\
        2026-01-01T00:00:02.6Z stderr F error\n\
        2026-01-01T00:00:04.5Z stdout F o\n\
        2026-01-01T00:00:05.5Z stdout P open";

    fn print(options: Options) -> String {
        let mut printer = Printer::new(&options);
        Decoder::default().decode(format!("{FILE}\n").as_bytes(), &mut |piece| printer.add(piece));
        printer.finish();
        String::from_utf8(printer.take().map(|bytes| bytes.to_vec()).unwrap_or_default()).unwrap()
    }

    #[test]
    fn parts_of_a_line_are_joined_and_streams_do_not_mix() {
        assert_eq!(print(Options::default()), "one\nerror\ntwo\nopen");
        let only = |source| print(Options { source: Some(source), ..Options::default() });
        assert_eq!(
            (only(Source::Stdout).as_str(), only(Source::Stderr).as_str()),
            ("one\ntwo\nopen", "error\n")
        );
    }

    #[test]
    fn a_line_has_one_time_that_of_its_beginning() {
        let options = Options {
            timestamps: true,
            since: Some("2026-01-01T00:00:02Z".parse().unwrap()),
            ..Options::default()
        };
        let expected =
            "2026-01-01T00:00:02.6Z error\n2026-01-01T00:00:02.5Z two\n2026-01-01T00:00:05.5Z open";
        assert_eq!(print(options), expected);
        let options = Options { since: Some("2026-01-01T00:00:03Z".parse().unwrap()), ..Options::default() };
        assert_eq!(print(options), "open", "a line is as old as its beginning");
    }

    #[test]
    fn a_limit_is_kept_to_the_byte() {
        for limit in 1..18 {
            let printed = print(Options { limit: Some(limit), ..Options::default() });
            assert_eq!(printed, "one\nerror\ntwo\nopen"[..limit as usize]);
        }
    }

    #[test]
    fn a_long_line_is_not_kept() {
        let mut printer = Printer::new(&Options::default());
        let piece = Piece { time: "t", source: Source::Stdout, text: &[b'x'; 16 << 10], is_end: false };
        for _ in 0..64 {
            printer.add(piece);
            printer.take();
            assert!(printer.stdout.held.len() < MAX_HELD);
        }
    }
}
