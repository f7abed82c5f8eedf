//! The names that a server certificate is good for.

use std::collections::BTreeSet;
use std::net::IpAddr;

use rcgen::SanType;
use rcgen::string::Ia5String;

/// Names in one certificate. Replicas merge theirs into one shared certificate, so the list could grow without end;
/// 128 is far more than the addresses of one control plane, and keeps the TLS handshake below a few KiB.
pub const MAX_NAMES: usize = 128;

/// A set of IP addresses and DNS names. Text that is an address becomes one, so `dnsNames: [10.0.0.1]` works too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SanList {
    pub(crate) addresses: BTreeSet<IpAddr>,
    pub(crate) names: BTreeSet<String>,
}

impl SanList {
    /// Reads names. Empty ones are left out: stock's default is `dnsNames: [""]`, and an empty dNSName is not valid.
    /// So is what is not ASCII (a dNSName cannot hold it), and everything past [`MAX_NAMES`].
    pub fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let mut list = Self::default();
        for name in names {
            list.add(name.as_ref().trim());
        }
        list
    }

    fn add(&mut self, name: &str) {
        if name.is_empty() || !name.is_ascii() || self.len() >= MAX_NAMES {
            return;
        }
        match name.parse() {
            Ok(address) => self.addresses.insert(address),
            Err(_) => self.names.insert(name.to_ascii_lowercase()),
        };
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.addresses.len() + self.names.len()
    }

    /// Whether there is no name at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every name of `other` is here too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.addresses.is_subset(&self.addresses) && other.names.is_subset(&self.names)
    }

    /// All names of both, `self` first when there are more than [`MAX_NAMES`].
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::new(self.texts().chain(other.texts()))
    }

    fn texts(&self) -> impl Iterator<Item = String> {
        self.addresses.iter().map(IpAddr::to_string).chain(self.names.iter().cloned())
    }

    pub(crate) fn to_rcgen(&self) -> Vec<SanType> {
        let addresses = self.addresses.iter().copied().map(SanType::IpAddress);
        let names = self.names.iter().filter_map(|name| Ia5String::try_from(name.as_str()).ok());
        addresses.chain(names.map(SanType::DnsName)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_names_are_left_out_and_addresses_recognised() {
        let list = SanList::new(["", " ", "10.0.0.1", "::1", "Cloud.Example", "cloud.example", "ä"]);
        assert_eq!(list.addresses.len(), 2);
        assert_eq!(list.names, BTreeSet::from(["cloud.example".to_owned()]));
    }

    #[test]
    fn the_list_is_bounded_and_keeps_its_own_names_first() {
        let mine = SanList::new(["mine.example"]);
        let many = SanList::new((0..2 * MAX_NAMES).map(|n| format!("n{n}")));
        assert_eq!(many.len(), MAX_NAMES);
        let both = mine.union(&many);
        assert_eq!(both.len(), MAX_NAMES);
        assert!(both.covers(&mine));
    }
}
