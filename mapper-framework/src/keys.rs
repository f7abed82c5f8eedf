//! `configData`, read key by key: what stands there as a driver's own types, and everything that is wrong with it at once.
//!
//! Manifests were written for many mappers. Names are found whatever their case (stock's mappers read them so), numbers and
//! truth values may stand as texts, and values may be nested: `com: {baudRate: 9600}` is `baudRate: 9600`. Where a name stands
//! twice, the outer one counts.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::{Map, Value as Json};

use crate::device::Config;
use crate::value::short;

/// Deepest nesting that is looked into: stock's deepest is `common.customizedValues.def3`.
const DEPTH: usize = 4;

/// The keys of one `configData`.
///
/// ```
/// # fn read(device: &mapper_framework::Device) -> Result<(), mapper_framework::DriverError> {
/// let mut keys = device.config().keys("protocol.configData");
/// let host = keys.text(&["ip", "host"]);
/// let port = keys.whole(&["port"], 1..=65535).unwrap_or(502);
/// if host.is_none() {
///     keys.problem("ip", "is missing");
/// }
/// let problems = keys.problems();
/// if !problems.is_empty() {
///     return Err(mapper_framework::DriverError::Config(problems.join("; ")));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Keys<'a> {
    place: String,
    /// By name, in small letters.
    found: BTreeMap<String, Found<'a>>,
    problems: Vec<String>,
}

#[derive(Debug)]
struct Found<'a> {
    path: String,
    value: &'a Json,
    is_read: bool,
}

/// What was read of a `configData`.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked<T> {
    /// What it means, or everything that is wrong with it, each with its place.
    pub value: Result<T, Vec<String>>,
    /// Keys that mean nothing: slips of the pen, or for another mapper.
    pub unread: Vec<String>,
}

impl Config {
    /// Its keys. `place` is what messages begin with: `protocol.configData`.
    #[must_use]
    pub fn keys(&self, place: &str) -> Keys<'_> {
        let mut found = BTreeMap::new();
        collect(&mut found, self.map(), "", DEPTH);
        Keys { place: place.to_owned(), found, problems: Vec::new() }
    }
}

/// Outer keys first, so that they count.
fn collect<'a>(
    found: &mut BTreeMap<String, Found<'a>>,
    map: &'a Map<String, Json>,
    above: &str,
    depth: usize,
) {
    let path = |key: &str| if above.is_empty() { key.to_owned() } else { format!("{above}.{key}") };
    for (key, value) in map {
        if !value.is_null() && !value.is_object() {
            let one = || Found { path: path(key), value, is_read: false };
            found.entry(key.to_lowercase()).or_insert_with(one);
        }
    }
    for (key, value) in map {
        if let Json::Object(inner) = value
            && depth > 0
        {
            collect(found, inner, &path(key), depth - 1);
        }
    }
}

impl<'a> Keys<'a> {
    /// A text; a number or a truth value is one, too. An empty one counts as not given.
    pub fn text(&mut self, names: &[&str]) -> Option<String> {
        let (path, value) = self.take(names)?;
        match value {
            Json::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Json::Number(number) => Some(number.to_string()),
            Json::Bool(value) => Some(value.to_string()),
            Json::Null | Json::Array(_) | Json::Object(_) => {
                self.problem(&path, "is no text");
                None
            }
        }
    }

    /// A whole number in a range, which may be written as `0x1F`.
    pub fn whole(&mut self, names: &[&str], range: RangeInclusive<i64>) -> Option<i64> {
        let (path, value) = self.take(names)?;
        if is_empty(value) {
            return None;
        }
        let number = match value {
            Json::Number(number) => number.as_i64().or_else(|| crate::value::whole(number.as_f64()?)),
            Json::String(text) => parse(text.trim()),
            _ => None,
        };
        if number.is_none_or(|number| !range.contains(&number)) {
            let (least, most) = (range.start(), range.end());
            self.problem(&path, &format!("{} is no whole number from {least} to {most}", said(value)));
            return None;
        }
        number
    }

    /// A number.
    pub fn real(&mut self, names: &[&str]) -> Option<f64> {
        let (path, value) = self.take(names)?;
        if is_empty(value) {
            return None;
        }
        let number = match value {
            Json::Number(number) => number.as_f64(),
            Json::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number: &f64| number.is_finite());
        if number.is_none() {
            self.problem(&path, &format!("{} is no number", said(value)));
        }
        number
    }

    /// `true` or `false`.
    pub fn flag(&mut self, names: &[&str]) -> Option<bool> {
        let (path, value) = self.take(names)?;
        if is_empty(value) {
            return None;
        }
        let flag = match value {
            Json::Bool(value) => Some(*value),
            Json::Number(number) => number.as_i64().and_then(|number| match number {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            }),
            Json::String(text) => text.trim().to_lowercase().parse().ok(),
            _ => None,
        };
        if flag.is_none() {
            self.problem(&path, &format!("{} is neither true nor false", said(value)));
        }
        flag
    }

