//! Which headers go on, and which are of one connection only.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use proto::user::Headers;

/// Of one connection, or made anew (RFC 9110 section 7.6.1), or written by us.
const OWN: [HeaderName; 10] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::HOST,
    header::CONTENT_LENGTH,
    header::EXPECT,
];

/// The headers of a request for a service at the edge. Without the token that was shown to us: it is nobody else's business.
pub(super) fn of_request(headers: &HeaderMap, has_token: bool) -> Headers {
    let mut headers = passed_on(headers);
    if has_token {
        headers.remove(header::AUTHORIZATION);
    }
    to_wire(&headers)
}

/// As the wire has them.
pub(super) fn to_wire(headers: &HeaderMap) -> Headers {
    let mut wire = Headers::new();
    for (name, value) in headers {
        if let Ok(value) = value.to_str() {
            wire.entry(name.as_str().to_owned()).or_default().push(value.to_owned());
        }
    }
    wire
}

/// The headers that go on of what the wire has; what is no header is left out.
pub(super) fn from_wire(wire: &Headers) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, values) in wire {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        for value in values.iter().filter_map(|value| HeaderValue::from_str(value).ok()) {
            headers.append(&name, value);
        }
    }
    passed_on(&headers)
}

/// Those that go on.
pub(super) fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect();
    let is_own = |name: &HeaderName| OWN.contains(name) || named.contains(name) || name == "keep-alive";
    headers
        .iter()
        .filter(|(name, _)| !is_own(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_the_connection_stays_there_and_the_token_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "cloud:9443"),
            ("connection", "x-mine, close"),
            ("x-mine", "1"),
            ("authorization", "Bearer secret"),
            ("accept", "a"),
            ("transfer-encoding", "chunked"),
            ("keep-alive", "5"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers.append("accept", HeaderValue::from_static("b"));
        let wire = of_request(&headers, true);
        assert_eq!(wire, Headers::from([("accept".to_owned(), vec!["a".to_owned(), "b".to_owned()])]));
        assert!(of_request(&headers, false).contains_key("authorization"));
        assert_eq!(from_wire(&wire).get_all("accept").iter().count(), 2);
        let odd = Headers::from([
            ("a b".to_owned(), vec!["x".to_owned()]),
            ("ok".to_owned(), vec!["a\nb".to_owned()]),
        ]);
        assert!(from_wire(&odd).is_empty());
    }
}
