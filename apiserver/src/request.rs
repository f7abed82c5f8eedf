//! What a request asks for, parsed once where it enters.

use percent_encoding::percent_decode_str;

mod accept;
mod params;

pub use accept::{Accept, Discovery};
pub use params::{Params, Propagation, VersionMatch};
pub(crate) use params::{dry_run, version};

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/apis/GROUP`
    Group(String),
    /// `/api/v1`, `/apis/GROUP/VERSION`
    Resources {
        /// API group, `""` for the core group.
        group: String,
        /// Version.
        version: String,
    },
    /// Objects of a kind, one object, or something below it.
    Resource(ResourcePath),
    /// Anything else, such as `/version`; without a slash at the end.
    Other(String),
}

/// Objects of a kind, one object, or something below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourcePath {
    /// API group, `""` for the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Namespace; `None` for cluster-scoped kinds and for all namespaces.
    pub namespace: Option<String>,
    /// Kind, as the plural name.
    pub plural: String,
    /// One object.
    pub name: Option<String>,
    /// Something below it, such as `status`.
    pub subresource: Option<String>,
}

impl Path {
    /// Parses the path of a URL; `None` when it is not percent-encoded UTF-8 or has too many parts.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let path = path.trim_end_matches('/');
        let decoded: Vec<String> = path
            .split('/')
            .skip(1)
            .map(|part| percent_decode_str(part).decode_utf8().map(String::from))
            .collect::<Result<_, _>>()
            .ok()?;
        let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let owned = |part: &str| part.to_owned();
        Some(match parts.as_slice() {
            ["api"] => Self::CoreVersions,
            ["apis"] => Self::Groups,
            ["apis", group] => Self::Group(owned(group)),
            ["api", version] => Self::Resources { group: String::new(), version: owned(version) },
            ["apis", group, version] => Self::Resources { group: owned(group), version: owned(version) },
            ["api", version, rest @ ..] => Self::Resource(ResourcePath::parse("", version, rest)?),
            ["apis", group, version, rest @ ..] => Self::Resource(ResourcePath::parse(group, version, rest)?),
            _ => Self::Other(path.to_owned()),
        })
    }
}

impl ResourcePath {
    fn parse(group: &str, version: &str, parts: &[&str]) -> Option<Self> {
        let (namespace, parts) = match parts {
            // These two are below a namespace object, not objects within the namespace.
            ["namespaces", _, "status" | "finalize"] => (None, parts),
            ["namespaces", namespace, plural, rest @ ..] if rest.len() <= 2 && !plural.is_empty() => {
                (Some((*namespace).to_owned()), &parts[2..])
            }
            _ => (None, parts),
        };
        let (plural, name, subresource) = match parts {
            [plural] => (plural, None, None),
            [plural, name] => (plural, Some(*name), None),
            [plural, name, subresource] => (plural, Some(*name), Some(*subresource)),
            _ => return None,
        };
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            namespace,
            plural: (*plural).to_owned(),
            name: name.map(str::to_owned),
            subresource: subresource.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Path, ResourcePath};

    fn resource(path: &str) -> ResourcePath {
        match Path::parse(path) {
            Some(Path::Resource(resource)) => resource,
            other => panic!("{path} is {other:?}"),
        }
    }

    #[test]
    fn tells_namespaces_from_what_is_in_them() {
        let path = resource("/api/v1/namespaces/default/pods/web/status");
        assert_eq!(path.namespace.as_deref(), Some("default"));
        assert_eq!((&*path.plural, path.name.as_deref()), ("pods", Some("web")));
        assert_eq!(path.subresource.as_deref(), Some("status"));

        let path = resource("/api/v1/namespaces/default");
        assert_eq!(
            (path.namespace, &*path.plural, path.name.as_deref()),
            (None, "namespaces", Some("default"))
        );
        let path = resource("/api/v1/namespaces/default/finalize");
        assert_eq!((&*path.plural, path.subresource.as_deref()), ("namespaces", Some("finalize")));
        let path = resource("/apis/devices.kubeedge.io/v1beta1/devices");
        assert_eq!((&*path.group, &*path.plural, path.name), ("devices.kubeedge.io", "devices", None));
    }

    #[test]
    fn decodes_names() {
        assert_eq!(resource("/api/v1/nodes/a%3Ab").name.as_deref(), Some("a:b"));
        assert_eq!(Path::parse("/api/v1/nodes/%ff"), None);
        assert_eq!(Path::parse("/api/v1/namespaces/a/pods/b/status/c"), None);
    }

    #[test]
    fn knows_discovery_paths_with_and_without_a_slash_at_the_end() {
        assert_eq!(Path::parse("/apis/"), Some(Path::Groups));
        assert_eq!(Path::parse("/api"), Some(Path::CoreVersions));
        assert_eq!(Path::parse("/healthz"), Some(Path::Other("/healthz".to_owned())));
        assert_eq!(Path::parse("/"), Some(Path::Other(String::new())));
    }
}
