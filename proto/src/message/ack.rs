//! Which messages from the cloud are sent again until the edge has acknowledged them (spec cloud-and-wire 2.5).

use super::{Content, Message};
use crate::reply::StatusError;
use crate::resource::Resource;
use crate::words::{Group, Operation, ResourceKind, Source};

impl Message {
    /// Whether the sender keeps this downstream message until the edge acknowledges it. Decided by what the
    /// message is, so that an object that happens to be called `membership-db` is an object like any other.
    pub fn needs_ack(&self) -> bool {
        !(self.is_exempt_by_sender() || self.is_exempt_by_operation() || self.is_exempt_by_resource())
    }

    fn is_exempt_by_sender(&self) -> bool {
        self.route.group == Group::User
            || matches!(self.route.source, Source::TaskManager | Source::NodeUpgradeJobController)
    }

    fn is_exempt_by_operation(&self) -> bool {
        match self.route.operation {
            Operation::CreateVolume
            | Operation::DeleteVolume
            | Operation::ControllerPublishVolume
            | Operation::ControllerUnpublishVolume
            | Operation::ApplicationResponse
            | Operation::Error
            | Operation::Unset => true,
            Operation::Response => self.content.is_ok() || is_error_object(&self.content),
            _ => false,
        }
    }

    fn is_exempt_by_resource(&self) -> bool {
        let path = match &self.route.resource {
            Resource::Membership | Resource::MembershipDetail | Resource::CaCert => return true,
            Resource::DeviceTwin { verb, .. } => return verb == "cloud_updated",
            Resource::Object(path) => path,
            _ => return false,
        };
        if matches!(path.kind, ResourceKind::PodList | ResourceKind::ServiceAccountToken) {
            return true;
        }
        if self.route.source != Source::EdgeController {
            return false;
        }
        match path.kind {
            ResourceKind::Node => self.route.operation != Operation::Update,
            ResourceKind::Pod => self.route.operation == Operation::Response,
            ResourceKind::Lease
            | ResourceKind::NodePatch
            | ResourceKind::PodPatch
            | ResourceKind::PodStatus
            | ResourceKind::CertificateSigningRequest => true,
            _ => false,
        }
    }
}

fn is_error_object(content: &Content) -> bool {
    matches!(content, Content::Json(_))
        && content.decode::<StatusError>().is_ok_and(|error| error.is_status())
}
