//! What a client wants to get: `Accept`.

use http::HeaderMap;
use http::header::ACCEPT;

use crate::error::{ApiError, ApiResult};

/// Form of the objects in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// As they are.
    Object,
    /// As rows of a `meta.k8s.io/v1` Table.
    Table,
    /// Only their metadata.
    Metadata,
}

/// Form of a discovery document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discovery {
    /// One document per group and version.
    Separate,
    /// One `apidiscovery.k8s.io/v2` document for all.
    Aggregated,
    /// The same under its older version, `v2beta1`.
    AggregatedBeta,
}

/// One entry of an `Accept` header.
struct MediaRange<'a> {
    essence: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl Accept {
    /// The first form that the client names and we can give.
    ///
    /// # Errors
    /// 406 when there is none; protobuf is one that we cannot give.
    pub fn of(headers: &HeaderMap) -> ApiResult<Self> {
        choose(headers, Self::Object, |range| match (range.get("as"), range.get("g"), range.get("v")) {
            (None, ..) => Some(Self::Object),
            (Some("Table"), Some("meta.k8s.io"), Some("v1")) => Some(Self::Table),
            (
                Some("PartialObjectMetadata" | "PartialObjectMetadataList"),
                Some("meta.k8s.io"),
                Some("v1"),
            ) => Some(Self::Metadata),
            _ => None,
        })
    }
}

impl Discovery {
    /// As [`Accept::of`], for discovery.
    ///
    /// # Errors
    /// As [`Accept::of`].
    pub fn of(headers: &HeaderMap) -> ApiResult<Self> {
        choose(headers, Self::Separate, |range| match (range.get("as"), range.get("v")) {
            (None, _) => Some(Self::Separate),
            (Some("APIGroupDiscoveryList"), Some("v2")) => Some(Self::Aggregated),
            (Some("APIGroupDiscoveryList"), Some("v2beta1")) => Some(Self::AggregatedBeta),
            _ => None,
        })
    }
}

fn choose<T>(headers: &HeaderMap, default: T, known: impl Fn(&MediaRange<'_>) -> Option<T>) -> ApiResult<T> {
    let mut asked = false;
    for value in headers.get_all(ACCEPT) {
        let text = value.to_str().map_err(|_| ApiError::bad_request("the Accept header is not ASCII"))?;
        for range in text.split(',').map(MediaRange::parse) {
            asked = true;
            if let Some(choice) = Some(&range).filter(|range| range.is_json()).and_then(&known) {
                return Ok(choice);
            }
        }
    }
    if asked { Err(ApiError::not_acceptable(&["application/json"])) } else { Ok(default) }
}

impl<'a> MediaRange<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let parameters = parts.filter_map(|part| part.split_once('=')).collect();
        Self { essence, parameters }
    }

    fn is_json(&self) -> bool {
        matches!(self.essence, "application/json" | "application/*" | "*/*")
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::ACCEPT;

    use super::{Accept, Discovery};

    fn headers(accept: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())])
    }

    #[test]
    fn takes_the_first_form_that_can_be_given() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(Accept::of(&headers(kubectl)).unwrap(), Accept::Table);
        let beta = "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(Accept::of(&headers(beta)).unwrap(), Accept::Object);
        let go = "application/vnd.kubernetes.protobuf,application/json";
        assert_eq!(Accept::of(&headers(go)).unwrap(), Accept::Object);
        assert_eq!(Accept::of(&HeaderMap::new()).unwrap(), Accept::Object);
    }

    #[test]
    fn refuses_what_cannot_be_given() {
        let error = Accept::of(&headers("application/vnd.kubernetes.protobuf")).unwrap_err();
        assert_eq!(error.code().as_u16(), 406);
    }

    #[test]
    fn aggregated_discovery_is_asked_for_by_parameter() {
        let kubectl = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        assert_eq!(Discovery::of(&headers(kubectl)).unwrap(), Discovery::Aggregated);
        assert_eq!(Discovery::of(&headers("application/json")).unwrap(), Discovery::Separate);
    }
}
