//! Devices and models of the API as drivers get them.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use super::{Any, CustomizedValue};
use crate::api::device as api;
use crate::api::device::FreeObject;

/// The same configuration for `device` with what its model says of it: what the device says itself counts where both say
/// something, but for the name of a visitor's protocol, which is the model's (spec edge-keadm-mapper 4.5). Properties that the
/// model does not have are left out: nobody knows their type, and a stock driver (1.23) that is told of one ends with a panic.
#[must_use]
pub fn configured(device: &api::DeviceSpec, model: Option<&api::DeviceModelSpec>) -> api::DeviceSpec {
    let mut device = device.clone();
    let Some(model) = model else { return device };
    inherit(&mut device.protocol.config_data, model.protocol_config_data.as_ref());
    device.properties.retain(|property| model.property(&property.name).is_some());
    for property in &mut device.properties {
        let Some(visitors) = model.property(&property.name).and_then(|own| own.visitors.as_ref()) else {
            continue;
        };
        let own = property.visitors.get_or_insert_default();
        own.protocol_name.clone_from(&visitors.protocol_name);
        inherit(&mut own.config_data, visitors.config_data.as_ref());
    }
    device
}

fn inherit(own: &mut Option<FreeObject>, model: Option<&FreeObject>) {
    let Some(model) = model else { return };
    let mut all = model.clone();
    all.extend(own.take().unwrap_or_default());
    *own = Some(all);
}

/// The device as its driver gets it. `spec` is what [`configured`] made. Whatever stock's EdgeCore never leaves out is there, be it
/// empty: a stock driver (1.23) reads it without looking first.
#[must_use]
pub fn device(
    namespace: &str,
    name: &str,
    spec: &api::DeviceSpec,
    status: &api::DeviceState,
) -> super::Device {
    let report = spec.state_report.as_ref();
    super::Device {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        spec: Some(super::DeviceSpec {
            device_model_reference: spec.model().to_owned(),
            protocol: Some(super::ProtocolConfig {
                protocol_name: spec.protocol.protocol_name.clone(),
                config_data: Some(spec.protocol.config_data.as_ref().map(values).unwrap_or_default()),
            }),
            properties: spec.properties.iter().map(property).collect(),
            methods: spec.methods.iter().map(method).collect(),
        }),
        status: Some(super::DeviceStatus {
            twins: Vec::new(),
            report_to_cloud: report.map_or(status.report_to_cloud, |report| report.report_to_cloud),
            report_cycle: report.map_or(status.report_cycle, |report| report.report_cycle),
        }),
    }
}

/// The model as drivers get it.
#[must_use]
pub fn model(namespace: &str, name: &str, spec: &api::DeviceModelSpec) -> super::DeviceModel {
    let word = |word: Option<&str>| word.unwrap_or_default().to_owned();
    let property = |property: &api::ModelProperty| super::ModelProperty {
        name: property.name.clone(),
        description: property.description.clone(),
        r#type: word(property.data_type.as_ref().map(api::DataType::as_str)),
        access_mode: word(property.access_mode.as_ref().map(api::AccessMode::as_str)),
        minimum: property.minimum.clone(),
        maximum: property.maximum.clone(),
        unit: property.unit.clone(),
    };
    super::DeviceModel {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        spec: Some(super::DeviceModelSpec {
            properties: spec.properties.iter().map(property).collect(),
            commands: Vec::new(),
        }),
    }
}

fn method(method: &api::DeviceMethod) -> super::DeviceMethod {
    super::DeviceMethod {
        name: method.name.clone(),
        description: method.description.clone(),
        property_names: method.property_names.clone(),
    }
}

fn property(property: &api::DeviceProperty) -> super::DeviceProperty {
    let desired = property.desired.as_ref().map(|desired| super::TwinProperty {
        value: desired.text().to_owned(),
        metadata: desired.metadata.clone(),
    });
    let visitors = property.visitors.as_ref().map(|visitors| super::VisitorConfig {
        protocol_name: visitors.protocol_name.clone(),
        config_data: Some(visitors.config_data.as_ref().map(values).unwrap_or_default()),
    });
    let nothing = || super::VisitorConfig {
        config_data: Some(CustomizedValue::default()),
        ..super::VisitorConfig::default()
    };
    super::DeviceProperty {
        name: property.name.clone(),
        desired: Some(desired.unwrap_or_default()),
        visitors: Some(visitors.unwrap_or_else(nothing)),
        report_cycle: property.report_cycle,
        collect_cycle: property.collect_cycle,
        report_to_cloud: property.report_to_cloud,
        push_method: property.push_method.as_ref().map(push),
    }
}

