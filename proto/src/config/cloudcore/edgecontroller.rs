//! `modules.edgeController`

use super::DEFAULT_NODE_LIMIT as NODES;
use crate::config::check::{Check, Validate};
use crate::config::section::section;

/// Default length of most queues.
const QUEUE: u32 = 1024;

section! {
    /// Pods, nodes, config maps, secrets.
    pub struct EdgeController {
        /// On or off.
        enable: bool = true,
        /// A node's heartbeat is refreshed when it is older than this many seconds (legacy status reports).
        node_update_frequency: i32 = 10,
        /// Accepted and without effect: our queues belong to nodes, not to kinds.
        buffer: EdgeControllerBuffer = EdgeControllerBuffer::default(),
        /// Accepted and without effect: one task per node, many nodes at once.
        load: EdgeControllerLoad = EdgeControllerLoad::default(),
    }
}

section! {
    /// Lengths of stock's queues.
    pub struct EdgeControllerBuffer {
        /// Events.
        process_event: u32 = QUEUE,
        /// Legacy pod status.
        update_pod_status: u32 = QUEUE,
        /// Legacy node status.
        update_node_status: u32 = QUEUE,
        /// Config map queries.
        query_config_map: u32 = QUEUE,
        /// Secret queries.
        query_secret: u32 = QUEUE,
        /// Volume queries.
        query_persistent_volume: u32 = QUEUE,
        /// Volume claim queries.
        query_persistent_volume_claim: u32 = QUEUE,
        /// Attachment queries.
        query_volume_attachment: u32 = QUEUE,
        /// Node registrations.
        create_node: u32 = QUEUE,
        /// Node patches.
        patch_node: u32 = QUEUE + NODES / 2,
        /// Node queries.
        query_node: u32 = QUEUE + NODES,
        /// Node updates.
        update_node: u32 = QUEUE,
        /// Pod patches.
        patch_pod: u32 = QUEUE,
        /// Pod deletions.
        delete_pod: u32 = QUEUE,
        /// Pod creations.
        create_pod: u32 = QUEUE,
        /// Leases.
        create_lease: u32 = QUEUE + NODES,
        /// Lease queries.
        query_lease: u32 = QUEUE,
        /// Token requests.
        service_account_token: u32 = QUEUE,
        /// Certificate requests.
        certificate_signing_request: u32 = QUEUE,
        /// Pod watch.
        pod_event: u32 = 1,
        /// Config map watch.
        config_map_event: u32 = 1,
        /// Secret watch.
        secret_event: u32 = 1,
        /// Rule watch.
        rules_event: u32 = 1,
        /// Rule endpoint watch.
        rule_endpoints_event: u32 = 1,
    }
}

section! {
    /// Sizes of stock's worker pools.
    pub struct EdgeControllerLoad {
        /// Events.
        process_event_workers: u32 = 4,
        /// Legacy pod status.
        update_pod_status_workers: u32 = 1,
        /// Legacy node status.
        update_node_status_workers: u32 = 1,
        /// Config map queries.
        query_config_map_workers: u32 = 100,
        /// Secret queries.
        query_secret_workers: u32 = 100,
        /// Volume queries.
        query_persistent_volume_workers: u32 = 4,
        /// Volume claim queries.
        query_persistent_volume_claim_workers: u32 = 4,
        /// Attachment queries.
        query_volume_attachment_workers: u32 = 4,
        /// Node registrations.
        create_node_workers: u32 = 100,
        /// Node patches.
        patch_node_workers: u32 = 100 + NODES / 50,
        /// Node queries.
        query_node_workers: u32 = NODES,
        /// Node updates.
        update_node_workers: u32 = 4,
        /// Pod patches.
        patch_pod_workers: u32 = 100,
        /// Pod deletions.
        delete_pod_workers: u32 = 100,
        /// Leases.
        create_lease_workers: u32 = NODES,
        /// Lease queries.
        query_lease_workers: u32 = 100,
        /// Rule counters; the key is capitalised.
        #[serde(rename = "UpdateRuleStatusWorkers")]
        update_rule_status_workers: u32 = 4,
        /// Token requests; the key is capitalised.
        #[serde(rename = "ServiceAccountTokenWorkers")]
        service_account_token_workers: u32 = 100,
        /// Pod creations; the key is capitalised and spelled so.
        #[serde(rename = "CreatePodWorks")]
        create_pod_workers: u32 = 4,
        /// Certificate requests.
        certificate_signing_request_workers: u32 = 4,
    }
}

impl Validate for EdgeController {
    fn validate(&self, check: &mut Check) {
        check.positive("nodeUpdateFrequency", self.node_update_frequency);
    }
}
