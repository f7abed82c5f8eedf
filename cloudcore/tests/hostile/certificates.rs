//! Certificates that are no good, on both transports: who shows one does not come in, and learns why.

use certs::{Ca, TlsIdentity};
use chassis::link::LinkError;
use jiff::{SignedDuration, Timestamp};
use proto::ban::{Ban, BanList};
use tokio::time::timeout;

use crate::hub::{Hub, SOON, WAYS, Way, YEAR};
use crate::memory::alone;

/// Why this certificate gets no link.
async fn refused(hub: &Hub, way: Way, node: &str, identity: &TlsIdentity) -> LinkError {
    let dialled = timeout(SOON, hub.dialer(way, node, identity).dial()).await.unwrap();
    match dialled {
        Err(error) => error,
        // Over QUIC the door is asked when the link is open.
        Ok(mut link) => timeout(SOON, link.rx.recv()).await.unwrap().expect_err("it was let in"),
    }
}

#[tokio::test]
async fn certificates_out_of_their_time_are_refused_and_both_sides_know_why() {
    let _alone = alone().await;
    let hub = Hub::start().await;
    let now = Timestamp::now();
    for (n, way) in (1..).zip(WAYS) {
        let expired = hub.identity("edge-1", now - YEAR - YEAR);
        let early = hub.identity("edge-1", now + YEAR);
        for identity in [&expired, &early] {
            let error = refused(&hub, way, "edge-1", identity).await;
            assert_eq!(error.kind(), "refused_for_time", "{way:?}: {error:?}");
        }
        hub.counts("link_handshakes_refused_total{reason=\"certificate_time\"}", 2 * n).await;
    }
    assert_eq!(hub.metric("cloudhub_connected_nodes"), 0);
}

#[tokio::test]
async fn certificates_of_another_authority_or_of_no_node_are_refused() {
    let _alone = alone().await;
    let hub = Hub::start().await;
    let now = Timestamp::now();
    let other = Ca::generate(now).unwrap();
    let stranger = other.issue_client("system:node:edge-1", "system:nodes", YEAR, now).unwrap();
    let legacy = hub.ca.issue_client("kubeedge.io", "KubeEdge", YEAR, now).unwrap();
    for way in WAYS {
        assert_eq!(refused(&hub, way, "edge-1", &stranger).await.kind(), "tls", "{way:?}");
        let said = refused(&hub, way, "edge-1", &legacy).await.explained();
        assert!(said.contains("kubeedge.io"), "{way:?}: {said}");
    }
    // Nobody is hurt by it.
    let identity = hub.identity("edge-1", now);
    for way in WAYS {
        hub.dialer(way, "edge-1", &identity).dial().await.unwrap();
    }
}

/// kk#4730: a stolen node is out, whatever it connects by.
#[tokio::test]
async fn kk_4730_certificates_of_banned_nodes_and_revoked_ones_are_refused() {
    let _alone = alone().await;
    let now = Timestamp::now();
    let mut bans = BanList::default();
    bans.ban("stolen", Ban::new(now, "left the depot"));
    let hour = SignedDuration::from_hours(1);
    bans.ban("returned", Ban::new(now - hour, "left the depot"));
    bans.lift("returned", now - hour);
    let before = now - hour * 2;
    let hub = Hub::start_with(bans, before).await;
    for (n, way) in (1..).zip(WAYS) {
        let stolen = hub.identity("stolen", before);
        let said = refused(&hub, way, "stolen", &stolen).await.explained();
        assert!(said.contains("banned"), "{way:?}: {said}");
        let revoked = hub.identity("returned", before);
        let said = refused(&hub, way, "returned", &revoked).await.explained();
        assert!(said.contains("revoked"), "{way:?}: {said}");
        // Issued after the ban was lifted.
        let new = hub.identity("returned", now);
        hub.dialer(way, "returned", &new).dial().await.unwrap();
        hub.counts("cloudhub_refused_connections_total{reason=\"banned\"}", n).await;
        hub.counts("cloudhub_refused_connections_total{reason=\"revoked\"}", n).await;
    }
}

/// The clock of an edge is a year behind or ahead: the server's certificate is not valid by it.
#[tokio::test]
async fn a_clock_off_by_a_year_is_named_with_both_times() {
    let _alone = alone().await;
    let now = Timestamp::now();
    let hub = Hub::start_with(BanList::default(), now + YEAR).await;
    let identity = hub.identity("edge-1", now);
    for way in WAYS {
        let error = refused(&hub, way, "edge-1", &identity).await;
        let LinkError::OutOfTime(fault) = &error else { panic!("{way:?}: {error:?}") };
        let off = (fault.clock - now).total(jiff::Unit::Second).unwrap();
        assert!((-5.0..60.0).contains(&off), "{way:?}: {fault:?}");
        let said = error.explained();
        let year = (now + YEAR).to_string();
        for part in ["not valid yet", &year[..10], &fault.clock.to_string(), "days earlier"] {
            assert!(said.contains(part), "{way:?}: no {part} in {said}");
        }
    }
}
