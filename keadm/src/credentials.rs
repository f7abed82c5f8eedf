//! What a node proves itself with: its certificate and its join token, as they are on this machine, and how good they still are.

use std::path::Path;

use anyhow::Context as _;
use certs::{CertificateInfo, JoinToken, armor};
use jiff::{SignedDuration, Timestamp};
use proto::config::edgecore::EdgeHub;

use crate::findings::Finding;
use crate::host::Look;

/// EdgeCore renews between 70 and 90 % of a certificate's life.
const RENEWED_BY: f64 = 0.9;
/// What to do about one that has expired.
const RENEW: &str = "if the clock is right: `keadm gettoken` on the cloud side, and here `keadm cert renew --token TOKEN`. Pods run meanwhile";

/// The node's certificate; none when it has none yet.
///
/// # Errors
/// When it is there and is none.
pub fn certificate(hub: &EdgeHub, look: &dyn Look) -> anyhow::Result<Option<CertificateInfo>> {
    let file = Path::new(&hub.tls_cert_file);
    let Some(text) = look.read(file)? else { return Ok(None) };
    let context = || format!("{} holds no certificate", file.display());
    let der = armor::decode_certificate(text.as_bytes()).with_context(context)?;
    CertificateInfo::from_der(&der).with_context(context).map(Some)
}

/// How the files of a node are: all there, this node's, and good now.
pub fn certificate_finding(hub: &EdgeHub, node: &str, look: &dyn Look, now: Timestamp) -> Finding {
    const CHECK: &str = "certificates";
    let files = [&hub.tls_ca_file, &hub.tls_cert_file, &hub.tls_private_key_file];
    if let Some(missing) = files.iter().find(|file| !look.exists(Path::new(file.as_str()))) {
        let hint = "EdgeCore gets it with the token: `keadm cert renew --token TOKEN` gives it a new one";
        return Finding::bad(CHECK, format!("{missing} is not there"), hint);
    }
    let info = match certificate(hub, look) {
        Ok(Some(info)) => info,
        Ok(None) => return Finding::bad(CHECK, format!("{} has gone", hub.tls_cert_file), RENEW),
        Err(error) => return Finding::bad(CHECK, format!("{error:#}"), RENEW),
    };
    let of = info.node().map(|of| of.node_name().to_owned());
    let is_of_another = !node.is_empty() && of.as_ref().is_ok_and(|of| of != node);
    if is_of_another {
        let said = format!("the certificate is of {}, this node is {node}", of.unwrap_or_default());
        return Finding::bad(
            CHECK,
            said,
            "EdgeCore joins anew for this name when it has a token: `keadm cert renew --token TOKEN`",
        );
    }
    of_its_time(CHECK, &info, now)
}

fn of_its_time(check: &'static str, info: &CertificateInfo, now: Timestamp) -> Finding {
    let (from, to) = (info.not_before, info.not_after);
    if now < from {
        let hint = "the clock of this machine is wrong: `timedatectl` says what sets it";
        return Finding::bad(
            check,
            format!("by this machine's clock ({now:.0}) it is good only from {from:.0}"),
            hint,
        );
    }
    if now > to {
        return Finding::bad(
            check,
            format!("it has expired at {to:.0}, {} ago", days(now.duration_since(to))),
            RENEW,
        );
    }
    let until = format!("it is good until {to:.0}, for {} more", days(to.duration_since(now)));
    let passed = now.duration_since(from).as_secs_f64();
    if passed > to.duration_since(from).as_secs_f64() * RENEWED_BY {
        let hint = "EdgeCore should have renewed it: can it reach modules.edgeHub.httpServer, and is modules.edgeHub.rotateCertificates on?";
        return Finding::bad(check, until, hint);
    }
    Finding::good(check, until)
}

/// How the token in the configuration is, where there is one. A node that has its certificate needs none.
pub fn token_finding(hub: &EdgeHub, look: &dyn Look, now: Timestamp) -> Option<Finding> {
    const CHECK: &str = "token";
    if hub.token.is_empty() {
        return None;
    }
    let is_needed = !certificate(hub, look).is_ok_and(|info| info.is_some_and(|info| info.is_valid_at(now)));
    let new = "a new one is `keadm gettoken` on the cloud side, and here `keadm cert renew --token TOKEN`";
    let needless = "; it is not needed while the certificate is good";
    let (is_good, said) = match JoinToken::parse(&hub.token.0) {
        Err(error) => (false, error.to_string()),
        Ok(token) => match token.claimed_expiry() {
            Some(at) if at < now => (false, format!("it has expired at {at:.0}")),
            Some(at) => (true, format!("it is good until {at:.0}")),
            None => (false, "it does not say until when it is good".to_owned()),
        },
    };
    Some(match (is_good, is_needed) {
        (true, _) => Finding::good(CHECK, said),
        (false, false) => Finding::good(CHECK, said + needless),
        (false, true) => Finding::bad(CHECK, said, new),
    })
}

