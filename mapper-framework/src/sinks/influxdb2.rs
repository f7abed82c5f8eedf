//! Push into InfluxDB 2: line protocol over its HTTP API. Written here, for it is a text over HTTP: the client crates bring a
//! second HTTP client and TLS of their own.
//! <https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/>

use std::time::Duration;

use futures::future::BoxFuture;

use super::web::{Post, Web};
use super::{Push, Sink, SinkError};
use crate::tls::Trust;
use crate::value::Value;

/// See the module's documentation.
pub(super) struct Influxdb2 {
    web: Web,
    url: String,
    token: String,
}

impl Influxdb2 {
    pub(super) fn new(
        url: &str,
        (org, bucket): (&str, &str),
        token: &str,
        trust: &Trust,
    ) -> Result<Self, SinkError> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("org", org)
            .append_pair("bucket", bucket)
            .append_pair("precision", "ms")
            .finish();
        let url = format!("{}/api/v2/write?{query}", url.trim_end_matches('/'));
        Ok(Self { web: Web::new(&url, trust)?, url, token: token.to_owned() })
    }
}

impl Sink for Influxdb2 {
    fn push<'a>(&'a mut self, batch: &'a [Push]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let body: String = batch.iter().map(line).collect();
            let post = Post {
                url: &self.url,
                content_type: "text/plain; charset=utf-8",
                authorization: Some(format!("Token {}", self.token)),
                body: body.into_bytes(),
                timeout: Duration::from_secs(10),
            };
            self.web.post(post).await.map(drop)
        })
    }
}

/// One value as a line. Where the property names no measurement, the device's name is one; and `value` is the field.
fn line(push: &Push) -> String {
    let sample = &push.sample;
    let data = push.method.db_method.as_ref().and_then(|databases| databases.influxdb2.as_ref());
    let data = data.and_then(|influx| influx.influxdb2_data_config.clone()).unwrap_or_default();
    let or = |given: &str, other: &str| if given.is_empty() { other.to_owned() } else { given.to_owned() };
    let mut line = escaped(&or(&data.measurement, &sample.device), &[',', ' ']);
    // A tag without a name or a value is no tag.
    for (key, value) in data.tag.iter().filter(|(key, value)| !key.is_empty() && !value.is_empty()) {
        line = format!("{line},{}={}", escaped(key, TAG), escaped(value, TAG));
    }
    let field = escaped(&or(&data.field_key, "value"), TAG);
    let value = match &sample.value {
        Value::Int(number) => format!("{number}i"),
        Value::Float(_) | Value::Double(_) | Value::Boolean(_) => sample.value.to_string(),
        Value::String(_) | Value::Bytes(_) => {
            format!("\"{}\"", escaped(&sample.value.to_string(), &['"', '\\']))
        }
    };
    format!("{line} {field}={value} {}\n", sample.at)
}

const TAG: &[char] = &[',', '=', ' '];

/// With a backslash before each of these; a line has no line breaks.
fn escaped(text: &str, special: &[char]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if special.contains(&character) {
            escaped.push('\\');
        }
        escaped.push(if matches!(character, '\n' | '\r') { ' ' } else { character });
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proto::dmi;

    use super::*;
    use crate::sinks::Sample;

    fn push(value: Value, measurement: &str) -> Push {
        let data = dmi::Influxdb2DataConfig {
            measurement: measurement.into(),
            tag: [("room no".to_owned(), "a=1".to_owned()), ("empty".to_owned(), String::new())].into(),
            field_key: String::new(),
        };
        let influx = dmi::DbMethodInfluxdb2 { influxdb2_data_config: Some(data), ..Default::default() };
        let databases = dmi::DbMethod { influxdb2: Some(influx), ..Default::default() };
        let method = Arc::new(dmi::PushMethod { db_method: Some(databases), ..Default::default() });
        let sample = Sample {
            namespace: "ns".into(),
            device: "d 1".into(),
            property: "t".into(),
            data_type: None,
            value,
            at: 7,
            anomaly: None,
        };
        Push { method, sample }
    }

    #[test]
    fn numbers_are_numbers_and_nothing_breaks_a_line() {
        assert_eq!(line(&push(Value::Int(21), "m")), "m,room\\ no=a\\=1 value=21i 7\n");
        assert_eq!(line(&push(Value::Double(21.5), "")), "d\\ 1,room\\ no=a\\=1 value=21.5 7\n");
        let text = line(&push(Value::String("a \"b\" \\\n,c=d e=1 9".into()), "m"));
        assert_eq!(text, "m,room\\ no=a\\=1 value=\"a \\\"b\\\" \\\\ ,c=d e=1 9\" 7\n");
        assert_eq!(text.lines().count(), 1);
    }
}
