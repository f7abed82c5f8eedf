//! ConfigMaps.

use crate::registry::Hooks;
use crate::validate;

pub(crate) const HOOKS: Hooks =
    Hooks { validate: validate::config_map, validate_update: validate::config_map_update, ..Hooks::NONE };
