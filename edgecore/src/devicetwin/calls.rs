//! Calls of methods: one that the cloud asks for is written down, made by a driver, and its result is reported.

use std::path::PathBuf;

use chassis::task;
use proto::api::device::validation::MAX_VALUE;
use proto::dmi;
use proto::twin::{CallState, GET_DEVICE};
use serde_json::{Map, Value, json};
use tonic::{Code, Status};

use super::State;
use super::driver::{self, dial};
use super::twins::Due;
use crate::flow::{DeviceKey, MetaError};

/// Calls under way at most: a driver may take ten seconds for each.
const CALLS: usize = 64;

/// A call that has ended: of which device, its id, and what came of it.
pub(super) type Ended = (DeviceKey, String, Result<String, String>);

impl State {
    /// Begins the calls that are new. Each is on disk as begun before its driver hears of it: after a power cut it is not made
    /// a second time.
    pub(super) async fn begin_calls(&mut self) -> anyhow::Result<()> {
        for due in self.twins.calls(self.now()) {
            if let Err(why) = self.begin_call(&due).await? {
                self.end_call((due.key, due.id, Err(why)));
            }
        }
        Ok(())
    }

    pub(super) fn end_call(&mut self, (key, id, outcome): Ended) {
        let state = if outcome.is_ok() { CallState::Done } else { CallState::Failed };
        self.metrics.called(state);
        if let Err(why) = &outcome {
            tracing::warn!(device = format_args!("{}/{}", key.0, key.1), id, "call failed: {why}");
        }
        self.twins.called(&key, &id, outcome, self.now());
    }

    async fn begin_call(&mut self, due: &Due) -> anyhow::Result<Result<(), String>> {
        if self.calls.len() >= CALLS {
            return Ok(Err(format!("{CALLS} calls are under way: try again later")));
        }
        let Some(driver) = self.drivers.newest(&due.protocol) else {
            return Ok(Err(format!("no driver of protocol {:?} has registered", due.protocol)));
        };
        let address = driver.address.clone();
        let Some((uid, report)) = self.twins.report_of(&due.key) else { return Ok(Ok(())) };
        match self.meta.keep_device_state(&due.key, &uid, &report).await {
            Ok(()) => {}
            Err(MetaError::Closed) => anyhow::bail!("MetaManager has ended"),
            Err(error) => {
                return Ok(Err(format!("not begun, because it could not be written down: {error}")));
            }
        }
        self.metrics.called(CallState::Running);
        let span =
            tracing::info_span!("call", device = format_args!("{}/{}", due.key.0, due.key.1).to_string());
        task::spawn_in(&mut self.calls, span, perform(address, due.clone()));
        Ok(Ok(()))
    }
}

/// Asks the driver.
async fn perform(address: PathBuf, due: Due) -> Ended {
    let outcome = match due.request.method == GET_DEVICE {
        true => get_device(&address, &due).await,
        false => call_method(&address, &due, &due.request.method).await,
    };
    let outcome =
        outcome.map_err(|status| explained(&status)).and_then(|result| match result.len() <= MAX_VALUE {
            true => Ok(result),
            false => Err(format!(
                "done, but what the driver gave back has {} bytes; {MAX_VALUE} are taken at most",
                result.len()
            )),
        });
    (due.key, due.id, outcome)
}

fn explained(status: &Status) -> String {
    match status.code() {
        Code::Unimplemented => {
            "the driver takes no calls over DMI; a KubeEdge mapper takes them at its own REST port \
            (/api/v1/devicemethod/...)"
                .to_owned()
        }
        Code::DeadlineExceeded => {
            "the driver has not answered in time: whether it was done is not known".to_owned()
        }
        _ => {
            let message: String = status.message().chars().take(1024).collect();
            format!("the driver says: {message}")
        }
    }
}

async fn call_method(address: &std::path::Path, due: &Due, method: &str) -> Result<String, Status> {
    let request = dmi::CallMethodRequest {
        device_name: due.key.1.clone(),
        device_namespace: due.key.0.clone(),
        method: method.to_owned(),
        values: due.request.values.clone(),
        id: due.id.clone(),
    };
    let answer: dmi::CallMethodResponse =
        driver::unary(dial(address), dmi::METHODS, "CallMethod", request).await?;
    Ok(answer.result)
}

/// The device as its driver has it, as JSON. A stock driver (1.23) ends with a panic when it is asked for that, so it is asked first
/// whether it knows what stock does not.
async fn get_device(address: &std::path::Path, due: &Due) -> Result<String, Status> {
    if let Err(status) = call_method(address, due, "").await
        && matches!(status.code(), Code::Unimplemented | Code::Unavailable | Code::DeadlineExceeded)
    {
        return Err(status);
    }
    let request =
        dmi::GetDeviceRequest { device_name: due.key.1.clone(), device_namespace: due.key.0.clone() };
    let answer: dmi::GetDeviceResponse =
        driver::unary(dial(address), dmi::MAPPER, "GetDevice", request).await?;
    let device = answer.device.ok_or_else(|| Status::not_found("there is no such device"))?;
    Ok(shown(&device).to_string())
}

fn shown(device: &dmi::Device) -> Value {
    let twins = device.status.iter().flat_map(|status| &status.twins);
    let value =
        |property: &Option<dmi::TwinProperty>| property.as_ref().map(|property| property.value.clone());
    let twins: Map<String, Value> = twins
        .map(|twin| {
            let shown = json!({"reported": value(&twin.reported), "desired": value(&twin.observed_desired)});
            (twin.property_name.clone(), shown)
        })
        .collect();
    let properties = device.spec.iter().flat_map(|spec| &spec.properties);
    let desired: Map<String, Value> =
        properties.map(|property| (property.name.clone(), json!(value(&property.desired)))).collect();
    json!({"namespace": device.namespace, "name": device.name, "properties": desired, "twins": twins})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_shown_as_its_driver_has_it() {
        let twin = |value: &str| Some(dmi::TwinProperty { value: value.into(), ..Default::default() });
        let property = dmi::DeviceProperty { name: "t".into(), desired: twin("30"), ..Default::default() };
        let device = dmi::Device {
            name: "d".into(),
            namespace: "ns".into(),
            spec: Some(dmi::DeviceSpec { properties: vec![property], ..Default::default() }),
            status: Some(dmi::DeviceStatus {
                twins: vec![dmi::Twin {
                    property_name: "t".into(),
                    observed_desired: None,
                    reported: twin("20"),
                }],
                ..Default::default()
            }),
        };
        assert_eq!(
            shown(&device),
            json!({
                "namespace": "ns", "name": "d",
                "properties": {"t": "30"}, "twins": {"t": {"reported": "20", "desired": null}},
            })
        );
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let stock = explained(&Status::unimplemented("unknown service skerry.dmi.v1.DeviceMethodService"));
        assert!(stock.contains("REST port"), "{stock}");
        assert!(explained(&Status::deadline_exceeded("no answer")).contains("not known"));
        assert!(explained(&Status::internal("x".repeat(10_000))).len() < 2_000);
    }
}
