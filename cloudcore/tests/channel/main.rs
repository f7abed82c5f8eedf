//! CloudHub and EdgeController together, as a stock edge sees them: memory links, an API server in the same
//! process, paused time.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

mod bans;
mod cloud;
mod edge;
mod evil;
mod gate;
mod half_open;
mod manners;
mod native;
mod objects;
mod pods;
mod recorded;
mod records;
mod registration;
mod replicas;
mod requests;
mod rights;
mod services;
mod sessions;
