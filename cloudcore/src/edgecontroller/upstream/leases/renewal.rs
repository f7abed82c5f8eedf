//! Which renewals of a lease are written. A node renews four times in the life of its lease, and every one is a write
//! that ten thousand nodes make a thousand times a second; the cluster asks no more than that the lease has not run out.
//! So what comes soon after one that was written is answered with that one, as the API server has it. A node that says
//! nothing renews nothing: nothing is ever written but what a node has just asked for.

use std::hash::{DefaultHasher, Hasher as _};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use serde::Serialize;
use tokio::time::Instant;

/// The part of a lease's life in which its renewal is not written again. A node that renews every quarter of it has every
/// second renewal written, and its lease, when it falls silent, half of its life left at least. Half would be a bet on the
/// node's clock: a renewal that comes a little early would put off the write to the last quarter.
const SPARED: (u32, u32) = (3, 8);

/// The last renewal that was written on this connection.
#[derive(Debug)]
pub(in super::super) struct Renewal {
    at: Instant,
    /// As the API server has it.
    version: String,
    renewed: Option<MicroTime>,
    /// How long it is not written again.
    spared: Duration,
    /// Stands for all else that the node wrote.
    rest: Rest,
}

/// Of a lease without its version, the time of its renewal, and the bookkeeping that moves with both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rest {
    metadata: u64,
    spec: u64,
}

impl Renewal {
    /// `written` is what the API server made of `lease` at `at`. `None` for a lease that does not run out.
    pub(super) fn new(lease: &mut Lease, written: &Lease, at: Instant) -> Option<Self> {
        let spec = written.spec.as_ref()?;
        let seconds = u64::try_from(spec.lease_duration_seconds?).ok()?;
        Some(Self {
            at,
            version: written.metadata.resource_version.clone()?,
            renewed: spec.renew_time.clone(),
            spared: Duration::from_secs(seconds) * SPARED.0 / SPARED.1,
            rest: Rest { metadata: of_metadata(&mut lease.metadata), spec: of_spec(lease.spec.as_mut()) },
        })
    }

    /// The lease as the API server has it, if that is as good as writing `lease`: it is the same but for the time of its
    /// renewal, it is of the version that the node knows, and the one that was written is still young.
    pub(super) fn stands_for(&self, lease: &mut Lease, now: Instant) -> Option<Lease> {
        let knows = lease.metadata.resource_version.as_ref().is_none_or(|version| *version == self.version);
        if !knows || of_metadata(&mut lease.metadata) != self.rest.metadata {
            return None;
        }
        self.stands_for_spec(lease.spec.as_mut(), now)?;
        let mut written = lease.clone();
        written.metadata.resource_version = Some(self.version.clone());
        written.spec.get_or_insert_default().renew_time.clone_from(&self.renewed);
        Some(written)
    }

    /// The version of the lease as the API server has it, if that is as good as writing `spec` into it.
    pub(super) fn stands_for_spec(&self, spec: Option<&mut LeaseSpec>, now: Instant) -> Option<&str> {
        let stands = now.duration_since(self.at) < self.spared && of_spec(spec) == self.rest.spec;
        stands.then_some(&*self.version)
    }
}

fn of_metadata(metadata: &mut ObjectMeta) -> u64 {
    let moving = (metadata.resource_version.take(), metadata.managed_fields.take());
    let hash = hash(metadata);
    (metadata.resource_version, metadata.managed_fields) = moving;
    hash
}

fn of_spec(spec: Option<&mut LeaseSpec>) -> u64 {
    let Some(spec) = spec else { return 0 };
    let renewed = spec.renew_time.take();
    let hash = hash(spec);
    spec.renew_time = renewed;
    hash
}

fn hash<T: Serialize>(value: &T) -> u64 {
    let mut hash = Hash(DefaultHasher::new());
    // Writing to a hash does not fail, and a lease has string keys only.
    serde_json::to_writer(&mut hash, value).ok();
    hash.0.finish()
}

struct Hash(DefaultHasher);

impl std::io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lease(second: u32, version: Option<&str>) -> Lease {
        let lease = json!({
            "metadata": {"name": "edge-1", "namespace": "kube-node-lease", "resourceVersion": version},
            "spec": {
                "holderIdentity": "edge-1", "leaseDurationSeconds": 40,
                "renewTime": format!("2026-01-01T00:00:{second:02}.000000Z"),
            },
        });
        serde_json::from_value(lease).unwrap()
    }

    fn renewal(at: Instant) -> Renewal {
        Renewal::new(&mut lease(0, Some("7")), &lease(0, Some("8")), at).unwrap()
    }

    #[test]
    fn every_second_renewal_is_answered_with_what_is_written() {
        let start = Instant::now();
        let renewal = renewal(start);
        let after = |seconds| start + Duration::from_secs(seconds);
        for version in [Some("8"), None] {
            let written = renewal.stands_for(&mut lease(10, version), after(10)).unwrap();
            assert_eq!(written, lease(0, Some("8")), "no more than is true");
        }
        assert_eq!(renewal.stands_for(&mut lease(20, Some("8")), after(15)), None, "it is time");
    }

    #[test]
    fn whatever_else_a_node_says_is_written() {
        let start = Instant::now();
        let renewal = renewal(start);
        let other = |change: fn(&mut Lease)| {
            let mut other = lease(10, Some("8"));
            change(&mut other);
            renewal.stands_for(&mut other, start)
        };
        assert!(other(|_| {}).is_some());
        assert_eq!(other(|lease| lease.metadata.resource_version = Some("9".into())), None);
        assert_eq!(other(|lease| lease.metadata.labels = Some([("a".into(), "b".into())].into())), None);
        assert_eq!(other(|lease| lease.spec.as_mut().unwrap().holder_identity = Some("b".into())), None);
        assert_eq!(other(|lease| lease.spec.as_mut().unwrap().lease_duration_seconds = Some(41)), None);
    }

    #[test]
    fn looking_at_a_lease_does_not_change_it() {
        let mut looked_at = lease(10, Some("8"));
        renewal(Instant::now()).stands_for(&mut looked_at, Instant::now());
        assert_eq!(looked_at, lease(10, Some("8")));
    }

    #[test]
    fn a_lease_that_does_not_run_out_is_always_written() {
        let mut endless = lease(0, Some("8"));
        endless.spec.as_mut().unwrap().lease_duration_seconds = None;
        assert!(Renewal::new(&mut endless.clone(), &endless, Instant::now()).is_none());
    }
}
