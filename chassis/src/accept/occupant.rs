//! Who listens on a port, for the message of one who cannot.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// State of a socket that listens, in `/proc/net/tcp` (proc(5)).
const LISTENS: &str = "0A";

/// A process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupant {
    /// Its program, as the process calls itself.
    pub name: String,
    /// Its number.
    pub pid: u32,
    /// Whether it is root's.
    pub is_root: bool,
}

impl Occupant {
    /// The process that listens on this TCP port; `None` when it cannot be found, as without the right to look into other
    /// processes. Blocks; it looks at every process once.
    #[must_use]
    pub fn of(port: u16) -> Option<Self> {
        let tables =
            ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
        let mut lines = tables.iter().flat_map(|table| table.lines());
        let inode = lines.find_map(|line| listening_inode(line, port))?;
        let socket = format!("socket:[{inode}]");
        let mut pids = fs::read_dir("/proc")
            .ok()?
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let pid = pids.find(|pid| holds(*pid, &socket))?;
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim().to_owned();
        let is_root = fs::metadata(format!("/proc/{pid}")).is_ok_and(|process| process.uid() == 0);
        Some(Self { name, pid, is_root })
    }
}

impl fmt::Display for Occupant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// The inode of the socket of a line, if it listens on this port.
fn listening_inode(line: &str, port: u16) -> Option<u64> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (address, state) = (fields.get(1)?, fields.get(3)?);
    let is_it = *state == LISTENS && address.ends_with(&format!(":{port:04X}"));
    is_it.then(|| fields.get(9)?.parse().ok())?
}

fn holds(pid: u32, socket: &str) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.into_iter().any(|file| fs::read_link(file.path()).is_ok_and(|target| target == Path::new(socket)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = Occupant::of(listener.local_addr().unwrap().port()).unwrap();
        assert_eq!(found.pid, std::process::id());
        assert!(found.to_string().ends_with(&format!(" (pid {})", std::process::id())), "{found}");
        let line = "0: 0100007F:286E 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 77 1";
        assert_eq!((listening_inode(line, 10350), listening_inode(line, 10351)), (Some(77), None));
        assert_eq!(listening_inode(&line.replace(" 0A ", " 01 "), 10350), None);
        assert_eq!(listening_inode("sl local_address", 10350), None);
    }
}
