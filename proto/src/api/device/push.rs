//! Where a driver pushes the values of a property besides the cloud.

use std::collections::BTreeMap;

use super::super::schema::{FreeObject, described};

described! {
    /// Where the driver pushes the values of the property, besides the cloud. It must be able to reach the address.
    pub struct PushMethod {
        /// Push by HTTP POST.
        "http" http: Option<PushHttp>,
        /// Push to an MQTT broker.
        "mqtt" mqtt: Option<PushMqtt>,
        /// Push to an OpenTelemetry collector.
        "otel" otel: Option<PushOtel>,
        /// Push into a database.
        "dbMethod" db_method: Option<DbMethod>,
        /// What the driver's anomaly detection takes as its configuration.
        "anomalyDetection" anomaly_detection: Option<FreeObject>,
    }
}

described! {
    /// Push by HTTP POST.
    pub struct PushHttp {
        /// Host, with the scheme, as http://127.0.0.1.
        "hostName" host_name: String,
        /// TCP port.
        "port" port: i64,
        /// Path of the request.
        "requestPath" request_path: String,
        /// Milliseconds that a request may take.
        "timeout" timeout: i64,
    }
}

described! {
    /// Push to an MQTT broker.
    pub struct PushMqtt {
        /// Broker, as mqtt://127.0.0.1:1883.
        "address" address: String,
        /// Topic to publish to.
        "topic" topic: String,
        /// Quality of service: 0, 1 or 2.
        "qos" qos: i32,
        /// Whether the broker keeps the last message for later subscribers.
        "retained" retained: bool,
    }
}

described! {
    /// Push to an OpenTelemetry collector.
    pub struct PushOtel {
        /// Its address, as https://localhost:4318/v1/metrics.
        "endpointURL" endpoint_url: String,
    }
}

described! {
    /// Push into a database. The driver must be able to reach it.
    pub struct DbMethod {
        /// InfluxDB 2.
        "influxdb2" influxdb2: Option<Influxdb2>,
        /// Redis.
        "redis" redis: Option<Redis>,
        /// TDengine.
        "TDEngine" td_engine: Option<TdEngine>,
        /// MySQL.
        "mysql" mysql: Option<MySql>,
        /// KaiwuDB. Not passed on over DMI, which has no place for it.
        "Kwdb" kwdb: Option<Kwdb>,
    }
}

described! {
    /// InfluxDB 2.
    pub struct Influxdb2 {
        /// How to reach it.
        "influxdb2ClientConfig" client: Option<Influxdb2Client>,
        /// How values are stored.
        "influxdb2DataConfig" data: Option<Influxdb2Data>,
    }
}

described! {
    /// How to reach InfluxDB 2. The driver has the token from its environment.
    pub struct Influxdb2Client {
        /// Address of the database.
        "url" url: String,
        /// Organization.
        "org" org: String,
        /// Bucket.
        "bucket" bucket: String,
    }
}

described! {
    /// How values are stored in InfluxDB 2.
    pub struct Influxdb2Data {
        /// Measurement.
        "measurement" measurement: String,
        /// Tags of each point.
        "tag" tag: BTreeMap<String, String>,
        /// Key of the field that has the value.
        "fieldKey" field_key: String,
    }
}

described! {
    /// Redis.
    pub struct Redis {
        /// How to reach it.
        "redisClientConfig" client: Option<RedisClient>,
    }
}

described! {
    /// How to reach Redis.
    pub struct RedisClient {
        /// Address, host and port.
        "addr" addr: String,
        /// Number of the database.
        "db" db: i64,
        /// Connections at most.
        "poolsize" poolsize: i64,
        /// Idle connections at least.
        "minIdleConns" min_idle_conns: i64,
    }
}

described! {
    /// TDengine.
    pub struct TdEngine {
        /// How to reach it.
        "TDEngineClientConfig" client: Option<NamedDatabase>,
    }
}

described! {
    /// KaiwuDB.
    pub struct Kwdb {
        /// How to reach it.
        "KWDBClientConfig" client: Option<NamedDatabase>,
    }
}

described! {
    /// How to reach a database.
    pub struct NamedDatabase {
        /// Address, host and port.
        "addr" addr: String,
        /// Name of the database.
        "dbName" db_name: String,
    }
}

described! {
    /// MySQL.
    pub struct MySql {
        /// How to reach it.
        "mysqlClientConfig" client: Option<MySqlClient>,
    }
}

described! {
    /// How to reach MySQL. The driver has the password from its environment.
    pub struct MySqlClient {
        /// Address, as localhost:3306.
        "addr" addr: String,
        /// Name of the database.
        "database" database: String,
        /// User.
        "userName" user_name: String,
    }
}
