//! The `opcua-mapper` binary: servers of protocol `opcua`.

use std::process::ExitCode;

use opcua_mapper::{OpcUa, SECRETS};

fn main() -> ExitCode {
    mapper_framework::main("opcua", |device| OpcUa::new(device, &SECRETS))
}
