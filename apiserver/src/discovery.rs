//! Paths that are no objects: discovery, health, version, OpenAPI.

use http::header::ACCEPT;
use http::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::error::{ApiError, ApiResult};
use crate::openapi;
use crate::registry::{KindInfo, Registry, Verbs};
use crate::request::{Accept, Discovery, Path};
use crate::response::{self, Body};
use crate::server::ApiServer;

mod aggregated;
mod separate;

/// The Kubernetes release whose API this is: the one that the built-in schemas come from.
const RELEASE: (&str, &str, &str) = ("1", "33", "v1.33.0-skerry");

/// Media type of an aggregated document, whose version clients check.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
/// The same in the older version.
const AGGREGATED_BETA: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// Answers a request for a path that is no object.
pub(crate) fn answer(
    api: &ApiServer,
    path: &Path,
    method: &Method,
    headers: &HeaderMap,
) -> ApiResult<Response<Body>> {
    if method != Method::GET && method != Method::HEAD {
        return Err(ApiError::method_not_allowed());
    }
    let registry = api.registry();
    match path {
        Path::CoreVersions | Path::Groups => {
            let core = *path == Path::CoreVersions;
            let (content_type, document) = match Discovery::of(headers)? {
                Discovery::Separate if core => ("application/json", separate::core_versions()),
                Discovery::Separate => ("application/json", separate::groups(&registry)),
                Discovery::Aggregated => (AGGREGATED, aggregated::groups(&registry, core, "v2")),
                Discovery::AggregatedBeta => {
                    (AGGREGATED_BETA, aggregated::groups(&registry, core, "v2beta1"))
                }
            };
            Ok(response::with_type(StatusCode::OK, content_type, document.to_string().into()))
        }
        Path::Group(group) => found(separate::group(&registry, group)),
        Path::Resources { group, version } => found(separate::resources(&registry, group, version)),
        Path::Other(path) if path.starts_with("/openapi/") => openapi(&registry, path, headers),
        Path::Other(path) => other(path),
        Path::Resource(_) => Err(ApiError::no_such_path()),
    }
}

fn found(document: Option<Value>) -> ApiResult<Response<Body>> {
    document.map(|document| response::json(StatusCode::OK, &document)).ok_or_else(ApiError::no_such_path)
}

fn openapi(registry: &Registry, path: &str, headers: &HeaderMap) -> ApiResult<Response<Body>> {
    if path == "/openapi/v2" && wants_protobuf(headers) {
        let document = openapi::v2_protobuf().into();
        return Ok(response::with_type(StatusCode::OK, openapi::V2_PROTOBUF_CONTENT, document));
    }
    Accept::of(headers)?;
    match path {
        "/openapi/v2" => Ok(response::json(StatusCode::OK, &openapi::v2(registry))),
        "/openapi/v3" => Ok(response::json(StatusCode::OK, &openapi::index(registry))),
        _ => found(path.strip_prefix("/openapi/v3/").and_then(|path| openapi::group_version(registry, path))),
    }
}

/// Whether a client takes protobuf and no JSON.
fn wants_protobuf(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.contains(openapi::V2_PROTOBUF) && !accepted.contains("json")
}

fn other(path: &str) -> ApiResult<Response<Body>> {
    match path {
        // The store was opened before the server could be asked: what answers is ready.
        "/healthz" | "/livez" | "/readyz" | "/healthz/ping" | "/livez/ping" | "/readyz/ping" => {
            Ok(response::text(StatusCode::OK, "ok"))
        }
        "/version" => Ok(response::json(StatusCode::OK, &version())),
        _ => Err(ApiError::no_such_path()),
    }
}

fn version() -> Value {
    let (major, minor, release) = RELEASE;
    json!({
        "major": major, "minor": minor, "gitVersion": release, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// Verbs of a kind, in the order that the real server lists them.
fn verbs(kind: &KindInfo) -> &'static [&'static str] {
    match kind.verbs {
        Verbs::Stored => &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        Verbs::Review => &["create"],
    }
}

/// Versions of one group, the preferred one first: stable before beta before alpha, newer before older.
fn by_preference<'a>(versions: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut versions: Vec<&str> = versions.collect();
    versions.sort_by_key(|version| std::cmp::Reverse(rank(version)));
    versions
}

/// `v2` > `v1` > `v2beta1` > `v1alpha3` > anything else (Kubernetes documentation, "Version priority").
fn rank(version: &str) -> (u8, u32, u32) {
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    let split = |mark: &str| {
        let (major, minor) = rest.split_once(mark)?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    if let Ok(major) = rest.parse() {
        (3, major, 0)
    } else if let Some((major, minor)) = split("beta") {
        (2, major, minor)
    } else if let Some((major, minor)) = split("alpha") {
        (1, major, minor)
    } else {
        (0, 0, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::by_preference;

    #[test]
    fn stable_and_new_versions_are_preferred() {
        let versions = ["v1alpha1", "v1", "v2beta1", "foo", "v2", "v1beta2"];
        assert_eq!(
            by_preference(versions.into_iter()),
            ["v2", "v1", "v2beta1", "v1beta2", "v1alpha1", "foo"]
        );
    }
}
