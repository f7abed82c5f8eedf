//! What edged asks and tells about drivers of volumes (CSI).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{PersistentVolume, Secret};
use k8s_openapi::api::storage::v1::{CSIDriver, CSINodeDriver, VolumeAttachment};

use super::{MetaClient, MetaError, MetaRequest, Reply};

/// A question about volumes.
#[derive(Debug)]
pub enum StorageRequest {
    /// From the cloud, else from the local store. `Refused` where the cloud tells no edge of such objects (stock).
    Driver {
        /** Name. */
        name: String,
        /** Answer. */
        reply: Reply<Box<CSIDriver>>,
    },
    /// A persistent volume that may have grown: from the cloud, else from the local store.
    Volume {
        /** Name. */
        name: String,
        /** Answer. */
        reply: Reply<Box<PersistentVolume>>,
    },
    /// From the cloud, else from the local store.
    Attachment {
        /** Name. */
        name: String,
        /** Answer. */
        reply: Reply<Box<VolumeAttachment>>,
    },
    /// A secret that a persistent volume names: from the cloud, else from the local store.
    Secret {
        /** Namespace. */
        namespace: String,
        /** Name. */
        name: String,
        /** Answer. */
        reply: Reply<Box<Secret>>,
    },
    /// Which drivers there are. Waits for a link as long as it takes.
    NodeDrivers(Box<DriverReport>, Reply<()>),
    /// Newest wins, per claim. A stock cloud takes none.
    Growth(Box<ClaimGrowth>),
}

/// What came of the growth of a claim's volume on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimGrowth {
    /// Namespace of the claim.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID: another claim of this name is another claim.
    pub uid: String,
    /// What came of it.
    pub outcome: Growth,
}

/// See [`ClaimGrowth`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Growth {
    /// The file system has the whole volume.
    Done {
        /// How much that is: `capacity.storage` of the volume, in its own words.
        capacity: String,
    },
    /// It has not.
    Failed {
        /// Why, for people.
        message: String,
        /// Whether trying the same again cannot help: the claim has to ask for less.
        is_infeasible: bool,
    },
}

/// Drivers of this node that are new, and that are gone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DriverReport {
    /// Entries of `CSINode` to be written in place of those of the same name.
    pub drivers: Vec<CSINodeDriver>,
    /// Entries to be removed.
    pub gone: BTreeSet<String>,
    /// What each driver that is here calls the node, for the Node's annotation.
    pub node_ids: BTreeMap<String, String>,
    /// Where the drivers say that the node is, for the Node's labels.
    pub topology: BTreeMap<String, String>,
}

impl MetaClient {
    /// What the cluster knows of a CSI driver.
    pub async fn csi_driver(&self, name: &str) -> Result<CSIDriver, MetaError> {
        let name = name.to_owned();
        let ask = |reply| MetaRequest::Storage(StorageRequest::Driver { name, reply });
        self.ask(ask).await.map(|driver| *driver)
    }

    /// Whether and how a volume is attached to this node.
    pub async fn attachment(&self, name: &str) -> Result<VolumeAttachment, MetaError> {
        let name = name.to_owned();
        let ask = |reply| MetaRequest::Storage(StorageRequest::Attachment { name, reply });
        self.ask(ask).await.map(|attachment| *attachment)
    }

    /// A persistent volume as it is now: it may have grown since a pod began to use it.
    pub async fn volume_now(&self, name: &str) -> Result<PersistentVolume, MetaError> {
        let name = name.to_owned();
        let ask = |reply| MetaRequest::Storage(StorageRequest::Volume { name, reply });
        self.ask(ask).await.map(|volume| *volume)
    }

    /// A secret that a persistent volume of a pod names.
    pub async fn volume_secret(&self, namespace: &str, name: &str) -> Result<Secret, MetaError> {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let ask = |reply| MetaRequest::Storage(StorageRequest::Secret { namespace, name, reply });
        self.ask(ask).await.map(|secret| *secret)
    }

    /// Tells the cloud which CSI drivers are on this node.
    pub async fn csi_drivers(&self, report: DriverReport) -> Result<(), MetaError> {
        self.ask(|reply| MetaRequest::Storage(StorageRequest::NodeDrivers(Box::new(report), reply))).await
    }

    /// Tells the cloud what came of the growth of a claim's volume; only the newest per claim is kept until it has been delivered.
    pub async fn claim_growth(&self, growth: ClaimGrowth) -> Result<(), MetaError> {
        self.tell(MetaRequest::Storage(StorageRequest::Growth(Box::new(growth)))).await
    }
}
