//! The query of a request.

use std::str::FromStr;
use std::time::Duration;

use crate::error::{ApiError, ApiResult};
use crate::table::IncludeObject;

/// Everything that a query may say, whatever the verb. Parameters that nobody knows are ignored, as the real server
/// does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    /// `labelSelector`
    pub label_selector: Option<String>,
    /// `fieldSelector`
    pub field_selector: Option<String>,
    /// `limit`, 0 for none.
    pub limit: usize,
    /// `continue`
    pub continue_token: Option<String>,
    /// `resourceVersion`; 0 stands for "any".
    pub resource_version: Option<u64>,
    /// `resourceVersionMatch`
    pub version_match: Option<VersionMatch>,
    /// `watch`
    pub watch: bool,
    /// `allowWatchBookmarks`
    pub bookmarks: bool,
    /// `sendInitialEvents`
    pub initial_events: bool,
    /// `timeoutSeconds`
    pub timeout: Option<Duration>,
    /// `dryRun=All`
    pub dry_run: bool,
    /// `force`
    pub force: bool,
    /// `fieldManager`
    pub field_manager: Option<String>,
    /// `fieldValidation`, unparsed: its meaning belongs to the writing verbs.
    pub field_validation: Option<String>,
    /// `gracePeriodSeconds`
    pub grace_period: Option<i64>,
    /// `propagationPolicy`
    pub propagation: Option<Propagation>,
    /// `includeObject` of a Table
    pub include_object: IncludeObject,
}

/// What a `resourceVersion` of a list means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionMatch {
    /// Exactly as things were then.
    Exact,
    /// Then or later.
    NotOlderThan,
}

/// What happens to the objects that an object owns when it is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They stay, without their owner.
    Orphan,
    /// They are deleted after it.
    Background,
    /// They are deleted before it.
    Foreground,
}

impl Params {
    /// Parses the query of a URL.
    ///
    /// # Errors
    /// 400 for a number that is none or an unknown word.
    pub fn parse(query: &str) -> ApiResult<Self> {
        let mut params = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            if !value.is_empty() {
                params.set(&key, &value)?;
            }
        }
        Ok(params)
    }

    fn set(&mut self, key: &str, value: &str) -> ApiResult<()> {
        match key {
            "labelSelector" => self.label_selector = Some(value.to_owned()),
            "fieldSelector" => self.field_selector = Some(value.to_owned()),
            "limit" => self.limit = number(key, value)?,
            "continue" => self.continue_token = Some(value.to_owned()),
            "resourceVersion" => self.resource_version = Some(version(value)?),
            "resourceVersionMatch" => self.version_match = Some(version_match(value)?),
            "watch" => self.watch = flag(value),
            "allowWatchBookmarks" => self.bookmarks = flag(value),
            "sendInitialEvents" => self.initial_events = flag(value),
            "timeoutSeconds" => self.timeout = Some(Duration::from_secs(number(key, value)?)),
            "dryRun" => self.dry_run = dry_run(value)?,
            "force" => self.force = flag(value),
            "fieldManager" => self.field_manager = Some(value.to_owned()),
            "fieldValidation" => self.field_validation = Some(value.to_owned()),
            "gracePeriodSeconds" => self.grace_period = Some(number(key, value)?),
            "propagationPolicy" => self.propagation = Some(value.parse()?),
            "orphanDependents" if flag(value) => self.propagation = Some(Propagation::Orphan),
            "includeObject" => self.include_object = include_object(value)?,
            _ => {}
        }
        Ok(())
    }
}

impl FromStr for Propagation {
    type Err = ApiError;

    fn from_str(text: &str) -> ApiResult<Self> {
        match text {
            "Orphan" => Ok(Self::Orphan),
            "Background" => Ok(Self::Background),
            "Foreground" => Ok(Self::Foreground),
            other => Err(ApiError::bad_request(format!(
                "propagationPolicy: Unsupported value: {other:?}: supported values: \"Background\", \"Foreground\", \"Orphan\""
            ))),
        }
    }
}

/// Go's client libraries write `true`; everything but these two counts as true in the real server.
fn flag(value: &str) -> bool {
    !matches!(value, "false" | "0")
}

fn number<T: FromStr>(key: &str, value: &str) -> ApiResult<T> {
    value
        .parse()
        .map_err(|_| ApiError::bad_request(format!("{key}: Invalid value: {value:?}: must be a number")))
}

/// A revision in a query or an object.
///
/// # Errors
/// 400 when it is not a number.
pub(crate) fn version(value: &str) -> ApiResult<u64> {
    value.parse().map_err(|_| {
        ApiError::bad_request(format!("resourceVersion: Invalid value: {value:?}: must be a number"))
    })
}

fn version_match(value: &str) -> ApiResult<VersionMatch> {
    match value {
        "Exact" => Ok(VersionMatch::Exact),
        "NotOlderThan" => Ok(VersionMatch::NotOlderThan),
        other => Err(ApiError::bad_request(format!(
            "resourceVersionMatch: Unsupported value: {other:?}: supported values: \"Exact\", \"NotOlderThan\""
        ))),
    }
}

fn include_object(value: &str) -> ApiResult<IncludeObject> {
    IncludeObject::parse(value).ok_or_else(|| {
        ApiError::bad_request(format!(
            "includeObject: Unsupported value: {value:?}: supported values: \"Metadata\", \"None\", \"Object\""
        ))
    })
}

/// Checks the one value that `dryRun` may have.
///
/// # Errors
/// 400 for any other.
pub(crate) fn dry_run(value: &str) -> ApiResult<bool> {
    if value == "All" {
        return Ok(true);
    }
    Err(ApiError::bad_request(format!("dryRun: Unsupported value: {value:?}: supported values: \"All\"")))
}

#[cfg(test)]
mod tests {
    use super::{Params, Propagation};

    #[test]
    fn reads_what_clients_send() {
        let params =
            Params::parse("limit=500&labelSelector=a%3Db%2Cc&watch=true&dryRun=All&unknown=1").unwrap();
        assert_eq!(params.limit, 500);
        assert_eq!(params.label_selector.as_deref(), Some("a=b,c"));
        assert!(params.watch && params.dry_run);
        let params =
            Params::parse("propagationPolicy=Foreground&gracePeriodSeconds=0&resourceVersion=").unwrap();
        assert_eq!((params.propagation, params.grace_period), (Some(Propagation::Foreground), Some(0)));
        assert_eq!(params.resource_version, None);
    }

    #[test]
    fn refuses_nonsense() {
        for query in [
            "limit=many",
            "dryRun=Some",
            "propagationPolicy=Later",
            "resourceVersion=x",
            "resourceVersionMatch=x",
        ] {
            assert_eq!(Params::parse(query).unwrap_err().code().as_u16(), 400, "{query}");
        }
    }
}
