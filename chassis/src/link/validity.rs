//! Certificates that a clock is against. Whoever reads of one must be able to tell whether the certificate is wrong or
//! the clock, so both times are said.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError};

/// A certificate that was refused because of the time on this machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfTime {
    /// What this machine's clock said.
    pub clock: Timestamp,
    /// The end of the certificate's validity that the clock is beyond.
    pub bound: Bound,
}

/// One end of a certificate's validity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The certificate is good from then on, and the clock is earlier.
    NotBefore(Timestamp),
    /// The certificate was good until then, and the clock is later.
    NotAfter(Timestamp),
}

impl OutOfTime {
    /// The refusal that `error` is, or that caused it.
    #[must_use]
    pub fn cause_of(error: &(dyn Error + 'static)) -> Option<Self> {
        find(error, &|cause| match cause {
            rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before }) => {
                Some(Self { clock: moment(*time)?, bound: Bound::NotBefore(moment(*not_before)?) })
            }
            rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => {
                Some(Self { clock: moment(*time)?, bound: Bound::NotAfter(moment(*not_after)?) })
            }
            _ => None,
        })
    }

    /// The same from the words that rustls has for it: quinn passes on nothing else.
    pub(super) fn from_words(words: &str) -> Option<Self> {
        let (_, times) = words.split_once("verification time ")?;
        let (clock, rest) = times.split_once(" (UNIX), but certificate is not valid ")?;
        let (side, rest) = rest.split_once(' ')?;
        let (bound, _) = rest.split_once(' ')?;
        let moment = |seconds: &str| Timestamp::from_second(seconds.parse().ok()?).ok();
        let (clock, bound) = (moment(clock)?, moment(bound)?);
        let bound = match side {
            "before" => Bound::NotBefore(bound),
            "after" => Bound::NotAfter(bound),
            _ => return None,
        };
        Some(Self { clock, bound })
    }
}

impl fmt::Display for OutOfTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clock, bound } = self;
        let apart = |bound: &Timestamp| Apart(clock.duration_since(*bound));
        match bound {
            Bound::NotBefore(from) => write!(
                f,
                "not valid yet: it is valid from {from}, and this machine's clock says {clock}, which is {} earlier",
                apart(from)
            ),
            Bound::NotAfter(until) => write!(
                f,
                "expired: it was valid until {until}, and this machine's clock says {clock}, which is {} later",
                apart(until)
            ),
        }
    }
}

/// How far two clocks are apart, in the one unit that matters.
struct Apart(SignedDuration);

impl fmt::Display for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.unsigned_abs().as_secs();
        match seconds {
            0..=119 => write!(f, "{seconds} s"),
            120..=7199 => write!(f, "{} min", seconds / 60),
            7200..=172_799 => write!(f, "{} h", seconds / 3600),
            _ => write!(f, "{} days", seconds / 86_400),
        }
    }
}

/// Whether `error`, or what caused it, is that the other side refuses this side's certificate for the time on its
/// clock.
#[must_use]
pub fn is_refused_for_time(error: &(dyn Error + 'static)) -> bool {
    find(error, &|cause| {
        matches!(cause, rustls::Error::AlertReceived(AlertDescription::CertificateExpired)).then_some(())
    })
    .is_some()
}

/// The first answer of `look` among `error` and what caused it. `io::Error` leaves out of its chain the very error
/// that it wraps.
fn find<T>(error: &(dyn Error + 'static), look: &dyn Fn(&rustls::Error) -> Option<T>) -> Option<T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref().and_then(look) {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = wrapped.and_then(|inner| find(inner, look)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn moment(time: UnixTime) -> Option<Timestamp> {
    let since = SignedDuration::try_from(Duration::from_secs(time.as_secs())).ok()?;
    Timestamp::from_duration(since).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    fn refusals() -> [(rustls::Error, &'static str); 2] {
        let early = CertificateError::NotValidYetContext { time: at(0), not_before: at(86_400 * 365) };
        let late = CertificateError::ExpiredContext { time: at(7205), not_after: at(5) };
        [
            (
                early.into(),
                "not valid yet: it is valid from 1971-01-01T00:00:00Z, and this machine's clock says 1970-01-01T00:00:00Z, which is 365 days earlier",
            ),
            (
                late.into(),
                "expired: it was valid until 1970-01-01T00:00:05Z, and this machine's clock says 1970-01-01T02:00:05Z, which is 2 h later",
            ),
        ]
    }

    #[test]
    fn both_times_are_said_however_deep_the_refusal_is() {
        for (refusal, said) in refusals() {
            assert_eq!(OutOfTime::cause_of(&refusal).unwrap().to_string(), said);
            let deep = io::Error::other(io::Error::other(refusal));
            assert_eq!(OutOfTime::cause_of(&deep).unwrap().to_string(), said);
        }
        let other = rustls::Error::from(CertificateError::UnknownIssuer);
        assert_eq!(OutOfTime::cause_of(&other), None);
        assert_eq!(OutOfTime::cause_of(&io::Error::other("expired")), None);
    }

    /// Fails when rustls changes its words.
    #[test]
    fn the_words_of_rustls_are_read() {
        for (refusal, _) in refusals() {
            assert_eq!(OutOfTime::from_words(&refusal.to_string()), OutOfTime::cause_of(&refusal));
        }
        for other in ["", "verification time x (UNIX), but certificate is not valid after 5 (", "expired"] {
            assert_eq!(OutOfTime::from_words(other), None);
        }
    }
}
