//! The `virtual-mapper` binary: simulated devices of protocol `virtual`.

use std::process::ExitCode;

fn main() -> ExitCode {
    mapper_framework::main("virtual", virtual_mapper::Virtual::new)
}
