//! What of a process is to be streamed: kubelet's query parameters, and those of `kubectl` and the API server.

use crate::edged::runtime::Streams;
use crate::edged::server::error::Error;
use crate::edged::server::logs::flag;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Program and arguments, for exec.
    pub(super) command: Vec<String>,
    pub(super) streams: Streams,
    /// Ports, for a port-forward over WebSocket, which has no other place for them.
    pub(super) ports: Vec<u16>,
}

impl Options {
    /// From a query string. kubelet says `input`, `output` and `error` where the API says `stdin`, `stdout` and
    /// `stderr`; both are understood.
    ///
    /// # Errors
    /// A port is none.
    pub(super) fn parse(query: &str) -> Result<Self, Error> {
        let mut options = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let streams = &mut options.streams;
            match &*name {
                "command" => options.command.push(value.into_owned()),
                "input" | "stdin" => streams.stdin = flag(&value),
                "output" | "stdout" => streams.stdout = flag(&value),
                "error" | "stderr" => streams.stderr = flag(&value),
                "tty" => streams.tty = flag(&value),
                "port" | "ports" => {
                    for port in value.split(',') {
                        let parsed = port.parse().ok().filter(|port| *port > 0);
                        let wrong =
                            || Error::Query(format!("port: {port:?} is not a number from 1 to 65535"));
                        options.ports.push(parsed.ok_or_else(wrong)?);
                    }
                }
                _ => {}
            }
        }
        // A terminal has one output.
        options.streams.stderr &= !options.streams.tty;
        Ok(options)
    }

    /// The streams; there must be one.
    pub(super) fn some_streams(&self) -> Result<Streams, Error> {
        let Streams { stdin, stdout, stderr, .. } = self.streams;
        let missing = || Error::Query("you must specify at least 1 of stdin, stdout, stderr".to_owned());
        (stdin || stdout || stderr).then_some(self.streams).ok_or_else(missing)
    }

    /// The command; there must be one.
    pub(super) fn some_command(&self) -> Result<Vec<String>, Error> {
        let missing = || Error::Query("command: there must be at least one".to_owned());
        (!self.command.is_empty()).then(|| self.command.clone()).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_vocabularies_are_understood() {
        for query in [
            "command=sh&command=-c&command=a+b%26&input=1&output=1&error=1",
            "stdin=true&stdout=true&stderr=true&tty=false&command=sh&command=-c&command=a%20b%26",
        ] {
            let options = Options::parse(query).unwrap();
            assert_eq!(options.some_command().unwrap(), ["sh", "-c", "a b&"]);
            let all = Streams { stdin: true, stdout: true, stderr: true, tty: false };
            assert_eq!(options.some_streams().unwrap(), all);
        }
        let terminal = Options::parse("output=1&error=1&tty=1").unwrap().streams;
        assert!(terminal.tty && terminal.stdout && !terminal.stderr);
    }

    #[test]
    fn what_is_missing_or_wrong_is_said() {
        let options = Options::parse("command=").unwrap();
        assert!(options.some_streams().is_err() && options.some_command().is_ok());
        assert!(Options::parse("stdin=1").unwrap().some_command().is_err());
        assert_eq!(Options::parse("port=80,443&port=8080").unwrap().ports, [80, 443, 8080]);
        for query in ["port=0", "port=65536", "port=x", "port="] {
            assert!(Options::parse(query).is_err(), "{query}");
        }
    }
}
