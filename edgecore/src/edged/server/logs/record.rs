//! The log files of container runtimes: records of `<time> <stdout|stderr> <P|F> <text>\n`, where P is a part of a line
//! that goes on in the next record of the same stream, and F ends it (Kubernetes' CRI log format).

/// A record may be as long as its writer likes (containerd cuts at 16 KiB unless told not to): of one that is longer
/// than this, what is there is passed on before its end has come.
const MAX_PENDING: usize = 64 << 10;

/// To what the container wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::edged::server) enum Source {
    Stdout,
    Stderr,
}

/// A record, or a part of a long one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// RFC 3339 with nanoseconds, as the runtime wrote it.
    pub(super) time: &'a str,
    pub(super) source: Source,
    pub(super) text: &'a [u8],
    /// Does it end a line?
    pub(super) is_end: bool,
}

/// Splits a file into records, whatever the pieces are in which it is read. Something else between them (a file system
/// that was cut off leaves zeros) is left out.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The beginning of a record.
    pending: Vec<u8>,
    /// Within a long record.
    within: Option<Long>,
}

#[derive(Debug)]
enum Long {
    Record { time: String, source: Source, is_end: bool },
    Garbage,
}

/// The source of a record and whether it ends a line, from its first bytes; `None`: it is no record.
pub(super) fn head(line: &[u8]) -> Option<(Source, bool)> {
    parse(line).map(|piece| (piece.source, piece.is_end))
}

fn parse(line: &[u8]) -> Option<Piece<'_>> {
    let mut fields = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(fields.next()?).ok().filter(|time| !time.is_empty())?;
    let source = match fields.next()? {
        b"stdout" => Source::Stdout,
        b"stderr" => Source::Stderr,
        _ => return None,
    };
    // Further tags may come after a colon one day; the first one says what we want to know.
    let is_end = match fields.next()?.split(|byte| *byte == b':').next()? {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    Some(Piece { time, source, text: fields.next().unwrap_or_default(), is_end })
}

// === impl Decoder ===

impl Decoder {
    /// Takes in what comes next in the file, and gives each record to `each`.
    pub(super) fn decode(&mut self, mut bytes: &[u8], each: &mut impl FnMut(Piece<'_>)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if self.pending.is_empty() {
                self.record(line, each);
            } else {
                let mut pending = std::mem::take(&mut self.pending);
                pending.extend_from_slice(line);
                self.record(&pending, each);
                pending.clear();
                self.pending = pending;
            }
            bytes = rest;
        }
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= MAX_PENDING {
            let pending = std::mem::take(&mut self.pending);
            self.part(&pending, each);
        }
    }

    /// A whole record, or the end of a long one.
    fn record(&mut self, line: &[u8], each: &mut impl FnMut(Piece<'_>)) {
        match self.within.take() {
            Some(Long::Record { time, source, is_end }) => {
                each(Piece { time: &time, source, text: line, is_end });
            }
            Some(Long::Garbage) => {}
            None => parse(line).into_iter().for_each(each),
        }
    }

    /// The beginning of a long record, or more of it.
    fn part(&mut self, bytes: &[u8], each: &mut impl FnMut(Piece<'_>)) {
        match &self.within {
            Some(Long::Record { time, source, .. }) => {
                each(Piece { time, source: *source, text: bytes, is_end: false });
            }
            Some(Long::Garbage) => {}
            None => match parse(bytes) {
                Some(piece) => {
                    let Piece { time, source, is_end, .. } = piece;
                    each(Piece { is_end: false, ..piece });
                    self.within = Some(Long::Record { time: time.to_owned(), source, is_end });
                }
                None => self.within = Some(Long::Garbage),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(decoder: &mut Decoder, bytes: &[u8]) -> Vec<(String, Source, Vec<u8>, bool)> {
        let mut all = Vec::new();
        decoder.decode(bytes, &mut |piece| {
            all.push((piece.time.to_owned(), piece.source, piece.text.to_vec(), piece.is_end));
        });
        all
    }

    #[test]
    fn records_are_read_and_anything_else_is_left_out() {
        let file = b"t1 stdout F one\nt2 stderr P tw\n\0\0\0 x\nt3 stdnone F x\nt4 stdout X x\nt5 stderr F:Q o\nt6 stdout F\n";
        let read = pieces(&mut Decoder::default(), file);
        let expected = [
            ("t1", Source::Stdout, "one", true),
            ("t2", Source::Stderr, "tw", false),
            ("t5", Source::Stderr, "o", true),
            ("t6", Source::Stdout, "", true),
        ];
        let expected = expected.map(|(time, source, text, end)| (time.to_owned(), source, text.into(), end));
        assert_eq!(read, expected);
    }

    #[test]
    fn a_record_without_end_is_passed_on_in_parts() {
        let mut decoder = Decoder::default();
        let mut text = 0;
        decoder.decode(b"t stdout F ", &mut |_| panic!("nothing yet"));
        for _ in 0..100 {
            decoder.decode(&[b'x'; 8 << 10], &mut |piece| {
                assert!(!piece.is_end && piece.time == "t");
                text += piece.text.len();
            });
            assert!(decoder.pending.len() < MAX_PENDING, "memory is bounded");
        }
        let last = pieces(&mut decoder, b"y\nu stderr F z\n");
        assert_eq!(text + last[0].2.len(), (800 << 10) + 1);
        assert!(last[0].3 && last[1].2 == b"z");
        let mut garbage = Decoder::default();
        assert!(pieces(&mut garbage, &[0; MAX_PENDING]).is_empty());
        assert_eq!(pieces(&mut garbage, b"\0\nt stdout F a\n").len(), 1);
    }

    proptest! {
        #[test]
        fn how_a_file_is_cut_makes_no_difference(
            lines in proptest::collection::vec("[a-z ]{0,40}", 0..20),
            cuts in proptest::collection::vec(1usize..30, 1..40),
        ) {
            let file: String = lines.iter().map(|line| format!("t stdout F {line}\n")).collect();
            let whole = pieces(&mut Decoder::default(), file.as_bytes());
            let (mut decoder, mut rest, mut cut) = (Decoder::default(), file.as_bytes(), Vec::new());
            for length in cuts.iter().cycle() {
                let (now, later) = rest.split_at(rest.len().min(*length));
                cut.extend(pieces(&mut decoder, now));
                rest = later;
                if rest.is_empty() { break; }
            }
            prop_assert_eq!(whole.len(), lines.len());
            prop_assert_eq!(whole, cut);
        }

        #[test]
        fn nothing_is_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            pieces(&mut Decoder::default(), &bytes);
        }
    }
}
