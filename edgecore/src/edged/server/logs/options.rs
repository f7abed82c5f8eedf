//! What of a log is wanted: kubelet's query parameters, those of `v1.PodLogOptions`.

use jiff::{SignedDuration, Timestamp};

use super::record::Source;
use crate::edged::server::error::Error;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::edged::server) struct Options {
    /// Go on as the container writes, until it has ended.
    pub(super) follow: bool,
    /// The last container that has ended, instead of the present one.
    pub(super) previous: bool,
    /// Each line begins with its time.
    pub(super) timestamps: bool,
    /// Only the last lines; then what else is said applies to those.
    pub(super) tail: Option<u64>,
    /// Only lines from this time on.
    pub(super) since: Option<Timestamp>,
    /// So many bytes and no more.
    pub(super) limit: Option<u64>,
    /// Only what was written to this; else both.
    pub(super) source: Option<Source>,
}

impl Options {
    /// From a query string; `now` is what `sinceSeconds` counts from.
    ///
    /// # Errors
    /// A value makes no sense; the text names the parameter. Parameters that are unknown have no effect, as in kubelet.
    pub(in crate::edged::server) fn parse(query: &str, now: Timestamp) -> Result<Self, Error> {
        let mut options = Self::default();
        let mut since = 0;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "follow" => options.follow = flag(&value),
                "previous" => options.previous = flag(&value),
                "timestamps" => options.timestamps = flag(&value),
                // The older name, which also has a word for everything.
                "tail" if value == "all" => options.tail = None,
                "tailLines" | "tail" => options.tail = Some(number(&name, &value, 0)?),
                "limitBytes" => options.limit = Some(number(&name, &value, 1)?),
                "sinceSeconds" => {
                    let seconds = number(&name, &value, 1)?;
                    let ago = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
                    options.since = Some(now.saturating_sub(ago).unwrap_or(Timestamp::MIN));
                    since += 1;
                }
                "sinceTime" => {
                    let time = value.parse();
                    options.since = Some(time.map_err(|_| wrong(&name, &value, "an RFC 3339 time"))?);
                    since += 1;
                }
                "stream" => {
                    options.source = match &*value {
                        "All" | "" => None,
                        "Stdout" => Some(Source::Stdout),
                        "Stderr" => Some(Source::Stderr),
                        _ => return Err(wrong(&name, &value, "All, Stdout or Stderr")),
                    };
                }
                _ => {}
            }
        }
        if since > 1 {
            return Err(Error::Query("at most one of sinceTime or sinceSeconds may be given".to_owned()));
        }
        Ok(options)
    }
}

/// As Kubernetes reads a flag in a query: it is off only when it says so.
pub(in crate::edged::server) fn flag(value: &str) -> bool {
    !(value == "0" || value.eq_ignore_ascii_case("false"))
}

fn number(name: &str, value: &str, least: u64) -> Result<u64, Error> {
    // Kubernetes' numbers are signed, and larger ones are a mistake there.
    let parsed = value.parse::<i64>().ok().and_then(|number| u64::try_from(number).ok());
    parsed
        .filter(|number| *number >= least)
        .ok_or_else(|| wrong(name, value, &format!("a whole number from {least} on")))
}

fn wrong(name: &str, value: &str, expected: &str) -> Error {
    Error::Query(format!("{name}: {value:?} is not {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-27T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn every_parameter_is_read() {
        let query =
            "follow=true&previous=1&timestamps=&tailLines=7&limitBytes=9&stream=Stderr&sinceSeconds=60&x=y";
        let expected = Options {
            follow: true,
            previous: true,
            timestamps: true,
            tail: Some(7),
            since: Some("2026-11-27T11:59:00Z".parse().unwrap()),
            limit: Some(9),
            source: Some(Source::Stderr),
        };
        assert_eq!(Options::parse(query, now()).unwrap(), expected);
        let options =
            Options::parse("follow=false&previous=0&tail=all&sinceTime=2026-01-01T00%3A00%3A00Z", now());
        let since = Some("2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(options.unwrap(), Options { since, ..Options::default() });
        assert_eq!(Options::parse("tail=3", now()).unwrap().tail, Some(3));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for query in [
            "tailLines=-1",
            "tailLines=x",
            "limitBytes=0",
            "sinceSeconds=0",
            "sinceTime=now",
            "stream=Both",
            "tailLines=99999999999999999999",
        ] {
            let error = Options::parse(query, now()).unwrap_err().to_string();
            let name = query.split('=').next().unwrap();
            assert!(error.starts_with(&format!("{name}: ")), "{query}: {error}");
        }
        assert!(Options::parse("sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z", now()).is_err());
        let long_ago = Options::parse("sinceSeconds=9223372036854775807", now()).unwrap();
        assert_eq!(long_ago.since, Some(Timestamp::MIN));
    }
}
