//! Where drivers push values besides (`PushMethod`).

use std::collections::BTreeMap;

use super::Any;

/// Where values are pushed.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PushMethod {
    /// HTTP.
    #[prost(message, optional, tag = "1")]
    pub http: Option<PushMethodHttp>,
    /// MQTT.
    #[prost(message, optional, tag = "2")]
    pub mqtt: Option<PushMethodMqtt>,
    /// A database.
    #[prost(message, optional, tag = "3")]
    pub db_method: Option<DbMethod>,
    /// OpenTelemetry.
    #[prost(message, optional, tag = "4")]
    pub otel: Option<PushMethodOtel>,
    /// Anomaly detection.
    #[prost(message, optional, tag = "5")]
    pub anomaly_detection: Option<AnomalyDetection>,
}

/// HTTP.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PushMethodHttp {
    /// Host.
    #[prost(string, tag = "1")]
    pub hostname: String,
    /// Port.
    #[prost(int64, tag = "2")]
    pub port: i64,
    /// Path.
    #[prost(string, tag = "3")]
    pub requestpath: String,
    /// Milliseconds.
    #[prost(int64, tag = "4")]
    pub timeout: i64,
}

/// MQTT.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PushMethodMqtt {
    /// Broker.
    #[prost(string, tag = "1")]
    pub address: String,
    /// Topic.
    #[prost(string, tag = "2")]
    pub topic: String,
    /// Quality of service.
    #[prost(int32, tag = "3")]
    pub qos: i32,
    /// Whether the broker keeps it.
    #[prost(bool, tag = "4")]
    pub retained: bool,
}

/// OpenTelemetry.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PushMethodOtel {
    /// Address.
    #[prost(string, tag = "1")]
    pub endpoint_url: String,
}

/// A database.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DbMethod {
    /// InfluxDB 2.
    #[prost(message, optional, tag = "1")]
    pub influxdb2: Option<DbMethodInfluxdb2>,
    /// Redis.
    #[prost(message, optional, tag = "2")]
    pub redis: Option<DbMethodRedis>,
    /// TDengine.
    #[prost(message, optional, tag = "3")]
    pub tdengine: Option<DbMethodTdEngine>,
    /// MySQL.
    #[prost(message, optional, tag = "4")]
    pub mysql: Option<DbMethodMySql>,
}

/// InfluxDB 2.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DbMethodInfluxdb2 {
    /// How it is reached.
    #[prost(message, optional, tag = "1")]
    pub influxdb2_client_config: Option<Influxdb2ClientConfig>,
    /// How values are stored.
    #[prost(message, optional, tag = "2")]
    pub influxdb2_data_config: Option<Influxdb2DataConfig>,
}

/// How InfluxDB 2 is reached.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Influxdb2ClientConfig {
    /// Address.
    #[prost(string, tag = "1")]
    pub url: String,
    /// Organization.
    #[prost(string, tag = "2")]
    pub org: String,
    /// Bucket.
    #[prost(string, tag = "3")]
    pub bucket: String,
}

/// How values are stored in InfluxDB 2.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Influxdb2DataConfig {
    /// Measurement.
    #[prost(string, tag = "1")]
    pub measurement: String,
    /// Tags.
    #[prost(btree_map = "string, string", tag = "2")]
    pub tag: BTreeMap<String, String>,
    /// Field.
    #[prost(string, tag = "3")]
    pub field_key: String,
}

/// Redis.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DbMethodRedis {
    /// How it is reached.
    #[prost(message, optional, tag = "1")]
    pub redis_client_config: Option<RedisClientConfig>,
}

/// How Redis is reached.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RedisClientConfig {
    /// Address.
    #[prost(string, tag = "1")]
    pub addr: String,
    /// Database.
    #[prost(int32, tag = "2")]
    pub db: i32,
    /// Connections at most.
    #[prost(int32, tag = "3")]
    pub poolsize: i32,
    /// Idle connections at least.
    #[prost(int32, tag = "4")]
    pub min_idle_conns: i32,
}

/// TDengine.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DbMethodTdEngine {
    /// How it is reached.
    #[prost(message, optional, tag = "1")]
    pub td_engine_client_config: Option<TdEngineClientConfig>,
}

/// How TDengine is reached.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TdEngineClientConfig {
    /// Address.
    #[prost(string, tag = "1")]
    pub addr: String,
    /// Database.
    #[prost(string, tag = "2")]
    pub dbname: String,
}

/// MySQL.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DbMethodMySql {
    /// How it is reached.
    #[prost(message, optional, tag = "1")]
    pub mysql_client_config: Option<MySqlClientConfig>,
}

/// How MySQL is reached.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MySqlClientConfig {
    /// Address.
    #[prost(string, tag = "1")]
    pub addr: String,
    /// Database.
    #[prost(string, tag = "2")]
    pub database: String,
    /// User.
    #[prost(string, tag = "3")]
    pub user_name: String,
}

/// Anomaly detection.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AnomalyDetection {
    /// Each in a well-known wrapper.
    #[prost(btree_map = "string, message", tag = "1")]
    pub data: BTreeMap<String, Any>,
}
