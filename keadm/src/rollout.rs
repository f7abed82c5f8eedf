//! Brings objects into a cluster, waits until they work, and takes them away again.
//!
//! Objects are applied by the API server ("server-side apply"): it knows which field was set by whom, so nothing that somebody else
//! decided is overwritten, and what is already so costs no write.

mod apply;
mod causes;
mod diff;
mod preflight;
mod release;
mod removal;
mod waiting;

pub use self::apply::{Applier, MANAGER, Outcome};
pub use self::preflight::check as preflight;
pub use self::release::{Known, Release, UnderWay};
pub use self::removal::{Removal, plan as plan_removal};
pub use self::waiting::{Waiting, definitions_established};
