//! What failed, on which node, why, and what to do: for people.

use mapper_framework::DriverError;
use opcua::types::{Error, StatusCode};

/// The server answers that it does not, or cannot be asked.
pub(crate) fn refused(what: &str, status: StatusCode) -> DriverError {
    let text = format!("{what}: {status}{}", hint(status));
    if is_lost(status) { DriverError::Unreachable(text) } else { DriverError::Refused(text) }
}

/// A request failed.
pub(crate) fn failed(what: &str, error: &Error) -> DriverError {
    let status = error.status();
    let text = format!("{what}: {error}{}", hint(status));
    if is_lost(status) { DriverError::Unreachable(text) } else { DriverError::Refused(text) }
}

/// There is no session: whatever the reason, the device cannot be reached.
pub(crate) fn not_connected(url: &str, what: &str, status: StatusCode) -> DriverError {
    DriverError::Unreachable(format!("{url}: {what}{}", hint(status)))
}

/// Codes of a session that is over, of a server that ends, and of answers that do not come.
fn is_lost(status: StatusCode) -> bool {
    const LOST: [StatusCode; 16] = [
        StatusCode::BadTimeout,
        StatusCode::BadRequestTimeout,
        StatusCode::BadNotConnected,
        StatusCode::BadServerNotConnected,
        StatusCode::BadServerHalted,
        StatusCode::BadShutdown,
        StatusCode::BadCommunicationError,
        StatusCode::BadConnectionClosed,
        StatusCode::BadConnectionRejected,
        StatusCode::BadDisconnect,
        StatusCode::BadSecureChannelClosed,
        StatusCode::BadSecureChannelIdInvalid,
        StatusCode::BadSessionClosed,
        StatusCode::BadSessionIdInvalid,
        StatusCode::BadSessionNotActivated,
        StatusCode::BadTcpInternalError,
    ];
    LOST.contains(&status.set_info_bits_off())
}

/// A code without what comes along with it.
trait Bare {
    fn set_info_bits_off(self) -> Self;
}

impl Bare for StatusCode {
    fn set_info_bits_off(self) -> Self {
        Self::from_category(self.sub_code())
    }
}

fn hint(status: StatusCode) -> &'static str {
    match status.set_info_bits_off() {
        StatusCode::BadNodeIdUnknown | StatusCode::BadNodeIdInvalid => {
            ": the server has no such node: check nodeID (indexes of namespaces change, nsu=... stays)"
        }
        StatusCode::BadNotWritable => ": the node cannot be set: make the property ReadOnly",
        StatusCode::BadNotReadable => ": the node cannot be read",
        StatusCode::BadUserAccessDenied => {
            ": the user may not do this: check userName, and the rights that the server gives"
        }
        StatusCode::BadIdentityTokenRejected | StatusCode::BadIdentityTokenInvalid => {
            ": the server does not take the user: check userName and password, or userCertificate"
        }
        StatusCode::BadTypeMismatch => ": the node holds another type",
        StatusCode::BadOutOfRange => ": the server does not take this value",
        StatusCode::BadIndexRangeNoData | StatusCode::BadIndexRangeInvalid => ": check indexRange",
        StatusCode::BadCertificateUntrusted => {
            ": one side does not know the other's certificate: give ours to the server, and name the server's own in remoteCertificate"
        }
        StatusCode::BadSecurityChecksFailed | StatusCode::BadCertificateInvalid => {
            ": a certificate is not taken: look into the server's list of rejected ones"
        }
        StatusCode::BadCertificateUriInvalid => {
            ": the certificate needs the application's URI as its first alternative name"
        }
        StatusCode::BadTooManySessions => ": the server has no session left: end other clients",
        StatusCode::BadTimeout | StatusCode::BadRequestTimeout => {
            ": no answer in time: check url, or raise timeout"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_lost_and_what_is_refused_is_not() {
        let lost = refused("reading ns=2;i=1", StatusCode::BadSessionIdInvalid);
        assert!(lost.is_lost(), "{lost}");
        let unknown = refused("reading ns=2;i=1", StatusCode::BadNodeIdUnknown);
        assert_eq!(
            unknown.to_string(),
            "the device refuses: reading ns=2;i=1: BadNodeIdUnknown: the server has no such node: check nodeID (indexes of namespaces \
             change, nsu=... stays)"
        );
        let error = Error::new(StatusCode::BadTimeout, "late");
        assert!(failed("reading", &error).is_lost());
    }
}
