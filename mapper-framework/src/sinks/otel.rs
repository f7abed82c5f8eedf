//! Push to an OpenTelemetry collector: OTLP over HTTP, as JSON, a gauge for each property. Written here, for it is one JSON
//! document: the exporter crates have a pipeline of their own in front of it.
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Value as Json, json};

use super::web::{Post, Web};
use super::{Push, Sink, SinkError};
use crate::tls::Trust;
use crate::value::Value;

/// See the module's documentation.
pub(super) struct Otel {
    web: Web,
    url: String,
}

impl Otel {
    pub(super) fn new(url: &str, trust: &Trust) -> Result<Self, SinkError> {
        let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        Ok(Self { web: Web::new(&full, trust)?, url: full })
    }
}

impl Sink for Otel {
    fn push<'a>(&'a mut self, batch: &'a [Push]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let resources: Vec<Json> = batch.iter().filter_map(resource).collect();
            if resources.is_empty() {
                return Ok(());
            }
            let post = Post {
                url: &self.url,
                content_type: "application/json",
                authorization: None,
                body: json!({"resourceMetrics": resources}).to_string().into_bytes(),
                timeout: Duration::from_secs(10),
            };
            self.web.post(post).await.map(drop)
        })
    }
}

/// One value; `None` for a text, which is no measurement.
fn resource(push: &Push) -> Option<Json> {
    let sample = &push.sample;
    // The standard's JSON has whole numbers of 64 bits as texts.
    let value = match &sample.value {
        Value::Int(number) => json!({"asInt": number.to_string()}),
        Value::Boolean(value) => json!({"asInt": i32::from(*value).to_string()}),
        number => json!({"asDouble": number.as_f64()?}),
    };
    let mut point = value;
    point["timeUnixNano"] = json!((i128::from(sample.at) * 1_000_000).to_string());
    let id = format!("{}/{}", sample.namespace, sample.device);
    Some(json!({
        "resource": {"attributes": [{"key": "device.id", "value": {"stringValue": id}}]},
        "scopeMetrics": [{
            "scope": {"name": "mapper-framework"},
            "metrics": [{"name": sample.property, "gauge": {"dataPoints": [point]}}],
        }],
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sinks::Sample;

    #[test]
    fn a_number_is_a_gauge_and_a_text_is_nothing() {
        let push = |value| Push {
            method: Arc::default(),
            sample: Sample {
                namespace: "ns".into(),
                device: "d".into(),
                property: "t".into(),
                data_type: None,
                value,
                at: 7,
                anomaly: None,
            },
        };
        let metrics = |value| resource(&push(value)).map(|one| one["scopeMetrics"][0]["metrics"][0].clone());
        assert_eq!(
            metrics(Value::Double(21.5)).unwrap(),
            json!({"name": "t", "gauge": {"dataPoints": [{"asDouble": 21.5, "timeUnixNano": "7000000"}]}})
        );
        assert_eq!(metrics(Value::Int(3)).unwrap()["gauge"]["dataPoints"][0]["asInt"], "3");
        assert_eq!(metrics(Value::String("x".into())), None);
    }
}
