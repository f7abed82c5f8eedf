//! Lengths of time as Go writes them: `10s`, `1m0s`, `100ms`, `4h0m0s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time in Go's notation (`time.ParseDuration`). Negative ones, which Go allows, make no sense for
/// any key of ours and are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct GoDuration(pub Duration);

/// Not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a duration like 10s or 1m30s, found {0:?}")]
pub struct ParseDurationError(String);

/// Units in nanoseconds. `ms` stands before `m` and `s`, because the first prefix that fits is taken.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl GoDuration {
    /// Whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }
}

impl From<GoDuration> for Duration {
    fn from(duration: GoDuration) -> Self {
        duration.0
    }
}

impl FromStr for GoDuration {
    type Err = ParseDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_nanos(text)
            .and_then(|nanos| u64::try_from(nanos).ok())
            .map(|nanos| Self(Duration::from_nanos(nanos)))
            .ok_or_else(|| ParseDurationError(text.to_owned()))
    }
}

/// `None` for what is not a duration, or is longer than 64 bits of nanoseconds (584 years).
fn parse_nanos(text: &str) -> Option<u128> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    match rest {
        "" => return None,
        "0" => return Some(0),
        _ => {}
    }
    let mut total = 0_u128;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let (unit, nanos) = UNITS.iter().find(|(unit, _)| tail.starts_with(unit))?;
        total = total.checked_add(scale(number, *nanos)?)?;
        rest = tail.strip_prefix(unit)?;
    }
    Some(total)
}

/// A decimal number times a unit, cut off below a nanosecond.
fn scale(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let mut nanos = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? as u128 * unit };
    let mut place = unit;
    for digit in fraction.bytes() {
        place /= 10;
        nanos += u128::from(digit - b'0') * place;
    }
    Some(nanos)
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        match nanos {
            0 => return f.write_str("0s"),
            1..1_000 => return write!(f, "{nanos}ns"),
            1_000..1_000_000 => return write!(f, "{}\u{b5}s", decimal(nanos, 1_000)),
            1_000_000..1_000_000_000 => return write!(f, "{}ms", decimal(nanos, 1_000_000)),
            _ => {}
        }
        let seconds = self.0.as_secs();
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h{minutes}m")?;
        } else if minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}s", decimal(nanos % 60_000_000_000, 1_000_000_000))
    }
}

/// `nanos / unit` with as many decimals as it takes.
fn decimal(nanos: u128, unit: u128) -> String {
    let (whole, fraction) = (nanos / unit, nanos % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    format!("{whole}.{}", format!("{fraction:0width$}").trim_end_matches('0'))
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_notation_is_gos() {
        for (text, millis) in [
            ("0s", 0),
            ("10s", 10_000),
            ("1m0s", 60_000),
            ("2m30s", 150_000),
            ("4h0m0s", 14_400_000),
            ("100ms", 100),
            ("1.5s", 1_500),
        ] {
            let duration: GoDuration = text.parse().unwrap();
            assert_eq!(duration, GoDuration::from_millis(millis), "{text}");
            assert_eq!(duration.to_string(), text);
        }
        assert_eq!("1h".parse::<GoDuration>().unwrap().to_string(), "1h0m0s");
        assert_eq!("0".parse::<GoDuration>().unwrap(), GoDuration::default());
        assert_eq!(".5s".parse::<GoDuration>().unwrap(), GoDuration::from_millis(500));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "+", "10", "s", "-1s", "1 s", "1x", ".s", "1..5s", "99999999999h", "1s2"] {
            assert!(text.parse::<GoDuration>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_duration_survives(nanos in any::<u64>()) {
            let duration = GoDuration(Duration::from_nanos(nanos));
            prop_assert_eq!(duration.to_string().parse::<GoDuration>().unwrap(), duration);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9.hmsnu\u{b5}+-]{0,24}|.{0,12}") {
            text.parse::<GoDuration>().ok();
        }
    }
}
