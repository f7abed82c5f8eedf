//! Names of images: `registry/repository:tag@digest`, with Docker's defaults for what is left out
//! (<https://kubernetes.io/docs/concepts/containers/images/#image-names>).

use std::str::FromStr;

/// Registry of names that have none.
const DEFAULT_REGISTRY: &str = "docker.io";
/// Longest name that registries take.
const MAX_LENGTH: usize = 4096;

/// The parts of an image's name that decide where it comes from and whether it can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    /// Host, with port where there is one.
    pub registry: String,
    /// Path at the registry.
    pub repository: String,
    /// `latest` where there is neither tag nor digest.
    pub tag: Option<String>,
    /// Such as `sha256:...`.
    pub digest: Option<String>,
}

/// Not the name of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid reference format: {0}")]
pub struct ReferenceError(&'static str);

impl ImageReference {
    /// Can another image be found under this name tomorrow, as everyone expects of `latest`?
    pub fn is_latest(&self) -> bool {
        self.digest.is_none() && self.tag.as_deref() == Some("latest")
    }
}

impl FromStr for ImageReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() || text.len() > MAX_LENGTH {
            return Err(ReferenceError("empty or too long"));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(checked(digest, is_digest, "bad digest")?)),
            None => (text, None),
        };
        // A colon after the last slash separates the tag; before it, it belongs to the registry's port.
        let path_at = name.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match name[path_at..].rfind(':') {
            Some(colon) => {
                let at = path_at + colon;
                (&name[..at], Some(checked(&name[at + 1..], is_tag, "bad tag")?))
            }
            None => (name, None),
        };
        let (registry, repository) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
                (first, rest.to_owned())
            }
            Some(_) => (DEFAULT_REGISTRY, name.to_owned()),
            None => (DEFAULT_REGISTRY, format!("library/{name}")),
        };
        if !repository.split('/').all(is_path_part) {
            return Err(ReferenceError("bad repository name (it must be lower case)"));
        }
        let tag = tag.or_else(|| digest.is_none().then(|| "latest".to_owned()));
        Ok(Self { registry: registry.to_owned(), repository, tag, digest })
    }
}

fn checked(text: &str, valid: fn(&str) -> bool, problem: &'static str) -> Result<String, ReferenceError> {
    if valid(text) { Ok(text.to_owned()) } else { Err(ReferenceError(problem)) }
}

fn is_path_part(part: &str) -> bool {
    let separator = |byte: u8| matches!(byte, b'.' | b'_' | b'-');
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    part.bytes().next().is_some_and(letter)
        && part.bytes().last().is_some_and(letter)
        && part.bytes().all(|byte| letter(byte) || separator(byte))
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=128).contains(&tag.len())
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty() && hex.len() >= 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, String, Option<String>) {
        let reference: ImageReference = text.parse().unwrap();
        (reference.registry, reference.repository, reference.tag)
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let latest = || Some("latest".to_owned());
        assert_eq!(parts("busybox"), ("docker.io".into(), "library/busybox".into(), latest()));
        assert_eq!(
            parts("kubeedge/pause:3.6"),
            ("docker.io".into(), "kubeedge/pause".into(), Some("3.6".into()))
        );
        assert_eq!(parts("localhost/a"), ("localhost".into(), "a".into(), latest()));
        assert_eq!(parts("r.example:5000/a/b:1"), ("r.example:5000".into(), "a/b".into(), Some("1".into())));
    }

    #[test]
    fn a_digest_is_never_latest() {
        let reference: ImageReference = format!("a@sha256:{}", "0".repeat(64)).parse().unwrap();
        assert!(!reference.is_latest() && reference.tag.is_none());
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "UPPER/case", "a:", "a:b:c", "a@sha256:xyz", "a//b", "/a", "a b", "-a", "a:.t"] {
            assert!(text.parse::<ImageReference>().is_err(), "{text:?}");
        }
    }
}
