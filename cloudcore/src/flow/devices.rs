//! What CloudHub tells DeviceController: one queue for all nodes, because DeviceController only notes what it is told and
//! waits for nobody. Capacity in `app.rs`; when it is full the sessions wait.

use chassis::channel::{Receiver, Sender};
use proto::hello::Held;
use proto::{Message, Resource, ResourceKind};

use super::{Fence, NodeName, Outbox, Replies};

/// CloudHub's way to DeviceController.
#[derive(Debug, Clone)]
pub struct Devices {
    tx: Sender<FromNode>,
}

/// DeviceController's inbox.
pub type DeviceInbox = Receiver<FromNode>;

/// What comes from a node. What a node says comes after its connection.
#[derive(Debug)]
pub enum FromNode {
    /// It has connected.
    Connected(Box<DeviceSession>),
    /// It says something about a device.
    Report(NodeName, Box<Message>),
}

/// Everything that DeviceController needs to serve a node that has connected. It ends when the outbox is closed.
#[derive(Debug)]
pub struct DeviceSession {
    /// Who; proven by its certificate.
    pub node: NodeName,
    /// Answers to it.
    pub replies: Replies,
    /// What it should have.
    pub outbox: Outbox,
    /// Whether what it says may be written.
    pub fence: Fence,
    /// The devices and models that it says it holds; `None` from a stock edge, which does not say.
    pub held: Option<Vec<Held>>,
}

// === impl Devices ===

impl Devices {
    /// Wraps the sending half of the queue.
    pub fn new(tx: Sender<FromNode>) -> Self {
        Self { tx }
    }

    /// Whether a message of a node is for DeviceController.
    #[must_use]
    pub fn concerns(message: &Message) -> bool {
        matches!(
            message.route.resource,
            Resource::DeviceTwin { .. }
                | Resource::DeviceState { .. }
                | Resource::DeviceReports
                | Resource::MembershipDetail
        )
    }

    /// Whether what a node holds is DeviceController's.
    #[must_use]
    pub fn owns(held: &Held) -> bool {
        let resource = Resource::from(held.path.as_str());
        matches!(resource.kind(), Some(ResourceKind::Device | ResourceKind::DeviceModel))
    }

    /// Tells it.
    ///
    /// # Errors
    /// When DeviceController has ended.
    pub async fn tell(&self, event: FromNode) -> Result<(), super::Ended> {
        self.tx.send(event).await.map_err(|_| super::Ended)
    }
}
