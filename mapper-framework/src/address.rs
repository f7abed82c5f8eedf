//! Addresses of brokers and databases: `host:port`, with a scheme in front where TLS is to be spoken.

/// Where something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) is_tls: bool,
}

/// The schemes that a kind of server is named with, and its ports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schemes {
    pub(crate) plain: &'static [&'static str],
    pub(crate) tls: &'static [&'static str],
    pub(crate) port: u16,
    pub(crate) tls_port: u16,
}

impl Schemes {
    /// Reads `host`, `host:port`, `[address]:port`, any of them with a scheme in front. Without a scheme there is no TLS.
    ///
    /// # Errors
    /// In words, when it is none of these.
    pub(crate) fn read(self, text: &str) -> Result<Address, String> {
        let (is_tls, rest) = match text.split_once("://") {
            None => (false, text),
            Some((scheme, rest)) if self.plain.contains(&scheme) => (false, rest),
            Some((scheme, rest)) if self.tls.contains(&scheme) => (true, rest),
            Some((scheme, _)) => {
                let known = [self.plain, self.tls].concat().join(", ");
                return Err(format!("{text}: there is no {scheme} here, only {known}"));
            }
        };
        let rest = rest.trim_end_matches('/');
        let default = if is_tls { self.tls_port } else { self.port };
        // In an IPv6 address without brackets the last group is no port.
        let bare = rest.matches(':').count() > 1 && !rest.starts_with('[');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !bare && !rest.ends_with(']') => {
                (host, port.parse().map_err(|_| format!("{text}: {port:?} is no port"))?)
            }
            _ => (rest, default),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || host.contains(['/', '@', '?']) {
            return Err(format!("{text:?} names no host"));
        }
        Ok(Address { host, port, is_tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMES: Schemes = Schemes { plain: &["tcp"], tls: &["ssl", "tls"], port: 1, tls_port: 2 };

    fn read(text: &str) -> Option<(String, u16, bool)> {
        SCHEMES.read(text).ok().map(|address| (address.host, address.port, address.is_tls))
    }

    #[test]
    fn a_scheme_says_whether_tls_is_spoken_and_a_port_may_be_left_out() {
        let at = |host: &str, port, is_tls| Some((host.to_owned(), port, is_tls));
        assert_eq!(read("db"), at("db", 1, false));
        assert_eq!(read("tcp://db:9/"), at("db", 9, false));
        assert_eq!(read("ssl://db"), at("db", 2, true));
        assert_eq!(read("tls://[::1]:9"), at("::1", 9, true));
        assert_eq!(read("[::1]"), at("::1", 1, false));
        assert_eq!(read("fe80::1"), at("fe80::1", 1, false));
        for wrong in ["", "tcp://", "http://db", "db:port", "db:99999", ":1", "user@db", "db/x", "tls://:1"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
