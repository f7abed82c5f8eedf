//! What nodes say about devices, as types, checked against what belongs to the node.

use proto::api::device::validation::MAX_VALUE;
use proto::reply::{QueryFailure, failure_status};
use proto::twin::{
    DeviceReport, DeviceReports, MsgTwin, OneReport, StateUpdate, TwinDoc, TwinUpdate, is_state,
};
use proto::{Content, Group, Message, Operation, Resource, Source, Stamp};

use super::desired::{Desired, Key};
use crate::flow::NodeName;

/// Largest report, in bytes: every property of the largest device at once, as text of text.
const MAX_REPORT: usize = 3 << 20;
/// Most reports in one message; our edges send a quarter of it.
const MAX_REPORTS: usize = 1024;

/// What a node said of one device.
#[derive(Debug, PartialEq)]
pub(super) enum Report {
    /// Its devices' membership: there is nothing to do, but a stock edge asks until it is answered.
    Membership,
    /// Values of properties.
    Twins(Key, TwinDoc),
    /// How a device is.
    State(Key, DeviceReport),
}

/// Why a report is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{0} of {1} is not supported")]
    Unsupported(Operation, Resource),
    #[error("{0}")]
    Malformed(String),
    #[error("device {}/{} not found on node {node}", key.0, key.1)]
    NotHere { key: Key, node: NodeName, is_elsewhere: bool },
    #[error("devices are not known yet")]
    TooEarly,
}

/// Reads a report of `node`. Properties that the device does not have are left out.
///
/// # Errors
/// When it is none, or about a device of another node.
pub(super) fn parse(node: &NodeName, message: &Message, desired: &Desired) -> Result<Report, Refusal> {
    let route = &message.route;
    let unsupported = || Refusal::Unsupported(route.operation.clone(), route.resource.clone());
    if message.content.len() > MAX_REPORT {
        let bytes = message.content.len();
        return Err(Refusal::Malformed(format!(
            "the content has {bytes} bytes; {MAX_REPORT} are taken at most"
        )));
    }
    match (&route.resource, &route.operation) {
        (Resource::MembershipDetail, _) => Ok(Report::Membership),
        (Resource::DeviceTwin { namespace, name, verb }, Operation::Update) if verb == "edge_updated" => {
            let key = own(node, namespace, name, desired)?;
            let update: TwinUpdate = decode(&message.content)?;
            let twins = update.twin.into_iter().filter_map(|(name, twin)| Some((name, twin?))).collect();
            check_twins(key, twins, desired)
        }
        (Resource::DeviceState { namespace, name }, Operation::Update) => {
            let key = own(node, namespace, name, desired)?;
            let update: StateUpdate = decode(&message.content)?;
            check_state(&update.device).map_err(|why| Refusal::Malformed(why.to_owned()))?;
            Ok(Report::State(key, update.device))
        }
        _ => Err(unsupported()),
    }
}

/// Reads a message of `node` with many reports.
///
/// # Errors
/// When it is none, or too much.
pub(super) fn parse_all(message: &Message) -> Result<Vec<OneReport>, Refusal> {
    let (bytes, route) = (message.content.len(), &message.route);
    if route.operation != Operation::Update {
        return Err(Refusal::Unsupported(route.operation.clone(), route.resource.clone()));
    }
    let all = match bytes <= MAX_REPORT {
        true => decode::<DeviceReports>(&message.content)?.reports,
        false => Vec::new(),
    };
    if bytes > MAX_REPORT || all.len() > MAX_REPORTS {
        let most = format!("{MAX_REPORTS} reports in {MAX_REPORT} bytes are taken at most");
        return Err(Refusal::Malformed(format!("{} reports in {bytes} bytes; {most}", all.len())));
    }
    Ok(all)
}

