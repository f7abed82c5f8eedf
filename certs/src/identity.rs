//! What a node is called in certificates: `CN=system:node:<name>, O=system:nodes`, as the Kubernetes node authorizer
//! expects (<https://kubernetes.io/docs/reference/access-authn-authz/node/>).

use std::fmt;

use thiserror::Error;

/// Organisation of every node certificate.
pub const NODE_ORGANIZATION: &str = "system:nodes";
/// What stands before the node's name in the common name.
pub const NODE_COMMON_NAME_PREFIX: &str = "system:node:";
/// Longest node name: a DNS subdomain (RFC 1123), which is what Kubernetes asks of object names.
pub const MAX_NODE_NAME: usize = 253;

/// A valid node name, and so the identity of that node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeIdentity(String);

/// Why a subject or a name is not a node's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Not a DNS subdomain of at most 253 characters.
    #[error("node name {0:?} is not a lower-case DNS name of at most {MAX_NODE_NAME} characters")]
    Name(String),
    /// The common name is not `system:node:<name>`.
    #[error("common name {0:?} is not {NODE_COMMON_NAME_PREFIX}<node name>")]
    CommonName(String),
    /// The organisation is not exactly `system:nodes`.
    #[error("organisation is {0:?}, not {NODE_ORGANIZATION:?}")]
    Organization(Vec<String>),
}

impl NodeIdentity {
    /// The identity of the node called `name`.
    pub fn new(name: &str) -> Result<Self, IdentityError> {
        if is_dns_subdomain(name) {
            Ok(Self(name.to_owned()))
        } else {
            // Cut, so that an error made from a hostile name stays small.
            Err(IdentityError::Name(name.chars().take(MAX_NODE_NAME).collect()))
        }
    }

    /// The identity that a certificate subject states: one organisation, and a common name with the prefix.
    pub fn from_subject(common_name: Option<&str>, organizations: &[String]) -> Result<Self, IdentityError> {
        if organizations != [NODE_ORGANIZATION] {
            return Err(IdentityError::Organization(organizations.to_vec()));
        }
        let common_name = common_name.unwrap_or_default();
        match common_name.strip_prefix(NODE_COMMON_NAME_PREFIX) {
            Some(name) => Self::new(name),
            None => Err(IdentityError::CommonName(common_name.to_owned())),
        }
    }

    /// Name of the node.
    #[must_use]
    pub fn node_name(&self) -> &str {
        &self.0
    }

    /// `system:node:<name>`
    #[must_use]
    pub fn common_name(&self) -> String {
        format!("{NODE_COMMON_NAME_PREFIX}{}", self.0)
    }
}

impl fmt::Display for NodeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NODE_COMMON_NAME_PREFIX}{}", self.0)
    }
}

/// RFC 1123 as Kubernetes reads it: labels of `[a-z0-9-]` that begin and end with a letter or digit, joined by dots.
fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= MAX_NODE_NAME && name.split('.').all(is_dns_label)
}

fn is_dns_label(label: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = label.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(&first), Some(&last)) => {
            alphanumeric(first)
                && alphanumeric(last)
                && bytes.iter().all(|&byte| alphanumeric(byte) || byte == b'-')
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_are_refused() {
        for name in ["", "Edge", "-a", "a-", "a..b", ".", "a_b", "a b", "a/b", "ä", &"a".repeat(254)] {
            assert!(NodeIdentity::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn subjects_that_are_refused() {
        let nodes = [NODE_ORGANIZATION.to_owned()];
        let more = [NODE_ORGANIZATION.to_owned(), "system:masters".to_owned()];
        let cases: [(Option<&str>, &[String]); 6] = [
            (None, &nodes),
            (Some("kubeedge.io"), &nodes),
            (Some("system:node:"), &nodes),
            (Some("system:node:A"), &nodes),
            (Some("system:node:a"), &[]),
            (Some("system:node:a"), &more),
        ];
        for (common_name, organizations) in cases {
            assert!(NodeIdentity::from_subject(common_name, organizations).is_err(), "{common_name:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn a_valid_name_comes_back_from_its_subject(name in "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z0-9]{1,9}){0,3}") {
            let identity = NodeIdentity::new(&name).unwrap();
            let nodes = [NODE_ORGANIZATION.to_owned()];
            prop_assert_eq!(NodeIdentity::from_subject(Some(&identity.common_name()), &nodes).unwrap(), identity);
        }
    }
}
