//! Which of the objects of a kind a request is about.

use serde_json::Value;

use crate::call::parse;
use crate::error::{ApiError, ApiResult};
use crate::registry::KindInfo;
use crate::request::Params;
use crate::selector::{FieldSelector, LabelSelector};
use crate::views;

/// Label and field selector of a list, a watch or a deletion of many.
#[derive(Debug)]
pub(crate) struct Selection {
    labels: Option<LabelSelector>,
    fields: Option<FieldSelector>,
}

impl Selection {
    /// What `params` select, and only `name` when that is given.
    pub(crate) fn new(kind: &KindInfo, params: &Params, name: Option<&str>) -> ApiResult<Self> {
        let bad =
            |what: &str, error: &dyn std::fmt::Display| ApiError::bad_request(format!("{what}: {error}"));
        let by_name = name.map(|name| format!("metadata.name={name}"));
        let fields = match (&params.field_selector, by_name) {
            (Some(selector), Some(name)) => Some(format!("{selector},{name}")),
            (selector, name) => selector.clone().or(name),
        };
        let labels = params.label_selector.as_deref().map(LabelSelector::parse).transpose();
        let fields = fields.map(|fields| FieldSelector::parse(&fields, kind)).transpose();
        Ok(Self {
            labels: labels.map_err(|error| bad("unable to parse labelSelector", &error))?,
            fields: fields.map_err(|error| bad("unable to parse fieldSelector", &error))?,
        })
    }

    /// Whether every object is selected, so that none needs to be parsed.
    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_none() && self.fields.is_none()
    }

    /// Whether `object` is selected.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.labels.as_ref().is_none_or(|labels| labels.matches(object))
            && self.fields.as_ref().is_none_or(|fields| fields.matches(object))
    }

    /// Whether the stored object in `bytes` is selected, as clients of `kind` see it.
    pub(crate) fn matches_stored(&self, kind: &KindInfo, bytes: &[u8]) -> bool {
        self.is_everything()
            || parse(bytes).is_ok_and(|object| self.matches(&views::outward_value(kind, object)))
    }
}
