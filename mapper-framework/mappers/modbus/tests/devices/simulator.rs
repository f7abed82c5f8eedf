//! pymodbus as a process.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server; it ends with this value, and with this process.
pub(crate) struct Simulator {
    child: Child,
    /// Its TCP port.
    pub(crate) port: u16,
}

impl Simulator {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = here.join("../../../target/simulators/bin/python");
        assert!(python.exists(), "{} is not there: `make simulators` installs it", python.display());
        let mut command = Command::new(python);
        command.arg(here.join("tests/devices/simulator.py")).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let port = said.strip_prefix("listening").unwrap_or_else(|| panic!("pymodbus says {said:?}")).trim();
        let port = port.parse().unwrap_or_default();
        Self { child, port }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
