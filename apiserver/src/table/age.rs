//! Ages as `kubectl` shows them: `5s`, `3m20s`, `2d4h`.

use jiff::Timestamp;
use serde_json::Value;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// A duration in at most two units: the smaller unit is dropped once it no longer tells much.
pub fn human_duration(seconds: i64) -> String {
    // Clocks of two machines may differ by a second.
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    match seconds.max(0) {
        s if s < 2 * MINUTE => format!("{s}s"),
        s if s < 10 * MINUTE => two_units(s, MINUTE, "m", 1, "s"),
        s if s < 3 * HOUR => format!("{}m", s / MINUTE),
        s if s < 8 * HOUR => two_units(s, HOUR, "h", MINUTE, "m"),
        s if s < 2 * DAY => format!("{}h", s / HOUR),
        s if s < 8 * DAY => two_units(s, DAY, "d", HOUR, "h"),
        s if s < 2 * YEAR => format!("{}d", s / DAY),
        s if s < 8 * YEAR => two_units(s, YEAR, "y", DAY, "d"),
        s => format!("{}y", s / YEAR),
    }
}

fn two_units(seconds: i64, large: i64, large_name: &str, small: i64, small_name: &str) -> String {
    match (seconds / large, seconds % large / small) {
        (large, 0) => format!("{large}{large_name}"),
        (large, small) => format!("{large}{large_name}{small}{small_name}"),
    }
}

/// The age of a timestamp in an object; `<unknown>` without one.
pub(super) fn since(timestamp: &Value, now: Timestamp) -> String {
    match timestamp.as_str() {
        None | Some("") => "<unknown>".to_owned(),
        Some(text) => match text.parse::<Timestamp>() {
            Ok(then) => human_duration(now.as_second() - then.as_second()),
            Err(_) => "<invalid>".to_owned(),
        },
    }
}