/// Reads one of them.
///
/// # Errors
/// As [`parse`].
pub(super) fn parse_one(node: &NodeName, report: OneReport, desired: &Desired) -> Result<Report, Refusal> {
    match (Resource::from(report.path.as_str()), report.twin, report.state) {
        (Resource::DeviceTwin { namespace, name, verb }, Some(twins), None) if verb == "edge_updated" => {
            check_twins(own(node, &namespace, &name, desired)?, twins, desired)
        }
        (Resource::DeviceState { namespace, name }, None, Some(state)) => {
            let key = own(node, &namespace, &name, desired)?;
            check_state(&state).map_err(|why| Refusal::Malformed(why.to_owned()))?;
            Ok(Report::State(key, state))
        }
        _ => Err(Refusal::Malformed("this is no report about a device".to_owned())),
    }
}

/// Properties that the device does not have are left out.
fn check_twins(key: Key, mut twins: TwinDoc, desired: &Desired) -> Result<Report, Refusal> {
    let spec = desired.device(&key).map(|device| device.spec.as_ref());
    twins.retain(|name, _| spec.is_some_and(|spec| spec.property(name).is_some()));
    if let Some(name) = twins.iter().find_map(|(name, twin)| is_too_long(twin).then_some(name)) {
        let why = format!("the value of {name:?} is longer than {MAX_VALUE} bytes");
        return Err(Refusal::Malformed(why));
    }
    Ok(Report::Twins(key, twins))
}

/// What came of a call may be told before there is a state.
fn check_state(device: &DeviceReport) -> Result<(), &'static str> {
    let is_only_call = device.state.is_empty() && device.call.is_some();
    if !(is_state(&device.state) || is_only_call) || device.last_online_time.len() > 64 {
        return Err("this is no state of a device");
    }
    let Some(call) = &device.call else { return Ok(()) };
    let texts = [&call.id, &call.method, &call.result, &call.message, &call.time];
    match texts.iter().all(|text| text.len() <= MAX_VALUE) {
        true => Ok(()),
        false => Err("what came of the call is too long"),
    }
}

fn own(node: &NodeName, namespace: &str, name: &str, desired: &Desired) -> Result<Key, Refusal> {
    let key = (namespace.to_owned(), name.to_owned());
    let device = desired.device(&key);
    if device.is_some_and(|device| device.node.as_ref() == Some(node)) {
        return Ok(key);
    }
    Err(Refusal::NotHere { key, node: node.clone(), is_elsewhere: device.is_some() })
}

fn decode<T: serde::de::DeserializeOwned>(content: &Content) -> Result<T, Refusal> {
    content.decode().map_err(|error| Refusal::Malformed(error.to_string()))
}

fn is_too_long(twin: &MsgTwin) -> bool {
    let values =
        [&twin.expected, &twin.actual].into_iter().flatten().filter_map(|value| value.value.as_ref());
    values.into_iter().any(|value| value.len() > MAX_VALUE)
}

/// "The cluster has it", in the form that a stock edge waits for.
pub(super) fn accepted(report: &Message, stamp: Stamp) -> Message {
    let mut answer = report.reply(stamp, Content::ok()).from_module(Source::DeviceController, Group::Twin);
    answer.route.resource = Resource::Twin;
    answer
}

// === impl Refusal ===

impl Refusal {
    /// As the API server says it.
    pub(super) fn reason(&self) -> (i32, &'static str) {
        match self {
            Self::Unsupported(..) | Self::Malformed(_) => (400, "BadRequest"),
            Self::NotHere { .. } => (404, "NotFound"),
            Self::TooEarly => (503, "ServiceUnavailable"),
        }
    }

    /// What the node is told. A group lets a stock edge end its wait; ours goes by the reason in front.
    pub(super) fn answer(&self, report: &Message, stamp: Stamp) -> Message {
        let (code, reason) = self.reason();
        let status = failure_status(code, reason, self.to_string());
        let text = QueryFailure::from_status(&status).to_string();
        let mut answer = report.error(stamp, text).from_module(Source::DeviceController, Group::Twin);
        answer.route.resource = Resource::Twin;
        answer
    }
}

#[cfg(test)]
mod tests;
