//! Which calls of methods are asked for, and what came of them.

use std::sync::Arc;

use proto::api::device::validation::check_call;
use proto::twin::{CALL_ANNOTATION, CallReport, CallRequest, CallState, DeviceReport};

use super::{Known, Now, Twins};
use crate::flow::DeviceKey;

/// What is said of a call that a restart has cut off.
const CUT_OFF: &str = "EdgeCore was started again during the call: whether it was done is not known";

/// A call that is to be made now.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::devicetwin) struct Due {
    pub(in crate::devicetwin) key: DeviceKey,
    pub(in crate::devicetwin) id: String,
    pub(in crate::devicetwin) request: CallRequest,
    /// Drivers of this protocol can do it.
    pub(in crate::devicetwin) protocol: String,
}

impl Twins {
    /// The calls that are asked for and have not been begun. Those that are given here count as begun; those that make no sense
    /// are answered instead.
    pub(in crate::devicetwin) fn calls(&mut self, now: Now) -> Vec<Due> {
        let asked = std::mem::take(&mut self.asked);
        asked.into_iter().filter_map(|key| self.begin(key, now)).collect()
    }

    /// The report of the device as it is now, with its uid.
    pub(in crate::devicetwin) fn report_of(&mut self, key: &DeviceKey) -> Option<(String, DeviceReport)> {
        let known = self.devices.get_mut(key)?;
        Some((known.device.metadata.uid.clone().unwrap_or_default(), known.told()))
    }

    /// What came of a call. One that is not the newest any more is forgotten.
    pub(in crate::devicetwin) fn called(
        &mut self,
        key: &DeviceKey,
        id: &str,
        outcome: Result<String, String>,
        now: Now,
    ) {
        let Some(known) = self.devices.get_mut(key) else { return };
        let running = known.report.call.as_ref();
        let Some(call) = running.filter(|call| call.id == id && call.state == CallState::Running) else {
            return;
        };
        let (method, state) = (call.method.clone(), outcome.is_ok());
        let state = if state { CallState::Done } else { CallState::Failed };
        let mut report = CallReport::new(id, &method, state, now.wall);
        match outcome {
            Ok(result) => report.result = result,
            Err(why) => report.message = why,
        }
        known.set_call(&key.1, report);
        self.dirty.insert(key.clone());
    }

    fn begin(&mut self, key: DeviceKey, now: Now) -> Option<Due> {
        let device = Arc::clone(&self.devices.get(&key)?.device);
        let text = device.metadata.annotations.as_ref()?.get(CALL_ANNOTATION)?;
        let model = self.model_of(&key, &device.spec).cloned();
        let known = self.devices.get_mut(&key)?;
        let (request, refusal) = match CallRequest::parse(text) {
            Ok(request) => {
                let problems = check_call(&request, &device.spec, model.as_ref().map(|model| &model.spec));
                let is_late = request.not_after.is_some_and(|end| now.wall > end);
                let late = is_late.then(|| "not begun: it is later than notAfter".to_owned());
                let wrong: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
                (request, late.or((!wrong.is_empty()).then(|| wrong.join("; "))))
            }
            Err(error) => (CallRequest::default(), Some(error.to_string())),
        };
        let last = known.report.call.as_ref();
        let is_same = |call: &CallReport| {
            call.id == request.id && (!request.id.is_empty() || Some(&call.message) == refusal.as_ref())
        };
        if last.is_some_and(is_same) {
            return None;
        }
        let state = if refusal.is_some() { CallState::Failed } else { CallState::Running };
        let report = CallReport::new(&request.id, &request.method, state, now.wall);
        let is_refused = refusal.is_some();
        known.set_call(&key.1, report.because(refusal.unwrap_or_default()));
        self.dirty.insert(key.clone());
        let protocol = device.spec.protocol.protocol_name.clone();
        (!is_refused).then(|| Due { key, id: request.id.clone(), request, protocol })
    }
}

impl Known {
    /// What was being done when EdgeCore ended is not done again.
    pub(super) fn cut_off_call(&mut self, now: Now) -> bool {
        let running = self.report.call.take_if(|call| call.state == CallState::Running);
        let Some(call) = running else { return false };
        let name = self.report.name.clone();
        let report = CallReport::new(&call.id, &call.method, CallState::Failed, now.wall);
        self.set_call(&name, report.because(CUT_OFF));
        true
    }

    fn set_call(&mut self, name: &str, call: CallReport) {
        name.clone_into(&mut self.report.name);
        self.report.call = Some(call);
        self.is_report_new = true;
    }
}
