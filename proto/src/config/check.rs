//! Collects what is wrong with a configuration: all of it, each with its place.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};

/// Where in the file (`modules.cloudHub.nodeLimit`) and what is wrong there.
pub type Problem = (String, String);

/// A section that can look at its own values.
pub(crate) trait Validate {
    fn validate(&self, check: &mut Check);
}

/// The way from the root to the section being looked at, and what was found so far.
#[derive(Debug, Default)]
pub(crate) struct Check {
    path: Vec<&'static str>,
    problems: Vec<Problem>,
}

impl Check {
    /// Everything that is wrong in `root` and below.
    pub(crate) fn all(root: &impl Validate) -> Vec<Problem> {
        let mut check = Self::default();
        root.validate(&mut check);
        check.problems
    }

    /// Looks at a section below this one. `key` may name several levels (`modules.cloudHub`).
    pub(crate) fn section(&mut self, key: &'static str, section: &impl Validate) {
        self.path.push(key);
        section.validate(self);
        self.path.pop();
    }

    /// A problem with `key` of this section, unless `holds`.
    pub(crate) fn require(&mut self, key: &str, holds: bool, message: impl Display) {
        if !holds {
            let path = self.path.iter().copied().chain([key]).collect::<Vec<_>>().join(".");
            self.problems.push((path, message.to_string()));
        }
    }

    /// A number of seconds, hours, days or things that must be at least one.
    pub(crate) fn positive(&mut self, key: &str, value: impl Into<i64>) {
        let value = value.into();
        self.require(key, value > 0, format_args!("must be greater than 0, is {value}"));
    }

    /// An IP address without a port.
    pub(crate) fn ip(&mut self, key: &str, text: &str) {
        let holds = text.parse::<IpAddr>().is_ok();
        self.require(key, holds, format_args!("expected an IP address, found {text:?}"));
    }

    /// `address:port`.
    pub(crate) fn socket_address(&mut self, key: &str, text: &str) {
        let holds = text.parse::<SocketAddr>().is_ok();
        self.require(key, holds, format_args!("expected an address like 127.0.0.1:9091, found {text:?}"));
    }

    /// `host:port`, where the host may be a name.
    pub(crate) fn host_and_port(&mut self, key: &str, text: &str) {
        let holds = text
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0));
        self.require(key, holds, format_args!("expected host:port, found {text:?}"));
    }

    /// `unix:///absolute/path`.
    pub(crate) fn unix_socket(&mut self, key: &str, text: &str) {
        let holds = text.strip_prefix("unix://").is_some_and(|path| path.starts_with('/'));
        self.require(key, holds, format_args!("expected unix:// and an absolute path, found {text:?}"));
    }

    /// Two files that are of use only together.
    pub(crate) fn pair(&mut self, first: (&str, &str), second: (&str, &str)) {
        let (missing, given) = match (first.1.is_empty(), second.1.is_empty()) {
            (true, false) => (first.0, second.0),
            (false, true) => (second.0, first.0),
            _ => return,
        };
        self.require(missing, false, format_args!("must be given when {given} is"));
    }

    /// A value from a closed list.
    pub(crate) fn one_of(&mut self, key: &str, value: &str, allowed: &[&str]) {
        let holds = allowed.contains(&value);
        self.require(key, holds, format_args!("expected one of {}, found {value:?}", allowed.join(", ")));
    }
}