fn values(data: &FreeObject) -> CustomizedValue {
    CustomizedValue { data: anys(data) }
}

fn anys(data: &FreeObject) -> BTreeMap<String, Any> {
    // Stock drivers know no `null` and take a key that is not there for the same.
    data.iter().filter_map(|(key, value)| Some((key.clone(), any(value)?))).collect()
}

/// In the wrapper that stock drivers take. Whole numbers stay whole (stock makes 32-bit fractions of all numbers). What
/// is nested goes as its JSON text: a stock driver takes any other wrapper for an error, and the whole device with it.
fn any(value: &Value) -> Option<Any> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => wrapped("BoolValue", value),
        Value::String(value) => wrapped("StringValue", value),
        Value::Number(number) => number_any(number),
        nested @ (Value::Array(_) | Value::Object(_)) => wrapped("StringValue", &nested.to_string()),
    })
}

fn number_any(number: &Number) -> Any {
    match (number.as_i64(), number.as_f64()) {
        (Some(whole), _) => wrapped("Int64Value", &whole),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a fraction of 64 bits has no wrapper that stock takes"
        )]
        (None, Some(real)) => wrapped("FloatValue", &(real as f32)),
        (None, None) => wrapped("StringValue", &number.to_string()),
    }
}

fn wrapped<M: prost::Message>(name: &str, value: &M) -> Any {
    Any { type_url: format!("type.googleapis.com/google.protobuf.{name}"), value: value.encode_to_vec() }
}

fn push(push: &api::PushMethod) -> super::PushMethod {
    super::PushMethod {
        http: push.http.as_ref().map(|http| super::PushMethodHttp {
            hostname: http.host_name.clone(),
            port: http.port,
            requestpath: http.request_path.clone(),
            timeout: http.timeout,
        }),
        mqtt: push.mqtt.as_ref().map(|mqtt| super::PushMethodMqtt {
            address: mqtt.address.clone(),
            topic: mqtt.topic.clone(),
            qos: mqtt.qos,
            retained: mqtt.retained,
        }),
        otel: push
            .otel
            .as_ref()
            .map(|otel| super::PushMethodOtel { endpoint_url: otel.endpoint_url.clone() }),
        db_method: push.db_method.as_ref().map(database),
        anomaly_detection: push
            .anomaly_detection
            .as_ref()
            .map(|data| super::AnomalyDetection { data: anys(data) }),
    }
}

fn database(database: &api::DbMethod) -> super::DbMethod {
    let small = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    super::DbMethod {
        influxdb2: database.influxdb2.as_ref().map(|influx| super::DbMethodInfluxdb2 {
            influxdb2_client_config: influx.client.as_ref().map(|client| super::Influxdb2ClientConfig {
                url: client.url.clone(),
                org: client.org.clone(),
                bucket: client.bucket.clone(),
            }),
            influxdb2_data_config: influx.data.as_ref().map(|data| super::Influxdb2DataConfig {
                measurement: data.measurement.clone(),
                tag: data.tag.clone(),
                field_key: data.field_key.clone(),
            }),
        }),
        redis: database.redis.as_ref().map(|redis| super::DbMethodRedis {
            redis_client_config: redis.client.as_ref().map(|client| super::RedisClientConfig {
                addr: client.addr.clone(),
                db: small(client.db),
                poolsize: small(client.poolsize),
                min_idle_conns: small(client.min_idle_conns),
            }),
        }),
        tdengine: database.td_engine.as_ref().map(|engine| super::DbMethodTdEngine {
            td_engine_client_config: engine.client.as_ref().map(|client| super::TdEngineClientConfig {
                addr: client.addr.clone(),
                dbname: client.db_name.clone(),
            }),
        }),
        mysql: database.mysql.as_ref().map(|mysql| super::DbMethodMySql {
            mysql_client_config: mysql.client.as_ref().map(|client| super::MySqlClientConfig {
                addr: client.addr.clone(),
                database: client.database.clone(),
                user_name: client.user_name.clone(),
            }),
        }),
    }
}
