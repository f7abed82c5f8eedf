//! Who may ask. There is no authentication: whoever can connect may do everything, so what a browser could be made to
//! do by a web page is refused.
//!
//! A page can point a name of its own at 127.0.0.1 (DNS rebinding), but then the browser says that name in `Host`; and it
//! says where a page is from in `Origin` whenever it sends anything but a plain GET, WebSockets included.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Uri};

/// Sent by browsers only: where the page is that makes the request.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The names by which this node may be called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    /// Name of the node.
    pub(super) node: &'a str,
    /// Its addresses.
    pub(super) addresses: &'a [IpAddr],
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("requests of web pages are not answered")]
    Browser,
    #[error("the Host header is missing, or is no name or address of this node")]
    Host,
}

impl Names<'_> {
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let from_page = headers.get(FETCH_SITE).is_some_and(|site| site != "none");
        if headers.contains_key(ORIGIN) || from_page {
            return Err(Refusal::Browser);
        }
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(Refusal::Host) };
        let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
        let is_ours =
            |authority: &Authority| !authority.as_str().contains('@') && self.include(authority.host());
        let named = host.is_some_and(|host| is_ours(&host)) && uri.authority().is_none_or(is_ours);
        if named { Ok(()) } else { Err(Refusal::Host) }
    }

    fn include(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(address) => address.is_loopback() || self.addresses.contains(&address),
            Err(_) => host.eq_ignore_ascii_case("localhost") || host.eq_ignore_ascii_case(self.node),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, headers: &[(&'static str, &str)]) -> Result<(), Refusal> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let names = Names { node: "edge-1", addresses: &["192.0.2.7".parse().unwrap()] };
        names.check(&uri.parse().unwrap(), &map)
    }

    #[test]
    fn the_node_is_called_by_its_own_names() {
        for host in [
            "localhost",
            "LOCALHOST:10350",
            "127.0.0.1:10350",
            "127.8.8.8",
            "[::1]:10350",
            "192.0.2.7:10350",
            "edge-1",
        ] {
            assert_eq!(check("/pods", &[("host", host)]), Ok(()), "{host}");
        }
    }

    #[test]
    fn other_names_are_refused() {
        for host in [
            "evil.example",
            "evil.example:10350",
            "192.0.2.8",
            "localhost.evil.example",
            "x@localhost",
            "",
            "a b",
        ] {
            assert_eq!(check("/pods", &[("host", host)]), Err(Refusal::Host), "{host:?}");
        }
        assert_eq!(check("/pods", &[]), Err(Refusal::Host));
        assert_eq!(check("/pods", &[("host", "localhost"), ("host", "evil")]), Err(Refusal::Host));
        let absolute = check("http://evil.example/pods", &[("host", "localhost")]);
        assert_eq!(absolute, Err(Refusal::Host));
    }

    #[test]
    fn browsers_are_refused() {
        let with = |name, value| check("/pods", &[("host", "localhost"), (name, value)]);
        assert_eq!(with("origin", "http://evil.example"), Err(Refusal::Browser));
        assert_eq!(with("origin", "null"), Err(Refusal::Browser));
        assert_eq!(with("sec-fetch-site", "cross-site"), Err(Refusal::Browser));
        assert_eq!(with("sec-fetch-site", "none"), Ok(()), "typed by a person");
    }
}
