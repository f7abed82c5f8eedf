//! Values that are not as they should be: thresholds of a property (`pushMethod.anomalyDetection`), as a pure state.
//!
//! | key | what |
//! |---|---|
//! | `enabled` | `false` turns it off; on where it is not given |
//! | `minimum`, `maximum` | bounds of the value |
//! | `maxChange` | greatest change from one reading to the next |
//! | `hysteresis` | how far inside the bounds a value must be to be right again; 0 |
//! | `readings` | how many readings in a row must be wrong before it counts; 1 |
//!
//! Stock keeps keys of a driver's own there (`anomalyDetectionConfig`): these are not looked at.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

/// Bounds of one property.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Thresholds {
    enabled: bool,
    minimum: Option<f64>,
    maximum: Option<f64>,
    max_change: Option<f64>,
    hysteresis: f64,
    readings: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { enabled: true, minimum: None, maximum: None, max_change: None, hysteresis: 0.0, readings: 1 }
    }
}

/// What is wrong with a value, or that nothing is any more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Anomaly {
    /// Less than the minimum.
    Below {
        /// The value.
        value: f64,
        /// The minimum.
        minimum: f64,
    },
    /// More than the maximum.
    Above {
        /// The value.
        value: f64,
        /// The maximum.
        maximum: f64,
    },
    /// It changed more than it may between two readings.
    Jump {
        /// The value.
        value: f64,
        /// The one before.
        before: f64,
    },
    /// It is as it should be again.
    Over {
        /// The value.
        value: f64,
    },
}

/// What is known of the readings of one property.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Watch {
    last: Option<f64>,
    wrong: u32,
    active: Option<Anomaly>,
}

impl Thresholds {
    /// What `anomalyDetection` says; `None` where it is turned off or says nothing of ours.
    pub(crate) fn read(data: Map<String, Json>) -> Result<Option<Self>, String> {
        let read: Self = serde_json::from_value(Json::Object(data)).map_err(|error| error.to_string())?;
        let bounds = [read.minimum, read.maximum, read.max_change];
        if bounds.iter().flatten().any(|bound| !bound.is_finite()) || !read.hysteresis.is_finite() {
            return Err("a bound is no number".to_owned());
        }
        let says_something = bounds.iter().any(Option::is_some);
        Ok((read.enabled && says_something).then_some(read))
    }

    /// What is wrong with a value, all by itself. `margin` is how far inside the bounds it must be.
    fn look(&self, value: f64, before: Option<f64>, margin: f64) -> Option<Anomaly> {
        if let Some(minimum) = self.minimum
            && value < minimum + margin
        {
            return Some(Anomaly::Below { value, minimum });
        }
        if let Some(maximum) = self.maximum
            && value > maximum - margin
        {
            return Some(Anomaly::Above { value, maximum });
        }
        match (self.max_change, before) {
            (Some(most), Some(before)) if (value - before).abs() > most => {
                Some(Anomaly::Jump { value, before })
            }
            _ => None,
        }
    }
}

impl Watch {
    /// Takes a reading. What is new: an anomaly has begun, is another one now, or is over.
    pub(crate) fn take(&mut self, thresholds: &Thresholds, value: f64) -> Option<Anomaly> {
        let margin = if self.active.is_some() { thresholds.hysteresis.max(0.0) } else { 0.0 };
        let found = thresholds.look(value, self.last, margin);
        self.last = Some(value);
        match (found, self.active) {
            (Some(found), active) => {
                self.wrong = self.wrong.saturating_add(1);
                let is_other = active.is_none_or(|active| !active.is_like(&found));
                if self.wrong < thresholds.readings || !is_other {
                    return None;
                }
                self.active = Some(found);
                Some(found)
            }
            (None, active) => {
                self.wrong = 0;
                self.active = None;
                active.map(|_| Anomaly::Over { value })
            }
        }
    }

    /// The anomaly that is now.
    pub(crate) fn active(&self) -> Option<&Anomaly> {
        self.active.as_ref()
    }
}

impl Anomaly {
    fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Whether it is one, and not the end of one.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        !matches!(self, Self::Over { .. })
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below { value, minimum } => write!(f, "{value} is below {minimum}"),
            Self::Above { value, maximum } => write!(f, "{value} is above {maximum}"),
            Self::Jump { value, before } => write!(f, "{value} is far from {before}"),
            Self::Over { value } => write!(f, "{value} is as it should be again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn thresholds(data: serde_json::Value) -> Thresholds {
        let serde_json::Value::Object(data) = data else { panic!("no object") };
        Thresholds::read(data).unwrap().unwrap()
    }

    #[test]
    fn an_anomaly_begins_once_and_ends_once() {
        let thresholds = thresholds(json!({"maximum": 80, "hysteresis": 5, "readings": 2}));
        let mut watch = Watch::default();
        let said: Vec<Option<String>> = [70.0, 81.0, 79.0, 81.0, 82.0, 83.0, 78.0, 74.0, 70.0]
            .into_iter()
            .map(|value| watch.take(&thresholds, value).map(|anomaly| anomaly.to_string()))
            .collect();
        let mut expected: Vec<Option<String>> = vec![None; 9];
        expected[4] = Some("82 is above 80".into());
        expected[7] = Some("74 is as it should be again".into());
        assert_eq!(said, expected);
    }

    #[test]
    fn a_jump_is_between_two_readings() {
        let thresholds = thresholds(json!({"maxChange": 10}));
        let mut watch = Watch::default();
        assert_eq!(watch.take(&thresholds, 50.0), None);
        assert_eq!(watch.take(&thresholds, 61.0), Some(Anomaly::Jump { value: 61.0, before: 50.0 }));
        assert_eq!(watch.take(&thresholds, 62.0), Some(Anomaly::Over { value: 62.0 }));
    }

    #[test]
    fn what_is_off_or_says_nothing_is_none() {
        let read = |data: serde_json::Value| Thresholds::read(data.as_object().cloned().unwrap());
        assert_eq!(read(json!({"enabled": false, "maximum": 1})), Ok(None));
        assert_eq!(read(json!({"anomalyDetectionConfig": {"x": 1}})), Ok(None));
        assert!(read(json!({"maximum": "hot"})).is_err());
    }

    proptest! {
        #[test]
        fn beginnings_and_ends_take_turns(
            values in prop::collection::vec(-100.0f64..100.0, 0..200),
            minimum in -90.0f64..0.0, maximum in 0.0f64..90.0, hysteresis in 0.0f64..20.0, readings in 0u32..4,
        ) {
            let thresholds = Thresholds {
                minimum: Some(minimum), maximum: Some(maximum), hysteresis, readings, ..Thresholds::default()
            };
            let mut watch = Watch::default();
            let mut is_wrong = false;
            for value in values {
                match watch.take(&thresholds, value) {
                    Some(Anomaly::Over { .. }) => {
                        prop_assert!(is_wrong && (minimum..=maximum).contains(&value));
                        is_wrong = false;
                    }
                    Some(_) => is_wrong = true,
                    None => {}
                }
                prop_assert_eq!(watch.active().is_some(), is_wrong);
            }
        }
    }
}
