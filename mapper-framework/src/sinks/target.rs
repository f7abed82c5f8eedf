//! What a sink is connected to. Properties that are pushed to the same target share one connection and one queue.

use proto::dmi;

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// An HTTP server.
    Http {
        /// Scheme, host and port.
        address: String,
    },
    /// An MQTT broker.
    Mqtt {
        /// As `tcp://127.0.0.1:1883`.
        address: String,
    },
    /// An OpenTelemetry collector.
    Otel {
        /// As `http://127.0.0.1:4318/v1/metrics`.
        url: String,
    },
    /// InfluxDB 2.
    Influxdb2 {
        /// Its address.
        url: String,
        /// Organization.
        org: String,
        /// Bucket.
        bucket: String,
    },
    /// Redis.
    Redis {
        /// Host and port.
        address: String,
        /// Number of the database.
        database: i32,
    },
    /// TDengine.
    TdEngine {
        /// Host and port of its REST interface.
        address: String,
        /// Name of the database.
        database: String,
    },
    /// MySQL.
    MySql {
        /// Host and port.
        address: String,
        /// Name of the database.
        database: String,
        /// Name of the user.
        user: String,
    },
}

impl Target {
    /// All targets that are named. Stock takes the first of http, mqtt and otel; here all of them count.
    #[must_use]
    pub fn all(method: &dmi::PushMethod) -> Vec<Self> {
        let mut all = Vec::new();
        if let Some(http) = &method.http {
            let host = if http.hostname.contains("://") { String::new() } else { "http://".to_owned() };
            let port = if http.port > 0 { format!(":{}", http.port) } else { String::new() };
            all.push(Self::Http { address: format!("{host}{}{port}", http.hostname) });
        }
        if let Some(mqtt) = &method.mqtt {
            all.push(Self::Mqtt { address: mqtt.address.clone() });
        }
        if let Some(otel) = &method.otel {
            all.push(Self::Otel { url: otel.endpoint_url.clone() });
        }
        let databases = method.db_method.clone().unwrap_or_default();
        if let Some(client) = databases.influxdb2.and_then(|influx| influx.influxdb2_client_config) {
            all.push(Self::Influxdb2 { url: client.url, org: client.org, bucket: client.bucket });
        }
        if let Some(client) = databases.redis.and_then(|redis| redis.redis_client_config) {
            all.push(Self::Redis { address: client.addr, database: client.db });
        }
        if let Some(client) = databases.tdengine.and_then(|engine| engine.td_engine_client_config) {
            all.push(Self::TdEngine { address: client.addr, database: client.dbname });
        }
        if let Some(client) = databases.mysql.and_then(|mysql| mysql.mysql_client_config) {
            all.push(Self::MySql { address: client.addr, database: client.database, user: client.user_name });
        }
        all
    }

    /// Its kind, which is the name of the feature that serves it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Http { .. } => "http",
            Self::Mqtt { .. } => "mqtt",
            Self::Otel { .. } => "otel",
            Self::Influxdb2 { .. } => "influxdb2",
            Self::Redis { .. } => "redis",
            Self::TdEngine { .. } => "tdengine",
            Self::MySql { .. } => "mysql",
        }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &str {
        match self {
            Self::Http { address }
            | Self::Mqtt { address }
            | Self::Redis { address, .. }
            | Self::TdEngine { address, .. }
            | Self::MySql { address, .. } => address,
            Self::Otel { url } | Self::Influxdb2 { url, .. } => url,
        }
    }
}

/// The time as stock writes it for sinks: `2026-01-02 03:04:05`, UTC.
#[cfg(any(feature = "http", feature = "mqtt", feature = "mysql"))]
pub(crate) fn time(milliseconds: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
