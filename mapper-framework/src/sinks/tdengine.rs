//! Push into TDengine: SQL over its REST interface, into stock's tables: a super table for each device, a table for each
//! property. The client crates link a C library or bring a WebSocket of their own; this is a text over HTTP.
//! <https://docs.tdengine.com/tdengine-reference/client-libraries/rest-api/>

use std::collections::HashSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::web::{Post, Web};
use super::{Push, Secrets, Sink, SinkError};
use crate::tls::Trust;

/// See the module's documentation.
pub(super) struct TdEngine {
    web: Web,
    url: String,
    authorization: String,
    /// Super tables that are known to be there.
    made: HashSet<String>,
}

/// What it answers.
#[derive(Debug, Deserialize)]
struct Answer {
    code: i64,
    #[serde(default)]
    desc: String,
}

impl TdEngine {
    pub(super) fn new(
        address: &str,
        database: &str,
        secrets: &Secrets,
        trust: &Trust,
    ) -> Result<Self, SinkError> {
        let host = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let login = STANDARD.encode(format!("{}:{}", secrets.username, secrets.password));
        let database = utf8_percent_encode(database, NON_ALPHANUMERIC);
        Ok(Self {
            web: Web::new(&host, trust)?,
            url: format!("{}/rest/sql/{database}", host.trim_end_matches('/')),
            authorization: format!("Basic {login}"),
            made: HashSet::new(),
        })
    }

    async fn execute(&self, statement: String) -> Result<(), SinkError> {
        let post = Post {
            url: &self.url,
            content_type: "text/plain; charset=utf-8",
            authorization: Some(self.authorization.clone()),
            body: statement.into_bytes(),
            timeout: Duration::from_secs(10),
        };
        let text = self.web.post(post).await?;
        let answer: Answer = serde_json::from_str(&text)
            .map_err(|error| SinkError::Refused(format!("no answer of TDengine: {error}")))?;
        match answer.code {
            0 => Ok(()),
            code => Err(SinkError::Refused(format!("{code}: {}", answer.desc))),
        }
    }
}

impl Sink for TdEngine {
    fn push<'a>(&'a mut self, batch: &'a [Push]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            for push in batch {
                let table = super_table(push);
                if !self.made.contains(&table) {
                    self.execute(create(&table)).await?;
                    self.made.insert(table);
                }
            }
            let rows: String = batch.iter().map(row).collect();
            let taken = self.execute(format!("INSERT INTO {rows}")).await;
            if taken.is_err() {
                // Somebody may have dropped a table: the next batch makes them anew.
                self.made.clear();
            }
            taken
        })
    }
}

fn super_table(push: &Push) -> String {
    name(&format!("{}/{}", push.sample.namespace, push.sample.device))
}

fn create(table: &str) -> String {
    format!(
        "CREATE STABLE IF NOT EXISTS {table} (ts TIMESTAMP, deviceid BINARY(64), propertyname BINARY(64), \
         data BINARY(64), type BINARY(64)) TAGS (location BINARY(64))"
    )
}

/// What follows `INSERT INTO` for one value.
fn row(push: &Push) -> String {
    let sample = &push.sample;
    let data_type = sample.data_type.map_or("", crate::value::DataType::name).to_ascii_lowercase();
    let values = [
        text(&format!("{}/{}", sample.namespace, sample.device)),
        text(&sample.property),
        text(&sample.value.to_string()),
        text(&data_type),
    ];
    let table = name(&format!("{}/{}/{}", sample.namespace, sample.device, sample.property));
    let (of, tag) = (super_table(push), text(&sample.property));
    format!("{table} USING {of} TAGS ({tag}) VALUES ({}, {}) ", sample.at, values.join(", "))
}

/// A name, which cannot end before its end. Dashes become underscores, as in stock.
fn name(text: &str) -> String {
    format!("`{}`", text.replace('-', "_").replace('`', ""))
}

/// A text, which cannot end before its end.
fn text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sinks::Sample;
    use crate::value::{DataType, Value};

    #[test]
    fn no_value_ends_its_statement() {
        let sample = Sample {
            namespace: "ns".into(),
            device: "room-1".into(),
            property: "label".into(),
            data_type: Some(DataType::String),
            value: Value::String("'); DROP DATABASE x; -- \\'".into()),
            at: 7,
            anomaly: None,
        };
        let row = row(&Push { method: Arc::default(), sample });
        assert_eq!(
            row,
            "`ns/room_1/label` USING `ns/room_1` TAGS ('label') VALUES (7, 'ns/room-1', 'label', \
             '\\'); DROP DATABASE x; -- \\\\\\'', 'string') "
        );
    }
}
