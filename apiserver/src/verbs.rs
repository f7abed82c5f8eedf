//! What can be done with objects: one generic handler per verb, driven by the table of kinds.

pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod watch;