/// In days, or in hours where that would be none.
fn days(duration: SignedDuration) -> String {
    let hours = duration.as_hours();
    if hours < 48 { format!("{hours} hours") } else { format!("{} days", hours / 24) }
}

#[cfg(test)]
mod tests {
    use certs::{Ca, NodeIdentity, PrivateKey, csr};

    use super::*;
    use crate::host::Facts;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn begin() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn hub() -> EdgeHub {
        EdgeHub::default()
    }

    /// A node that joined at the beginning, for a hundred days.
    fn machine(ca: &Ca, node: &str) -> Facts {
        let identity = NodeIdentity::new(node).unwrap();
        let key = PrivateKey::generate().unwrap();
        let request = csr::request(&identity, &key).unwrap();
        let issued = ca.sign_node_csr(&request, node, DAY * 100, begin()).unwrap();
        let hub = hub();
        let files = [
            (hub.tls_ca_file, armor::encode_certificate(ca.cert_der())),
            (hub.tls_cert_file, armor::encode_certificate(&issued)),
            (hub.tls_private_key_file, "not looked at".to_owned()),
        ];
        Facts {
            files: files.into_iter().map(|(file, text)| (file.into(), text)).collect(),
            ..Facts::default()
        }
    }

    fn shown(finding: Option<Finding>) -> String {
        let Some(finding) = finding else { return "nothing is said\n".to_owned() };
        let word = if finding.ok { "ok" } else { "FAILED" };
        let hint = finding.hint.map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
        format!("{word} {}: {}\n{hint}", finding.check, finding.found)
    }

    #[test]
    fn a_certificate_through_its_life_and_after() {
        let ca = Ca::generate(begin()).unwrap();
        let machine = machine(&ca, "edge-1");
        let at = |node: &str, days: i32| {
            shown(Some(certificate_finding(&hub(), node, &machine, begin() + DAY * days)))
        };
        let life: Vec<String> =
            [-1, 1, 89, 91, 99, 101, 465].map(|day| format!("day {day}: {}", at("edge-1", day))).into();
        insta::assert_snapshot!(life.join("") + "of another: " + &at("edge-2", 1));
    }

    #[test]
    fn files_that_are_not_there_or_not_what_they_should_be() {
        let ca = Ca::generate(begin()).unwrap();
        let mut broken = machine(&ca, "edge-1");
        broken.files.insert(hub().tls_cert_file.into(), "no certificate".to_owned());
        let none = Facts::default();
        let said: String = [&none, &broken]
            .map(|look| shown(Some(certificate_finding(&hub(), "edge-1", look, begin()))))
            .concat();
        insta::assert_snapshot!(said);
    }

    #[test]
    fn a_token_matters_only_without_a_certificate() {
        let ca = Ca::generate(begin()).unwrap();
        let token = JoinToken::issue(&ca, begin(), DAY).unwrap();
        let (joined, bare) = (machine(&ca, "edge-1"), Facts::default());
        let with = |token: &str| EdgeHub { token: proto::config::Sensitive(token.to_owned()), ..hub() };
        let (none, good, odd) = (with(""), with(&token.expose()), with("se.cr.et"));
        let mut said = String::new();
        for (what, hub, look, days) in [
            ("none", &none, &bare, 1),
            ("in its day", &good, &bare, 0),
            ("late, and needed", &good, &bare, 2),
            ("late, and needless", &good, &joined, 2),
            ("late, and the certificate has expired, too", &good, &joined, 200),
            ("odd", &odd, &bare, 1),
        ] {
            said += &format!("{what}: {}", shown(token_finding(hub, look, begin() + DAY * days)));
        }
        assert!(!said.contains("se.cr.et") && !said.contains(&token.expose()));
        insta::assert_snapshot!(said);
    }
}
