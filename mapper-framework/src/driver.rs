//! The one trait that a driver implements.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;

use crate::anomaly::Anomaly;
use crate::convert::ConvertError;
use crate::device::{Method, Property};
use crate::health::State;
use crate::stream::Frames;
use crate::value::{Value, ValueError};

/// Speaks with one device. The framework makes one driver for each device and calls it from one task: nothing is called while
/// something else is under way. Devices that share a bus share it inside their drivers.
///
/// Each call may take as long as `device.timeout` of the configuration says; one that takes longer is dropped where it
/// is, and the device is connected anew.
///
/// ```
/// use mapper_framework::{Driver, DriverError, Property, Value};
///
/// struct Lamp {
///     level: i64,
/// }
///
/// impl Driver for Lamp {
///     async fn connect(&mut self) -> Result<(), DriverError> {
///         Ok(())
///     }
///
///     async fn read(&mut self, property: &Property) -> Result<Value, DriverError> {
///         match property.name() {
///             "level" => Ok(self.level.into()),
///             other => Err(DriverError::Unsupported(format!("a lamp has no {other}"))),
///         }
///     }
///
///     async fn write(&mut self, _property: &Property, value: &Value) -> Result<(), DriverError> {
///         if let Value::Int(level) = value {
///             self.level = *level;
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Driver: Send + 'static {
    /// Opens the way to the device. Called before anything else, and again after a call gave [`DriverError::Unreachable`] or
    /// took too long; what was open before is to be closed.
    ///
    /// # Errors
    /// When the device cannot be reached; it is tried again, less and less often.
    fn connect(&mut self) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// Reads a property. The value need not have the exact type of the model: 20 will do for a DOUBLE.
    ///
    /// # Errors
    /// [`DriverError::Unreachable`] when the device is gone; anything else is about this property alone.
    fn read(&mut self, property: &Property) -> impl Future<Output = Result<Value, DriverError>> + Send;

    /// Hears which properties are read next, one after the other: a driver that can read several at once does so at the first
    /// of them. Other calls may come between, and a reading may be dropped (the device has changed, or was lost).
    fn upcoming(&mut self, _properties: &[&Property]) {}

    /// Sets a property. The value has the type of the model and is in its range, and the property is not read-only.
    ///
    /// # Errors
    /// As [`Driver::read`]. A desired value is tried again, less and less often.
    fn write(
        &mut self,
        property: &Property,
        value: &Value,
    ) -> impl Future<Output = Result<(), DriverError>> + Send {
        let refused = DriverError::Unsupported(format!("{} cannot be set to {value}", property.name()));
        async { Err(refused) }
    }

    /// Calls a method of the device with values for some of its properties, checked as for [`Driver::write`]; what it
    /// returns is given to the caller. Without code of its own a method sets the properties, in the order given.
    ///
    /// # Errors
    /// As [`Driver::read`].
    fn call(
        &mut self,
        _method: &Method,
        arguments: &[(&Property, Value)],
    ) -> impl Future<Output = Result<Option<Value>, DriverError>> + Send {
        async move {
            for (property, value) in arguments {
                self.write(property, value).await?;
            }
            Ok(None)
        }
    }

    /// Opens a property of type STREAM, once the device is connected; what it gives is recorded ([`crate::stream`]). A driver that does
    /// not do this is read instead.
    ///
    /// # Errors
    /// As [`Driver::read`]; it is tried again, less and less often.
    fn open_stream(
        &mut self,
        property: &Property,
    ) -> impl Future<Output = Result<Frames, DriverError>> + Send {
        let refused = DriverError::Unsupported(format!("{} is no stream of this driver", property.name()));
        async { Err(refused) }
    }

    /// How the device is, while it is connected and its properties can be read. Called once per reporting of the state.
    ///
    /// # Errors
    /// As [`Driver::read`].
    fn health(&mut self) -> impl Future<Output = Result<State, DriverError>> + Send {
        async { Ok(State::Ok) }
    }

    /// Hears that a value has left or come back into the bounds of its property's `anomalyDetection`.
    fn anomaly(&mut self, _property: &Property, _anomaly: &Anomaly) {}

    /// Closes the way to the device: it is gone from the node, or the mapper ends.
    fn disconnect(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// Why a driver could not do something.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DriverError {
    /// The device does not answer: it is connected anew.
    #[error("the device cannot be reached: {0}")]
    Unreachable(String),
    /// The driver panicked in a call: it is made anew.
    #[error("the driver panicked")]
    Panicked,
    /// The device answers that it does not.
    #[error("the device refuses: {0}")]
    Refused(String),
    /// What the device's or property's `configData` says makes no sense.
    #[error("configuration: {0}")]
    Config(String),
    /// There is no such thing.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// A value of another type than the property's.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A raw number that cannot be converted.
    #[error(transparent)]
    Convert(#[from] ConvertError),
}

impl DriverError {
    /// The device cannot be reached, because of `cause`.
    pub fn unreachable(cause: impl std::fmt::Display) -> Self {
        Self::Unreachable(cause.to_string())
    }

    /// Whether the device has to be connected anew.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Panicked)
    }
}

/// A call of a driver, which may neither take for ever nor take the task with it.
pub(crate) async fn limited<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, DriverError>>,
) -> Result<T, DriverError> {
    match tokio::time::timeout(limit, AssertUnwindSafe(call).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(DriverError::Panicked),
        Err(_) => Err(DriverError::Unreachable(format!("no answer within {limit:?}"))),
    }
}
