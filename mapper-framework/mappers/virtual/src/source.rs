//! What a property simulates: its visitor's `configData`.

use std::f64::consts::TAU;
use std::time::Duration;

use mapper_framework::{DataType, Value};
use serde::Deserialize;

use crate::camera::Camera;

/// See the table at the top of the crate.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Source {
    pub(crate) source: Kind,
    pub(crate) mean: f64,
    pub(crate) swing: f64,
    pub(crate) period: f64,
    pub(crate) follow: Option<String>,
    pub(crate) step: i64,
    pub(crate) initial: Option<serde_json::Value>,
    #[serde(flatten)]
    pub(crate) camera: Camera,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Thermometer,
    Camera,
    Counter,
    Switch,
    #[default]
    Memory,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            source: Kind::Memory,
            mean: 20.0,
            swing: 2.0,
            period: 60.0,
            follow: None,
            step: 1,
            initial: None,
            camera: Camera::default(),
        }
    }
}

impl Source {
    /// The temperature after some time, with two digits, as a sensor has them.
    pub(crate) fn at(&self, mean: f64, passed: Duration) -> f64 {
        let turns = if self.period > 0.0 { passed.as_secs_f64() / self.period } else { 0.0 };
        let degrees = self.swing.mul_add((turns * TAU).sin(), mean);
        (degrees * 100.0).round() / 100.0
    }

    /// What a property has before anything was set.
    pub(crate) fn initial_for(&self, data_type: Option<DataType>) -> Value {
        let data_type = data_type.unwrap_or(DataType::String);
        let given = self.initial.as_ref().and_then(|initial| Value::from_json(data_type, initial).ok());
        given.unwrap_or_else(|| match data_type {
            DataType::Int => Value::Int(0),
            DataType::Float => Value::Float(0.0),
            DataType::Double => Value::Double(0.0),
            DataType::Boolean => Value::Boolean(false),
            DataType::String | DataType::Stream => Value::String(String::new()),
            DataType::Bytes => Value::Bytes(Vec::new()),
        })
    }
}
