//! What a person reads when a clock is against a certificate: which clock says what, and what to do.

use certs::certificate::CertificateError;
use certs::{CertificateInfo, TlsIdentity};
use chassis::link::LinkError;
use jiff::Timestamp;

/// What to do when the cloud's certificate is out of its time.
pub(super) const SERVER_OUT_OF_TIME: &str = "set this node's clock (an NTP server that it reaches, or `date`); if it is right, restart CloudCore, which then makes itself a new certificate";

/// What to do when this node's certificate is out of its time by the cloud's clock.
pub(super) const OWN_OUT_OF_TIME: &str = "compare this node's clock with CloudCore's; if the certificate has expired by CloudCore's, `keadm cert renew` with a token of `keadm gettoken` gets a new one";

/// When a certificate is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From then on.
    pub not_before: Timestamp,
    /// Until then.
    pub not_after: Timestamp,
}

impl Validity {
    /// Of a node's certificate.
    pub(super) fn of(identity: &TlsIdentity) -> Result<Self, CertificateError> {
        let CertificateInfo { not_before, not_after, .. } =
            CertificateInfo::from_der(identity.certificate())?;
        Ok(Self { not_before, not_after })
    }
}

/// Why there is no link, in one line; `own` is the validity of this node's certificate.
pub(super) fn explained(error: &LinkError, own: Option<Validity>, now: Timestamp) -> String {
    let text = error.explained();
    match (error, own) {
        (LinkError::OutOfTime(_), _) => format!("{text}; {SERVER_OUT_OF_TIME}"),
        (LinkError::RefusedForTime, Some(Validity { not_before, not_after })) => format!(
            "{text}: it is valid from {not_before} until {not_after}, and this node's clock says {now}; {OWN_OUT_OF_TIME}"
        ),
        (LinkError::RefusedForTime, None) => format!("{text}; {OWN_OUT_OF_TIME}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use chassis::link::{Bound, OutOfTime};

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_clock_that_is_off_by_a_year_is_named_with_both_times_and_what_to_do() {
        let now = at("2025-11-27T15:00:00Z");
        let fault = OutOfTime { clock: now, bound: Bound::NotBefore(at("2026-11-27T14:00:00Z")) };
        let said = explained(&LinkError::OutOfTime(fault), None, now);
        for part in
            ["2025-11-27T15:00:00Z", "2026-11-27T14:00:00Z", "364 days earlier", "set this node's clock"]
        {
            assert!(said.contains(part), "no {part} in {said}");
        }
    }

    #[test]
    fn a_refused_certificate_is_named_with_its_validity_the_clock_and_what_to_do() {
        let own = Validity { not_before: at("2025-01-01T00:00:00Z"), not_after: at("2026-01-01T00:00:00Z") };
        let said = explained(&LinkError::RefusedForTime, Some(own), at("2025-06-01T00:00:00Z"));
        for part in ["2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2025-06-01T00:00:00Z", "keadm gettoken"]
        {
            assert!(said.contains(part), "no {part} in {said}");
        }
        let said = explained(&LinkError::Closed, Some(own), at("2025-06-01T00:00:00Z"));
        assert_eq!(said, "closed", "everything else is none of its business");
    }
}