    /// One of some words, whatever their case.
    pub fn choice<T: Clone>(&mut self, names: &[&str], words: &[(&str, T)]) -> Option<T> {
        let path = self.path(names);
        let text = self.text(names)?;
        let chosen = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
        if chosen.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.problem(&path, &format!("{:?} is none of {}", short(&text), words.join(", ")));
        }
        chosen.map(|(_, choice)| choice.clone())
    }

    /// Whether one of these names is there.
    #[must_use]
    pub fn has(&self, names: &[&str]) -> bool {
        names
            .iter()
            .any(|name| self.found.get(&name.to_lowercase()).is_some_and(|found| !is_empty(found.value)))
    }

    /// Something that is wrong with a key, by its name or its path.
    pub fn problem(&mut self, key: &str, what: &str) {
        let path = self.path(&[key]);
        self.problems.push(format!("{}.{path}: {what}", self.place));
    }

    /// Where one of these names stands; where none does, the first of them.
    #[must_use]
    pub fn path(&self, names: &[&str]) -> String {
        let found = names.iter().find_map(|name| self.found.get(&name.to_lowercase()));
        found
            .map_or_else(|| names.first().copied().unwrap_or_default().to_owned(), |found| found.path.clone())
    }

    /// Keys that nobody has read: slips of the pen, or for another mapper.
    #[must_use]
    pub fn unread(&self) -> Vec<String> {
        let unread = self.found.values().filter(|found| !found.is_read);
        unread.map(|found| format!("{}.{}", self.place, found.path)).collect()
    }

    /// Everything that is wrong, each with its place.
    #[must_use]
    pub fn problems(self) -> Vec<String> {
        self.problems
    }

    /// Ends the reading. `value` is what came of it, and does not count where anything is wrong; keys that are `ignored` are not called unread.
    #[must_use]
    pub fn checked<T>(mut self, value: Option<T>, ignored: &[&str]) -> Checked<T> {
        self.take(ignored);
        let (unread, problems) = (self.unread(), self.problems());
        Checked { value: value.filter(|_| problems.is_empty()).ok_or(problems), unread }
    }

    /// The first of these names that is there. All of them count as read.
    fn take(&mut self, names: &[&str]) -> Option<(String, &'a Json)> {
        let mut first = None;
        for name in names {
            if let Some(found) = self.found.get_mut(&name.to_lowercase()) {
                found.is_read = true;
                first = first.or_else(|| Some((found.path.clone(), found.value)));
            }
        }
        first
    }
}

/// Stock leaves a key empty where it says nothing.
fn is_empty(value: &Json) -> bool {
    value.as_str().is_some_and(|text| text.trim().is_empty())
}

fn parse(text: &str) -> Option<i64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok().or_else(|| crate::value::whole(text.parse().ok()?)),
    }
}

fn said(value: &Json) -> String {
    short(&value.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn config(value: Json) -> Config {
        Config::of(value.as_object().unwrap().clone())
    }

    #[test]
    fn names_are_found_in_any_case_and_at_any_depth_and_the_outer_one_counts() {
        let config = config(json!({
            "SlaveID": "7", "common": {"com": {"baudRate": 9600, "Parity": "Even"}, "slaveid": 9}, "x": null, "y": 1,
        }));
        let mut keys = config.keys("protocol.configData");
        assert_eq!(keys.whole(&["slaveID"], 0..=247), Some(7));
        assert_eq!(keys.whole(&["baudRate"], 1..=100_000), Some(9600));
        assert_eq!(keys.choice(&["parity"], &[("none", 'N'), ("even", 'E')]), Some('E'));
        assert_eq!(keys.text(&["x"]), None);
        assert_eq!(keys.unread(), ["protocol.configData.y"]);
        assert_eq!(keys.problems(), [] as [&str; 0]);
    }

    #[test]
    fn numbers_and_truth_values_may_be_texts_and_empty_ones_are_not_given() {
        let config = config(json!({
            "a": "0x1f", "b": 2.0, "c": "0.1", "d": "TRUE", "e": 1, "f": "", "g": " ", "h": 502,
        }));
        let mut keys = config.keys("p");
        assert_eq!(keys.whole(&["a"], 0..=99), Some(31));
        assert_eq!(keys.whole(&["b"], 0..=99), Some(2));
        assert_eq!(keys.real(&["c"]), Some(0.1));
        assert_eq!((keys.flag(&["d"]), keys.flag(&["e"])), (Some(true), Some(true)));
        assert_eq!((keys.whole(&["f"], 0..=1), keys.flag(&["g"]), keys.real(&["f"])), (None, None, None));
        assert_eq!(keys.text(&["h"]).as_deref(), Some("502"));
        assert!(keys.has(&["a"]) && !keys.has(&["f", "none"]));
        assert_eq!(keys.problems(), [] as [&str; 0]);
    }

    #[test]
    fn everything_wrong_is_said_at_once_and_where() {
        let config = config(json!({
            "com": {"baudRate": "fast", "parity": "both"}, "port": 99_999, "scale": "NaN", "swap": "maybe", "ip": [1],
        }));
        let mut keys = config.keys("protocol.configData");
        keys.whole(&["baudRate"], 50..=4_000_000);
        keys.choice(&["parity"], &[("none", 0), ("even", 1)]);
        keys.whole(&["port"], 1..=65535);
        keys.real(&["scale"]);
        keys.flag(&["swap"]);
        keys.text(&["ip"]);
        keys.problem("slaveID", "is missing");
        assert_eq!(
            keys.problems(),
            [
                "protocol.configData.com.baudRate: \"fast\" is no whole number from 50 to 4000000",
                "protocol.configData.com.parity: \"both\" is none of none, even",
                "protocol.configData.port: 99999 is no whole number from 1 to 65535",
                "protocol.configData.scale: \"NaN\" is no number",
                "protocol.configData.swap: \"maybe\" is neither true nor false",
                "protocol.configData.ip: is no text",
                "protocol.configData.slaveID: is missing",
            ]
        );
    }

    proptest! {
        #[test]
        fn a_number_is_the_same_however_it_is_written(number in -1_000_000i64..1_000_000) {
            for value in [json!(number), json!(number.to_string()), json!(number as f64), json!(format!(" {number}.0 "))] {
                let config = config(json!({ "n": value }));
                let mut keys = config.keys("p");
                prop_assert_eq!(keys.whole(&["N"], -1_000_000..=1_000_000), Some(number));
                prop_assert_eq!(keys.real(&["n"]), Some(number as f64));
            }
        }
    }
}
