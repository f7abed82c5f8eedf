//! What is said over MQTT, and what is told there (spec edge-keadm-mapper 4.3).
//!
//! Whatever changes a twin is told there, whoever has said it: somebody who listens on the node sees the values of all devices.
//! Where there is no MQTT, nothing of this costs anything.

use std::sync::Arc;

use proto::api::device::Device;
use proto::dmi;
use proto::twin::{DeviceReport, TwinDoc};
use tokio::time::Instant;

use super::State;
use super::twins;
use crate::flow::{DeviceKey, DeviceNews, DriverError, Member, TopicRequest};

impl State {
    pub(super) fn hear_topic(&mut self, request: TopicRequest) {
        // Whoever went away does not need its answer.
        match request {
            TopicRequest::UpdateTwin(key, update, to) => {
                let now = self.now();
                let before = self.twins.state_shown(&key);
                let written = self.twins.write(&key, &update, now);
                self.tell_state(&key, before.as_ref());
                drop(to.send(written));
            }
            TopicRequest::GetTwin(key, to) => {
                drop(to.send(self.twins.shown(&key).ok_or(DriverError::NotFound(key))));
            }
            TopicRequest::UpdateState(key, state, to) => {
                let taken = self.twins.report_state(&key, &state, self.now());
                let shown = || self.twins.state_shown(&key).ok_or_else(|| DriverError::NotFound(key.clone()));
                drop(to.send(taken.and_then(|()| shown())));
            }
            TopicRequest::Members(to) => drop(to.send(Ok(self.twins.members()))),
        }
    }

    /// A driver reports values.
    pub(super) fn report(&mut self, key: &DeviceKey, twins: &[dmi::Twin]) -> Result<(), DriverError> {
        let now = self.now();
        if self.topics.is_none() {
            return self.twins.report(key, twins, now);
        }
        let is_named = |name: &str| twins.iter().any(|twin| twin.property_name == name);
        let (twin, state) = (self.twins.shown_of(key, is_named), self.twins.state_shown(key));
        let taken = self.twins.report(key, twins, now);
        self.tell_twin(key, twin.as_ref(), is_named);
        self.tell_state(key, state.as_ref());
        taken
    }

    /// A driver says how a device is.
    pub(super) fn report_state(&mut self, key: &DeviceKey, state: &str) -> Result<(), DriverError> {
        let before = self.twins.state_shown(key);
        let taken = self.twins.report_state(key, state, self.now());
        self.tell_state(key, before.as_ref());
        taken
    }

    pub(super) fn fall_silent(&mut self) {
        let fallen = self.twins.fall_silent(Instant::now());
        self.metrics.fell_silent(fallen.len() as u64);
        for key in fallen {
            if let (Some(topics), Some(report)) = (&self.topics, self.twins.state_shown(&key)) {
                topics.tell(DeviceNews::State(key, report));
            }
        }
    }

    pub(super) fn device_applied(&mut self, device: Arc<Device>) {
        let key = self.topics.as_ref().and_then(|_| twins::key(&device));
        let last = key.as_ref().and_then(|key| self.twins.shown(key));
        self.twins.device_applied(device);
        let Some(key) = key else { return };
        match last {
            Some(last) => self.tell_twin(&key, Some(&last), |_| true),
            None => self.tell_members(self.twins.member(&key), None),
        }
    }

    pub(super) fn device_gone(&mut self, key: &DeviceKey) {
        let gone = self.twins.member(key);
        self.twins.device_gone(key);
        if gone.is_some() {
            self.tell_members(None, gone);
        }
    }

    /// Which devices speak MQTT themselves.
    pub(super) fn show_mqtt(&self) {
        if let Some(topics) = &self.topics {
            topics.show(self.twins.speaking_mqtt());
        }
    }

    fn tell_twin(&self, key: &DeviceKey, last: Option<&TwinDoc>, is_of_interest: impl Fn(&str) -> bool) {
        let (Some(topics), Some(last)) = (&self.topics, last) else { return };
        if let Some(change) = self.twins.change_since(key, last, is_of_interest) {
            topics.tell(DeviceNews::Twin(key.clone(), change));
        }
    }

    fn tell_state(&self, key: &DeviceKey, before: Option<&DeviceReport>) {
        let (Some(topics), Some(report)) = (&self.topics, self.twins.state_shown(key)) else { return };
        if before.is_none_or(|before| before.state != report.state) {
            topics.tell(DeviceNews::State(key.clone(), report));
        }
    }

    fn tell_members(&self, added: Option<Member>, removed: Option<Member>) {
        if let Some(topics) = &self.topics {
            let (added, removed) = (added.into_iter().collect(), removed.into_iter().collect());
            topics.tell(DeviceNews::Membership { added, removed });
        }
    }
}
