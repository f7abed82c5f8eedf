//! What is said on the topics of stock, as JSON (spec edge-keadm-mapper 4.3).

use std::collections::BTreeMap;

use proto::twin::{DeviceReport, Member as Named, MembershipUpdate, MsgTwin, StateUpdate, TwinDoc};
use serde::{Deserialize, Serialize};

use crate::flow::{DriverError, Member, TwinChange};

/// What stock says to a payload that it cannot read.
pub(super) const UNREADABLE: &str = "Unmarshal update request body failed, Please check the request";

/// What every payload begins with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Base {
    /// Chosen by who asks; the answer has it, too.
    #[serde(default)]
    pub(super) event_id: String,
    /// Unix milliseconds.
    #[serde(default)]
    pub(super) timestamp: i64,
}

/// Of `.../state/update`.
#[derive(Debug, Deserialize)]
pub(super) struct StateRequest {
    /// Go reads the key in any case, and stock writes it in another one over DMI.
    #[serde(alias = "State")]
    pub(super) state: String,
}

#[derive(Serialize)]
struct Failed<'a> {
    #[serde(flatten)]
    base: &'a Base,
    code: u16,
    reason: &'a str,
}

#[derive(Serialize)]
struct Twins<'a> {
    #[serde(flatten)]
    base: &'a Base,
    twin: &'a BTreeMap<String, Option<MsgTwin>>,
}

#[derive(Serialize)]
struct Got<'a> {
    #[serde(flatten)]
    base: &'a Base,
    twin: &'a TwinDoc,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    base: &'a Base,
    twin: BTreeMap<&'a str, Step<'a>>,
}

#[derive(Serialize)]
struct Step<'a> {
    last: Option<&'a MsgTwin>,
    current: Option<&'a MsgTwin>,
}

#[derive(Serialize)]
struct Delta<'a> {
    #[serde(flatten)]
    base: &'a Base,
    twin: &'a TwinDoc,
    delta: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct Members<'a> {
    #[serde(flatten)]
    base: &'a Base,
    devices: Vec<Listed<'a>>,
}

#[derive(Serialize)]
struct Listed<'a> {
    id: String,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    state: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    last_online: &'a str,
}

/// None of these types can fail to be JSON; where one does all the same, nothing is said.
fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Code and reason of an error, as stock has them.
pub(super) fn failure(error: &DriverError) -> (u16, String) {
    match error {
        DriverError::NotFound(_) => (404, error.to_string()),
        DriverError::Closed => (500, error.to_string()),
        _ => (400, error.to_string()),
    }
}

/// Something was not taken.
pub(super) fn failed(base: &Base, code: u16, reason: &str) -> String {
    json(&Failed { base, code, reason })
}

/// `.../twin/update/result`
pub(super) fn updated(base: &Base, change: &TwinChange) -> String {
    json(&Twins { base, twin: &change.changed })
}

/// `.../twin/update/document`
pub(super) fn document(base: &Base, change: &TwinChange) -> String {
    let steps = change.last.iter().map(|(name, last)| {
        let current = change.twin.get(name);
        (name.as_str(), Step { last: last.as_ref(), current })
    });
    json(&Document { base, twin: steps.collect() })
}

/// `.../twin/update/delta`; `None` when all properties have the values that they should have.
pub(super) fn delta(base: &Base, change: &TwinChange) -> Option<String> {
    let delta = change.delta();
    (!delta.is_empty()).then(|| json(&Delta { base, twin: &change.twin, delta }))
}

/// `.../twin/get/result`
pub(super) fn got(base: &Base, twin: &TwinDoc) -> String {
    json(&Got { base, twin })
}

/// `.../state/update/result`
pub(super) fn state(base: Base, device: DeviceReport) -> String {
    let Base { event_id, timestamp } = base;
    // What came of a call is for the cloud.
    json(&StateUpdate { event_id, timestamp, device: DeviceReport { call: None, ..device } })
}

/// `.../membership/get/result`
pub(super) fn members(base: &Base, members: &[Member]) -> String {
    let devices = members.iter().map(|member| Listed {
        id: format!("{}/{}", member.key.0, member.key.1),
        name: &member.key.1,
        state: &member.state,
        last_online: &member.last_online,
    });
    json(&Members { base, devices: devices.collect() })
}

/// `.../membership/updated`
pub(super) fn membership(base: Base, added: &[Member], removed: &[Member]) -> String {
    let named = |members: &[Member]| {
        let named = members.iter().map(|member| Named {
            id: format!("{}/{}", member.key.0, member.key.1),
            name: member.key.1.clone(),
            description: String::new(),
        });
        (!members.is_empty()).then(|| named.collect())
    };
    let Base { event_id, timestamp } = base;
    json(&MembershipUpdate {
        event_id,
        timestamp,
        added_devices: named(added),
        removed_devices: named(removed),
    })
}

#[cfg(test)]
mod tests;
