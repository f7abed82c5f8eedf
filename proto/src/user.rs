//! What users' messages carry between the cloud's router and the buses at the edge (spec cloud-and-wire 6.3).
//!
//! | message | what it carries |
//! |---|---|
//! | cloud, source `router_servicebus`, operation an HTTP method, resource `<port>:<path>` | [`HttpRequest`] |
//! | edge, source `servicebus`, operation `upload`, with a parent | [`HttpResponse`] |
//! | edge, source `bus`, operation `upload`, with a parent (Skerry only) | [`HttpResponse`]: what became of a `publish` |
//! | edge, source `servicebus`, operation `upload`, resource a URL | base64 of the body, which is [`CloudRequest`] |
//! | cloud, operation `response` to that | text; between Skerry peers [`HttpResponse`] |
//! | cloud, source `router`, operation `update`, resource [`RULES`] (Skerry only) | [`NodeRules`] |

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Resource of the message that tells a node what rules want of it.
pub const RULES: &str = "rules";

/// Headers as Go writes them. `null` is none.
pub type Headers = BTreeMap<String, Vec<String>>;

/// A request for an HTTP service at the edge.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HttpRequest {
    /// Headers.
    #[serde(default, deserialize_with = "or_none")]
    pub header: Headers,
    /// Body.
    #[serde(default)]
    pub body: Body,
    /// HTTP method.
    #[serde(default)]
    pub method: String,
    /// Always empty.
    #[serde(default)]
    pub url: String,
}

/// The answer of an HTTP service, at the edge or in the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HttpResponse {
    /// Headers.
    #[serde(default, deserialize_with = "or_none")]
    pub header: Headers,
    /// HTTP status.
    pub status_code: u16,
    /// Body.
    #[serde(default)]
    pub body: Body,
}

/// What an application at the edge asks of ServiceBus.
#[derive(Debug, Serialize, Deserialize)]
pub struct CloudRequest<'a> {
    /// HTTP method; empty: POST.
    #[serde(default)]
    pub method: String,
    /// A URL that a rule names.
    #[serde(rename = "targetURL", default)]
    pub target_url: String,
    /// Any JSON.
    #[serde(default, borrow)]
    pub payload: Option<&'a RawValue>,
}

/// Everything that rules want of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeRules {
    /// MQTT topics (filters) whose messages go to the cloud.
    #[serde(default)]
    pub topics: BTreeSet<String>,
    /// URLs that applications may ask of ServiceBus.
    #[serde(default)]
    pub urls: BTreeSet<String>,
    /// Services that the cloud may call.
    #[serde(default)]
    pub services: BTreeSet<ServicePath>,
}

/// A service at the edge, and what of it may be called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServicePath {
    /// TCP port on the node.
    pub port: u16,
    /// This path and those below it. Of a path with `{name}`, what comes before it.
    pub path: String,
}

/// Bytes, in base64; none is `null`, as Go writes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Body(pub Vec<u8>);

// === impl HttpResponse ===

impl HttpResponse {
    /// Plain text.
    #[must_use]
    pub fn text(status_code: u16, text: &str) -> Self {
        Self { header: Headers::new(), status_code, body: Body(text.as_bytes().to_vec()) }
    }
}

// === impl ServicePath ===

impl ServicePath {
    /// Whether a call of `path` at `port` is one of those that this allows.
    #[must_use]
    pub fn allows(&self, port: u16, path: &str) -> bool {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let own = self.path.trim_end_matches('/');
        let is_below = path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.port == port && is_below && !leaves(path)
    }
}

/// Whether a path has a segment that means "above" or "here", written in any way: what comes after the fixed part of a path must not
/// lead out of it.
#[must_use]
pub fn leaves(path: &str) -> bool {
    let is_dots = |segment: &str| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        // What stands behind a semicolon is a parameter to some servers.
        matches!(plain.split(';').next(), Some("." | ".."))
    };
    let path = path.to_ascii_lowercase().replace("%2f", "/").replace("%5c", "/").replace('\\', "/");
    path.split('/').any(is_dots) || path.contains("%00") || path.contains(|c: char| c.is_control())
}

// === impl Body ===

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(Self::default()) };
        BASE64.decode(text).map(Self).map_err(|_| serde::de::Error::custom("the body is not base64"))
    }
}

fn or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Headers, D::Error> {
    let headers =
        Option::<BTreeMap<String, Option<Vec<String>>>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(headers.into_iter().map(|(name, values)| (name, values.unwrap_or_default())).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_stock_writes_is_read() {
        let request: HttpRequest = serde_json::from_str(
            r#"{"header":{"Accept":["*/*"]},"body":"aGVsbG8=","method":"POST","url":""}"#,
        )
        .unwrap();
        assert_eq!((request.body.0.as_slice(), request.method.as_str()), (&b"hello"[..], "POST"));
        let response: HttpResponse =
            serde_json::from_str(r#"{"header":null,"status_code":204,"body":null}"#).unwrap();
        assert_eq!(response, HttpResponse { status_code: 204, ..HttpResponse::default() });
        let asked: CloudRequest<'_> =
            serde_json::from_str(r#"{"method":"POST","targetURL":"http://a.b/c","payload":{"x":[1]}}"#)
                .unwrap();
        assert_eq!(
            (asked.target_url.as_str(), asked.payload.unwrap().get()),
            ("http://a.b/c", r#"{"x":[1]}"#)
        );
    }

    #[test]
    fn a_service_is_called_only_where_its_rule_says() {
        let service = ServicePath { port: 8080, path: "/api".to_owned() };
        for path in ["/api", "/api/", "/api/x/y", "/api?q=1", "/api/a%20b?c/../d"] {
            assert!(service.allows(8080, path), "{path}");
        }
        assert!(!service.allows(8081, "/api"));
        for path in [
            "/apix",
            "/",
            "/api/../x",
            "/api/%2e%2e/x",
            "/api/..%2Fx",
            "/api/..;a/x",
            "/api/.",
            "/api/a\\..\\b",
            "/api/a%00",
        ] {
            assert!(!service.allows(8080, path), "{path}");
        }
        assert!(ServicePath { port: 1, path: "/".to_owned() }.allows(1, "/anything"));
    }

    proptest! {
        #[test]
        fn bodies_survive(bytes: Vec<u8>) {
            let text = serde_json::to_string(&Body(bytes.clone())).unwrap();
            prop_assert_eq!(serde_json::from_str::<Body>(&text).unwrap().0, bytes);
        }

        /// However a path is written: with its dots resolved it is still below its service.
        #[test]
        fn nothing_leads_out_of_a_service(rest in "[a/.%2eEfF;]{0,24}") {
            let path = format!("/api/{rest}");
            if (ServicePath { port: 1, path: "/api".to_owned() }).allows(1, &path) {
                let decoded = path.replace("%2e", ".").replace("%2E", ".").replace("%2f", "/").replace("%2F", "/");
                let mut depth = 0i32;
                for segment in decoded.split('/').filter(|segment| !segment.is_empty()) {
                    depth += if segment == ".." { -1 } else { 1 };
                    prop_assert!(depth >= 1, "{}", path);
                }
            }
        }
    }
}
