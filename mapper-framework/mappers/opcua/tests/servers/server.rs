//! asyncua as a process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

/// A server; it ends with this value, and with this process.
pub(crate) struct Server {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    folder: TempDir,
    pub(crate) port: u16,
}

impl Server {
    /// `open` or `secure`.
    pub(crate) fn start(security: &str) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = here.join("../../../target/simulators/bin/python");
        assert!(python.exists(), "{} is not there: `make simulators` installs it", python.display());
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(python);
        command.arg(here.join("tests/servers/server.py")).arg(folder.path()).arg(security);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut server = Self { child, to, from, folder, port: 0 };
        let said = server.line();
        let port = said.strip_prefix("listening ").and_then(|port| port.parse().ok());
        server.port = port.unwrap_or_else(|| panic!("asyncua says {said:?}"));
        server
    }

    /// Where its certificates are.
    pub(crate) fn folder(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    /// Tells it something, and waits for its answer.
    pub(crate) fn ask(&mut self, what: &str) -> String {
        writeln!(self.to, "{what}").unwrap();
        self.line()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
