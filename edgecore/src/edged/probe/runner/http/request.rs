//! Where a request goes: the little of URLs that probes need.

use std::fmt;

use http::Uri;

use crate::edged::probe::runner::authority;

/// A server and a path on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub(super) secure: bool,
    pub(super) host: String,
    pub(super) port: u16,
    /// With the query; what may not stand in a request is escaped.
    pub(super) path: String,
}

// === impl Target ===

impl Target {
    pub(super) fn new(secure: bool, host: &str, port: u16, path: &str) -> Self {
        let path = path.split('#').next().unwrap_or_default();
        let slash = if path.starts_with('/') { "" } else { "/" };
        Self { secure, host: host.to_owned(), port, path: format!("{slash}{}", escaped(path)) }
    }

    /// Host and port: the `Host` header.
    pub(super) fn authority(&self) -> String {
        authority(&self.host, self.port)
    }

    /// Where a `Location` leads from here; `None` when it makes no sense.
    pub(super) fn join(&self, location: &str) -> Option<Self> {
        if !is_absolute(location) {
            let path = if location.starts_with('/') {
                location.to_owned()
            } else if location.starts_with('?') {
                format!("{}{location}", self.path.split('?').next().unwrap_or_default())
            } else {
                let path = self.path.split('?').next().unwrap_or_default();
                format!("{}/{location}", path.rsplit_once('/').map_or("", |(folder, _)| folder))
            };
            return Some(Self::new(self.secure, &self.host, self.port, &path));
        }
        let own_scheme = if self.secure { "https:" } else { "http:" };
        let whole =
            if location.starts_with("//") { format!("{own_scheme}{location}") } else { location.to_owned() };
        let uri: Uri = whole.split('#').next().unwrap_or_default().parse().ok()?;
        let secure = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Some(Self::new(secure, host, port, path))
    }

    /// Is it the same host, whatever the port?
    pub(super) fn is_on_host_of(&self, other: &Self) -> bool {
        self.host.eq_ignore_ascii_case(&other.host)
    }
}

/// Does it name a server, and not only a path?
pub(super) fn is_absolute(location: &str) -> bool {
    let before_path = location.split(['/', '?', '#']).next().unwrap_or_default();
    location.starts_with("//") || before_path.contains(':')
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

fn escaped(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | ..=b' ' | 0x7f.. => {
                escaped.push_str(&format!("%{byte:02X}"));
            }
            _ => escaped.push(char::from(byte)),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(location: &str) -> Option<String> {
        let here = Target::new(false, "10.1.0.2", 8080, "/a/b?c=d");
        here.join(location).map(|target| target.to_string())
    }

    #[test]
    fn a_path_is_made_fit_for_a_request() {
        let path = |path: &str| Target::new(true, "::1", 443, path).to_string();
        assert_eq!(path(""), "https://[::1]:443/");
        assert_eq!(path("healthz?full=1#top"), "https://[::1]:443/healthz?full=1");
        assert_eq!(path("/a b/\u{e4}\r\nX: y"), "https://[::1]:443/a%20b/%C3%A4%0D%0AX:%20y");
    }

    #[test]
    fn redirects_lead_where_they_say() {
        let leads = |location: &str, to: &str| assert_eq!(join(location).as_deref(), Some(to), "{location}");
        leads("/x", "http://10.1.0.2:8080/x");
        leads("x?y", "http://10.1.0.2:8080/a/x?y");
        leads("?y", "http://10.1.0.2:8080/a/b?y");
        leads("https://10.1.0.2/x#y", "https://10.1.0.2:443/x");
        leads("//other:81", "http://other:81/");
        leads("http://[::1]:8/", "http://[::1]:8/");
        assert_eq!((join("ftp://x/"), join("http://")), (None, None));
    }

    #[test]
    fn another_port_is_the_same_host() {
        let target = |host: &str, port| Target::new(false, host, port, "/");
        assert!(target("Localhost", 1).is_on_host_of(&target("localhost", 2)));
        assert!(!target("10.1.0.2", 1).is_on_host_of(&target("10.1.0.3", 1)));
    }

    proptest::proptest! {
        /// Both come from the container or its pod, and are anything.
        #[test]
        fn whatever_path_and_location_are_the_request_is_one(path in ".*", location in ".*") {
            let here = Target::new(false, "10.1.0.2", 8080, &path);
            for target in std::iter::once(here.clone()).chain(here.join(&location)) {
                proptest::prop_assert!(target.path.starts_with('/'));
                let request = http::Request::get(&target.path).body(());
                proptest::prop_assert!(request.is_ok(), "{target}: {request:?}");
            }
        }
    }
}
