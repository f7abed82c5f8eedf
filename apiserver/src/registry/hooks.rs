//! What single kinds do beyond what every kind does.

use serde_json::Value;

use crate::error::ApiResult;
use crate::field_error::FieldError;
use crate::server::ApiServer;
use crate::user::User;

/// What a kind does beyond what every kind does. Everything has a default that does nothing.
#[derive(Debug, Clone, Copy)]
pub struct Hooks {
    /// Fills what a client left out. Runs on every create and update, after the body was decoded.
    pub default: fn(&mut Value),
    /// Sets what a new object starts with and a client may not choose, such as a pod's phase.
    pub initialize: fn(&mut Value),
    /// Looks at an object that is created or changed with the rest of the API in view; may refuse it or fill in what
    /// only the server knows.
    pub admit: fn(&Admission<'_>, &mut Value) -> ApiResult<()>,
    /// Finds what is wrong with an object, new or changed.
    pub validate: fn(&Value) -> Vec<FieldError>,
    /// Finds what may not change between the old (first) and the new object.
    pub validate_update: fn(&Value, &Value) -> Vec<FieldError>,
    /// Seconds that an object gets to end by itself once its deletion is asked for, given what the client asked.
    pub grace_period: fn(&Value, Option<i64>) -> i64,
    /// Shows in an object that its deletion was asked for, beyond the usual metadata.
    pub terminate: fn(&mut Value),
    /// Called after any write of the kind.
    pub changed: fn(&ApiServer),
}

/// Circumstances under which an object is created or changed.
#[derive(Debug)]
pub struct Admission<'a> {
    /// The rest of the API.
    pub api: &'a ApiServer,
    /// Who does it.
    pub user: &'a User,
    /// The object as it was; `None` for a new one.
    pub old: Option<&'a Value>,
}

impl Hooks {
    /// A kind with nothing of its own.
    pub const NONE: Self = Self {
        default: |_| {},
        initialize: |_| {},
        admit: |_, _| Ok(()),
        validate: |_| Vec::new(),
        validate_update: |_, _| Vec::new(),
        grace_period: |_, _| 0,
        terminate: |_| {},
        changed: |_| {},
    };
}
