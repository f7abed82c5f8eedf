//! The Leases of CloudCores, written and read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Error};

use super::Shared;
use crate::flow::LASTS;
use crate::namespace::ensure_namespace;

/// Leases of CloudCores have this label, so that one watch sees all of them and no others.
pub(super) const LABEL: (&str, &str) = ("replica.kubeedge.io/lease", "cloudcore");
/// Where a replica takes what others forward.
pub(super) const FORWARDING: &str = "replica.kubeedge.io/forwarding";
/// A replica's address, as Nodes are annotated with it.
pub(super) const ADDRESS: &str = "replica.kubeedge.io/address";
/// Which process writes it: another one each time that a replica is started.
pub(super) const INSTANCE: &str = "replica.kubeedge.io/instance";
/// A replica that is about to end says so.
pub(super) const LEAVING: &str = "replica.kubeedge.io/leaving";

/// In front of a replica's name in that of its Lease.
const PREFIX: &str = "cloudcore-";
/// No replica has this name: the Lease of who leads has it.
const LEADER: &str = "leader";
/// Whoever writes a Lease cannot keep it for longer.
const LONGEST: Duration = Duration::from_secs(60);
/// A name that is longer is cut off: that of a machine has 64 characters, that of a pod 253 at most.
const LONGEST_NAME: usize = 200;

/// A Lease as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Nobody: it was given up.
    pub(super) holder: Option<String>,
    pub(super) version: String,
    /// Another one after each renewal.
    pub(super) renewed: Option<Timestamp>,
    pub(super) lasts: Duration,
    pub(super) forwarding: Arc<str>,
    pub(super) address: Arc<str>,
    pub(super) leaves: bool,
}

/// Whose Lease it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whose {
    Leader,
    Replica(Arc<str>),
}

/// A name for a replica out of what a machine or a pod is called.
#[must_use]
pub fn fitting(name: &str) -> String {
    let fit = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() => c,
        _ => '-',
    };
    let fit: String = name.chars().take(LONGEST_NAME).map(fit).collect();
    match fit.trim_matches('-') {
        "" | LEADER => format!("replica-{}", fit.trim_matches('-')).trim_end_matches('-').to_owned(),
        fit => fit.to_owned(),
    }
}

pub(super) fn name_of(replica: &str) -> String {
    format!("{PREFIX}{replica}")
}

pub(super) fn leader() -> String {
    name_of(LEADER)
}

/// Whose it is, and what it says.
pub(super) fn read(lease: &Lease) -> Option<(Whose, Seen)> {
    let name = lease.metadata.name.as_deref()?.strip_prefix(PREFIX)?;
    let whose = if name == LEADER { Whose::Leader } else { Whose::Replica(name.into()) };
    let spec = lease.spec.clone().unwrap_or_default();
    let said = |key: &str| lease.metadata.annotations.as_ref()?.get(key).map(String::as_str);
    let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let seen = Seen {
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        renewed: spec.renew_time.map(|time| time.0),
        lasts: lasts.map_or(LASTS, Duration::from_secs).min(LONGEST),
        forwarding: said(FORWARDING).unwrap_or_default().into(),
        address: said(ADDRESS).unwrap_or_default().into(),
        leaves: said(LEAVING).is_some(),
    };
    Some((whose, seen))
}

/// A Lease that begins.
pub(super) fn new(name: String, (holder, instance): (&str, &str), now: Timestamp) -> Lease {
    let (label, value) = LABEL;
    Lease {
        metadata: ObjectMeta {
            name: Some(name),
            labels: Some(BTreeMap::from([(label.to_owned(), value.to_owned())])),
            annotations: Some(BTreeMap::from([(INSTANCE.to_owned(), instance.to_owned())])),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            acquire_time: Some(MicroTime(now)),
            ..spec(now)
        }),
    }
}

/// Whether this process has written it last.
pub(super) fn is_ours(lease: &Lease, shared: &Shared) -> bool {
    let instance = lease.metadata.annotations.as_ref().and_then(|said| said.get(INSTANCE));
    instance.is_some_and(|instance| **instance == *shared.instance)
}

/// What a renewal says.
pub(super) fn spec(now: Timestamp) -> LeaseSpec {
    LeaseSpec {
        lease_duration_seconds: i32::try_from(LASTS.as_secs()).ok(),
        renew_time: Some(MicroTime(now)),
        ..LeaseSpec::default()
    }
}

/// Makes it, and the namespace with it where that is missing.
pub(super) async fn create(shared: &Shared, lease: &Lease) -> Result<Lease, Error> {
    let leases = shared.leases();
    match leases.create(&PostParams::default(), lease).await {
        // The only thing that a create can fail to find is the namespace, and not everybody may make one.
        Err(Error::Api(status)) if status.is_not_found() => {
            ensure_namespace(&Api::all(shared.client.clone())).await?;
            leases.create(&PostParams::default(), lease).await
        }
        created => created,
    }
}

#[cfg(test)]
mod tests {
    use proto::config::cloudcore::is_replica_name;

    use super::*;

    #[test]
    fn every_machine_can_be_called_something() {
        for (name, fit) in [
            ("cloudcore-7d9f-x2", "cloudcore-7d9f-x2"),
            ("Host_1.example-10000", "host-1-example-10000"),
            ("--", "replica"),
            ("leader", "replica-leader"),
            ("", "replica"),
            (&"é".repeat(300), "replica"),
            (&"a".repeat(300), &"a".repeat(LONGEST_NAME)),
        ] {
            assert_eq!(fitting(name), fit);
            assert!(is_replica_name(fit), "{fit}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let (whose, seen) = read(&new(name_of("a.b"), ("a.b", "1"), now)).unwrap();
        assert_eq!(whose, Whose::Replica("a.b".into()));
        assert_eq!((seen.holder.as_deref(), seen.renewed, seen.lasts), (Some("a.b"), Some(now), LASTS));
        assert_eq!(read(&new(leader(), ("a", "1"), now)).unwrap().0, Whose::Leader);
        assert_eq!(read(&new("other".to_owned(), ("a", "1"), now)), None);
    }
}
