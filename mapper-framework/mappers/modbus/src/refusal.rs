//! What failed, on which register, why, and what to do: for people.

use std::io::ErrorKind;

use mapper_framework::DriverError;
use tokio_modbus::{Error, ExceptionCode, ProtocolError};

use crate::config::{Line, Reached};
use crate::lines::Failure;
use crate::registers::Span;

/// What was asked of whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// `reading` or `writing`.
    pub(crate) what: &'static str,
    pub(crate) span: Span,
    pub(crate) reached: &'a Reached,
}

impl Asked<'_> {
    fn say(&self, what: &str) -> String {
        let Reached { line, slave, .. } = self.reached;
        format!("{} {} of device {slave} on {line}: {what}", self.what, self.span)
    }

    /// The device answers that it does not.
    pub(crate) fn refused(&self, code: ExceptionCode) -> DriverError {
        let number = u8::from(code);
        let (name, hint) = match code {
            ExceptionCode::IllegalFunction => (
                "illegal function",
                "the device has no such registers, or they cannot be set: check register",
            ),
            ExceptionCode::IllegalDataAddress => (
                "illegal data address",
                "the device has no such register: check offset, which counts from 0 (40101 in many manuals is 100), and limit",
            ),
            ExceptionCode::IllegalDataValue => {
                ("illegal data value", "the device does not take this value, or this many registers at once")
            }
            ExceptionCode::ServerDeviceFailure => {
                ("device failure", "the device has a fault: look at the device")
            }
            ExceptionCode::Acknowledge | ExceptionCode::ServerDeviceBusy => {
                ("busy", "it is asked again; if this goes on, ask it less often")
            }
            ExceptionCode::MemoryParityError => {
                ("memory parity error", "the device has a fault: look at the device")
            }
            ExceptionCode::GatewayPathUnavailable => {
                let what = self.say("the gateway has no path to it (exception 10): check slaveID");
                return DriverError::Unreachable(what);
            }
            ExceptionCode::GatewayTargetDevice => {
                let what =
                    self.say("it does not answer the gateway (exception 11): check slaveID and its wires");
                return DriverError::Unreachable(what);
            }
            ExceptionCode::Custom(_) => ("an exception of its own", "see the manual of the device"),
        };
        DriverError::Refused(self.say(&format!("{name} (exception {number}): {hint}")))
    }

    /// An answer that does not fit the question.
    pub(crate) fn odd(&self, got: usize) -> DriverError {
        let wanted = self.span.count;
        DriverError::Unreachable(self.say(&format!("it answers with {got} registers and not {wanted}")))
    }

    /// There is no answer.
    pub(crate) fn failed(&self, failure: &Failure) -> DriverError {
        DriverError::Unreachable(self.say(&why(failure, &self.reached.line)))
    }
}

/// The line cannot be opened.
pub(crate) fn closed(line: &Line, failure: &Failure) -> DriverError {
    DriverError::Unreachable(format!("{line}: {}", why(failure, line)))
}

fn why(failure: &Failure, line: &Line) -> String {
    let is_serial = matches!(line, Line::Serial(_));
    match failure {
        Failure::Silent(limit) if is_serial => {
            format!("no answer within {limit:?}: check slaveID, wires, baudRate, parity and stopBits")
        }
        Failure::Silent(limit) => format!("no answer within {limit:?}: check ip, port and slaveID"),
        Failure::Closed(error) if is_serial => match error.kind() {
            ErrorKind::PermissionDenied => {
                format!(
                    "{error}: the mapper must be allowed to use the port (group dialout; in a pod, see README.md)"
                )
            }
            ErrorKind::NotFound => format!("{error}: the port is not there; is the adapter plugged in?"),
            _ => format!("the port cannot be opened: {error}"),
        },
        Failure::Closed(error) => format!("cannot connect: {error}"),
        // tokio-modbus says with whatever error was last that a connection has ended.
        Failure::Broken(Error::Transport(error)) if has_ended(error) => "it closed the connection".to_owned(),
        Failure::Broken(Error::Transport(error)) => format!("the line broke: {error}"),
        Failure::Broken(Error::Protocol(error)) => {
            let what = match error {
                ProtocolError::HeaderMismatch { .. } => "another device or question",
                ProtocolError::FunctionCodeMismatch { .. } => "another function",
            };
            format!("what came answers {what}: is there a second master on the line?")
        }
    }
}

fn has_ended(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(0)
        || matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof)
}

#[cfg(test)]
mod tests;
