//! The `modbus-mapper` binary: devices of protocol `modbus`.

use std::process::ExitCode;

use modbus_mapper::{Lines, Modbus};

fn main() -> ExitCode {
    let lines = Lines::default();
    mapper_framework::main("modbus", move |device| Modbus::new(device, &lines))
}
