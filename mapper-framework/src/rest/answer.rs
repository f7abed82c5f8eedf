//! Bodies of requests and answers, in stock's form.

use chassis::clock::Clock;
use http::{Response, StatusCode, header};
use proto::dmi;
use serde_json::{Map, Value as Json, json};

use super::Answer;
use crate::device::Device;
use crate::driver::DriverError;

/// Arguments of one call of a method at most: more properties than that has no method.
const ARGUMENTS: usize = 512;

/// Why a request has no good answer.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

impl Failure {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }
}

impl From<DriverError> for Failure {
    fn from(error: DriverError) -> Self {
        let status = match error {
            DriverError::Unreachable(_) => StatusCode::SERVICE_UNAVAILABLE,
            DriverError::Panicked | DriverError::Config(_) => StatusCode::INTERNAL_SERVER_ERROR,
            DriverError::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            DriverError::Unsupported(_) | DriverError::Value(_) | DriverError::Convert(_) => {
                StatusCode::BAD_REQUEST
            }
        };
        Self::new(status, error.to_string())
    }
}

/// What all good answers have, and `fields`.
pub(super) fn good(clock: &Clock, fields: Json) -> Answer {
    let time = clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut all = json!({"apiVersion": "v1", "statusCode": 200, "timeStamp": time});
    if let (Some(all), Json::Object(fields)) = (all.as_object_mut(), fields) {
        all.extend(fields);
    }
    answer(StatusCode::OK, "application/json", all.to_string())
}

pub(super) fn failed(status: StatusCode, text: &str) -> Answer {
    answer(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    answer
}

/// The value in a body: `{"value": 21}`, `21`, or any text.
pub(super) fn value(body: &[u8]) -> Result<Json, Failure> {
    let bad = |text: &str| Failure::new(StatusCode::BAD_REQUEST, text);
    let text = std::str::from_utf8(body).map_err(|_| bad("the body is not UTF-8"))?.trim();
    if text.is_empty() {
        return Err(bad("the body has no value: send {\"value\": ...}, or the value"));
    }
    Ok(match serde_json::from_str(text) {
        Ok(Json::Object(mut object)) => {
            object.remove("value").ok_or_else(|| bad("the body has no \"value\""))?
        }
        Ok(value @ (Json::Bool(_) | Json::Number(_) | Json::String(_))) => value,
        _ => Json::from(text),
    })
}

/// The values in a body, by property: `{"temperature": 21}`; no body is no values.
pub(super) fn arguments(body: &[u8]) -> Result<Vec<(String, Json)>, Failure> {
    if body.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let object: Map<String, Json> = serde_json::from_slice(body).map_err(|error| {
        Failure::new(StatusCode::BAD_REQUEST, format!("the body is no JSON object: {error}"))
    })?;
    if object.len() > ARGUMENTS {
        return Err(Failure::new(
            StatusCode::BAD_REQUEST,
            format!("a method takes at most {ARGUMENTS} values"),
        ));
    }
    Ok(object.into_iter().collect())
}

/// The methods of a device.
pub(super) fn methods(device: &Device) -> Json {
    let of = |method: &crate::device::Method| {
        let typed = |name: &String| {
            let data_type = device.property(name).and_then(|property| property.data_type());
            let data_type = data_type.map_or("", |data_type| data_type.name()).to_ascii_lowercase();
            json!({"PropertyName": name, "ValueType": data_type})
        };
        let path = format!(
            "/api/v1/devicemethod/{}/{}/{}/{{propertyName}}/{{data}}",
            device.namespace(),
            device.name(),
            method.name
        );
        let parameters: Vec<Json> = method.properties.iter().map(typed).collect();
        json!({"Name": method.name, "Path": path, "Parameters": parameters})
    };
    json!({"Data": {"Methods": device.methods().iter().map(of).collect::<Vec<Json>>()}})
}

/// A model, flattened into the answer.
pub(super) fn model(model: &dmi::DeviceModel) -> Json {
    let spec = model.spec.clone().unwrap_or_default();
    let property = |property: &dmi::ModelProperty| {
        json!({
            "name": property.name,
            "dataType": property.r#type,
            "description": property.description,
            "accessMode": property.access_mode,
            "minimum": property.minimum,
            "maximum": property.maximum,
            "unit": property.unit,
        })
    };
    json!({
        "id": format!("{}/{}", model.namespace, model.name),
        "name": model.name,
        "namespace": model.namespace,
        "description": "",
        "properties": spec.properties.iter().map(property).collect::<Vec<Json>>(),
    })
}
