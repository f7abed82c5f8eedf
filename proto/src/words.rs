//! The closed vocabularies of the wire (spec cloud-and-wire 1.8), each as an enum.
//!
//! `Unset` is the empty string: every field of a route may be missing, and an error message has neither source
//! nor group. `Other` keeps a word that we do not know, because a peer of another version may send one and it
//! must survive a round trip.

macro_rules! wire_words {
    (
        $(#[$meta:meta])*
        $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $word:literal, )+ }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $( $(#[$variant_meta])* $variant, )+
            /// A word that this version does not know; never one of the words above.
            Other(String),
        }

        impl $name {
            /// Every word that has a variant of its own.
            pub const KNOWN: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The word as it stands on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $word, )+
                    Self::Other(word) => word,
                }
            }

            /// Whether the word has a variant of its own.
            pub fn is_known(&self) -> bool {
                !matches!(self, Self::Other(_))
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $( $word => Self::$variant, )+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

wire_words! {
    /// What a message asks for or says. HTTP method names (ServiceBus) and v1alpha2 task actions are `Other`.
    Operation {
        /// No operation on the wire.
        Unset = "",
        /// The object is new to the receiver.
        Insert = "insert",
        /// The object is gone.
        Delete = "delete",
        /// Asks for an object.
        Query = "query",
        /// The object has a new version.
        Update = "update",
        /// Content is a strategic merge patch.
        Patch = "patch",
        /// A user's MQTT message on its way to the cloud.
        Upload = "upload",
        /// An answer, or an acknowledgement when the content is `OK`.
        Response = "response",
        /// A request failed; content is text.
        Error = "error",
        /// Edge sign of life.
        Keepalive = "keepalive",
        /// Edge-local: the link came up.
        Connect = "connect",
        /// Cloud-local: a node connected.
        Connected = "connected",
        /// Cloud-local: a node went away.
        Disconnected = "disconnected",
        /// Device side: read.
        Get = "get",
        /// Device side: answer to `get`.
        GetResult = "get_result",
        /// Device side: list.
        List = "list",
        /// Device side: details.
        Detail = "detail",
        /// Device side: difference of twins.
        Delta = "delta",
        /// Device side: whole document.
        Document = "document",
        /// Device side: something changed.
        Updated = "updated",
        /// Device side: something went away.
        Deleted = "deleted",
        /// Bus: subscribe to a topic.
        Subscribe = "subscribe",
        /// Bus: end of a subscription.
        Unsubscribe = "unsubscribe",
        /// Bus: a message.
        Message = "message",
        /// Bus: publish to a topic.
        Publish = "publish",
        /// ServiceBus: start.
        Start = "start",
        /// ServiceBus: stop.
        Stop = "stop",
        /// Answer to a MetaServer request.
        ApplicationResponse = "applicationResponse",
        /// MetaServer requests carry this literal word.
        Null = "null",
        /// CSI.
        CreateVolume = "createvolume",
        /// CSI.
        DeleteVolume = "deletevolume",
        /// CSI.
        ControllerPublishVolume = "controllerpublishvolume",
        /// CSI.
        ControllerUnpublishVolume = "controllerunpublishvolume",
        /// Tasks v1alpha1: upgrade EdgeCore.
        Upgrade = "upgrade",
        /// Tasks v1alpha1: go back to the version before.
        Rollback = "rollback",
        /// Tasks v1alpha1: keep a copy of the installed version.
        Backup = "backup",
        /// Tasks v1alpha1: pull images ahead of need.
        Prepull = "prepull",
        /// Tasks v1alpha2: result of an action on a node.
        UpdateNodeActionStatus = "UpdateNodeActionStatus",
        /// Edge-local: an upgrade may go on.
        UnholdUpgrade = "unhold-upgrade",
        /// Transport control, answered with `ack` (spec cloud-and-wire 1.4).
        Config = "config",
        /// Transport control, answered with `ack`.
        Ping = "ping",
        /// Transport control, answered with `ack`.
        Pong = "pong",
        /// Transport control of QUIC.
        Header = "header",
    }
}

wire_words! {
    /// The family of receivers. The edge dispatches by it and drops what has an unknown one.
    Group {
        /// No group on the wire.
        Unset = "",
        /// Objects and their replies.
        Resource = "resource",
        /// Devices.
        Twin = "twin",
        /// Serverless functions of old; handled like `resource`.
        Func = "func",
        /// Users' messages through the router.
        User = "user",
        /// EdgeHub.
        Hub = "hub",
        /// EventBus and ServiceBus.
        Bus = "bus",
        /// MetaManager; edged's requests carry it all the way to the cloud.
        Meta = "meta",
        /// edged.
        Edged = "edged",
        /// Logs and exec tunnel.
        EdgeStream = "edgestream",
        /// Tasks.
        TaskManager = "taskmanager",
        /// Upgrade jobs of old.
        NodeUpgradeJobController = "nodeupgradejobcontroller",
        /// MetaServer's requests.
        DynamicController = "dynamiccontroller",
    }
}

wire_words! {
    /// The module that a message comes from. The edge decides by it where an object goes after it is stored.
    Source {
        /// No source on the wire.
        Unset = "",
        /// Cloud: the hub itself.
        CloudHub = "cloudhub",
        /// Cloud: pods, nodes, config maps, secrets and most replies.
        EdgeController = "edgecontroller",
        /// Cloud: devices.
        DeviceController = "devicecontroller",
        /// Cloud: answers to MetaServer and its watches.
        DynamicController = "dynamiccontroller",
        /// Cloud: repair of what the edge misses.
        SyncController = "synccontroller",
        /// Cloud: service account permissions.
        PolicyController = "policycontroller",
        /// Both: tasks.
        TaskManager = "taskmanager",
        /// Cloud: upgrade jobs of old.
        NodeUpgradeJobController = "nodeupgradejobcontroller",
        /// Cloud: rules.
        Router = "router",
        /// Cloud: logs and exec.
        CloudStream = "cloudStream",
        /// Cloud: a user's message for MQTT.
        RouterEventBus = "router_eventbus",
        /// Cloud: a user's message for an HTTP service.
        RouterServiceBus = "router_servicebus",
        /// Edge: edged.
        Edged = "edged",
        /// Edge: MetaManager.
        MetaManager = "metamanager",
        /// Edge: MetaManager towards DeviceTwin; also on acknowledgements of device objects.
        Meta = "meta",
        /// Edge: EdgeHub, named after its transport.
        WebSocket = "websocket",
        /// Edge: DeviceTwin.
        Twin = "twin",
        /// Edge: EventBus.
        EventBus = "eventbus",
        /// Edge: MQTT uploads.
        Bus = "bus",
        /// Edge: ServiceBus.
        ServiceBus = "servicebus",
        /// Edge: MetaServer.
        MetaServer = "metaserver",
        /// Edge: logs and exec.
        EdgeStream = "edgestream",
    }
}

wire_words! {
    /// The type word of an object path, for example the middle of `default/pod/nginx`.
    ResourceKind {
        /// `v1/Pod`
        Pod = "pod",
        /// A list of pods.
        PodList = "podlist",
        /// Legacy pod status report.
        PodStatus = "podstatus",
        /// Patch of a pod's status.
        PodPatch = "podpatch",
        /// `v1/Node`
        Node = "node",
        /// Legacy node status report.
        NodeStatus = "nodestatus",
        /// Patch of a node's status.
        NodePatch = "nodepatch",
        /// `v1/ConfigMap`
        ConfigMap = "configmap",
        /// `v1/Secret`
        Secret = "secret",
        /// `authentication.k8s.io/v1/TokenRequest`; the name in the path is the service account's.
        ServiceAccountToken = "serviceaccounttoken",
        /// `policy.kubeedge.io/v1alpha1/ServiceAccountAccess`
        ServiceAccountAccess = "serviceaccountaccess",
        /// `v1/Event`
        Event = "event",
        /// `coordination.k8s.io/v1/Lease`
        Lease = "lease",
        /// `rules.kubeedge.io/v1/Rule`
        Rule = "rule",
        /// `rules.kubeedge.io/v1/RuleEndpoint`
        RuleEndpoint = "ruleendpoint",
        /// Counters of a rule.
        RuleStatus = "rulestatus",
        /// `certificates.k8s.io/v1/CertificateSigningRequest`
        CertificateSigningRequest = "certificatesigningrequest",
        /// `v1/PersistentVolume`
        PersistentVolume = "persistentvolume",
        /// `v1/PersistentVolumeClaim`
        PersistentVolumeClaim = "persistentvolumeclaim",
        /// `storage.k8s.io/v1/VolumeAttachment`
        VolumeAttachment = "volumeattachment",
        /// `node.k8s.io/v1/RuntimeClass`; only Skerry peers ask for it.
        RuntimeClass = "runtimeclass",
        /// `storage.k8s.io/v1/CSIDriver`; only Skerry peers ask for it.
        CsiDriver = "csidriver",
        /// `storage.k8s.io/v1/CSINode`; only Skerry peers write it: `update` and `delete` are of the drivers that it names.
        CsiNode = "csinode",
        /// A CSI call.
        Volume = "volume",
        /// `v1/Service`
        Service = "service",
        /// `v1/Endpoints`
        Endpoints = "endpoints",
        /// `devices.kubeedge.io/v1beta1/Device`
        Device = "device",
        /// `devices.kubeedge.io/v1beta1/DeviceModel`
        DeviceModel = "devicemodel",
        /// A driver.
        DeviceMapper = "devicemapper",
        /// A MetaServer request or answer.
        Application = "Application",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_word_survives_a_round_trip() {
        for word in Operation::KNOWN {
            assert_eq!(&Operation::from(word.as_str()), word);
        }
        for word in Group::KNOWN {
            assert_eq!(&Group::from(word.as_str()), word);
        }
        for word in Source::KNOWN {
            assert_eq!(&Source::from(word.as_str()), word);
        }
        for word in ResourceKind::KNOWN {
            assert_eq!(&ResourceKind::from(word.as_str()), word);
        }
    }

    #[test]
    fn a_word_of_another_version_is_kept() {
        let kind = ResourceKind::from("endpointslice");
        assert!(!kind.is_known());
        assert_eq!(kind.to_string(), "endpointslice");
    }
}
