//! The node's CSI drivers: `CSINode`, which the scheduler and the drivers' controllers read. A KubeEdge edge never says which it has.

use k8s_openapi::api::storage::v1::{CSINode, CSINodeDriver, CSINodeSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Api;
use kube::api::PostParams;

use super::answer::Done;
use super::{Caller, Outcomes, status_of};

/// What a node says of its drivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drivers {
    /// These are there.
    There,
    /// These are gone; only their names count.
    Gone,
}

impl Caller {
    /// Changes the entries of the drivers that the report names, and no others: each registers by itself.
    pub(super) async fn report_drivers(&self, report: CSINode, what: Drivers) -> Outcomes {
        let name = report.metadata.name.clone().unwrap_or_default();
        self.check_is_self("csinode", &name)?;
        let nodes = Api::<CSINode>::all(self.context.client.clone());
        match nodes.get_opt(&name).await.map_err(status_of)? {
            Some(known) => {
                let drivers = merged(&known.spec.drivers, report.spec.drivers, what);
                if drivers != known.spec.drivers {
                    // With the version that was read: of two writers one is told to try again.
                    let node = CSINode { spec: CSINodeSpec { drivers }, ..known };
                    self.may_write().await?;
                    nodes.replace(&name, &PostParams::default(), &node).await.map_err(status_of)?;
                }
            }
            None if what == Drivers::There => {
                let owner = self.context.desired.read().node(&self.node).map(|node| owner(&name, &node.uid));
                let metadata = ObjectMeta {
                    name: Some(name),
                    // It goes with the Node.
                    owner_references: owner.map(|owner| vec![owner]),
                    ..ObjectMeta::default()
                };
                let node = CSINode { metadata, ..report };
                self.may_write().await?;
                nodes.create(&PostParams::default(), &node).await.map_err(status_of)?;
            }
            None => {}
        }
        Ok(Done::ok())
    }
}

fn merged(known: &[CSINodeDriver], told: Vec<CSINodeDriver>, what: Drivers) -> Vec<CSINodeDriver> {
    let is_told = |driver: &&CSINodeDriver| told.iter().any(|told| told.name == driver.name);
    let mut drivers: Vec<_> = known.iter().filter(|driver| !is_told(driver)).cloned().collect();
    if what == Drivers::There {
        drivers.extend(told);
    }
    drivers.sort_by(|a, b| a.name.cmp(&b.name));
    drivers
}

fn owner(name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        ..OwnerReference::default()
    }
}
