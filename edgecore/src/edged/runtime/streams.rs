//! Exec, attach and port-forward: what of a process is carried.

/// The streams of a process that a client wants to hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Streams {
    /// What the client sends.
    pub stdin: bool,
    /// What the process writes.
    pub stdout: bool,
    /// What it writes beside; never with a terminal, which has one output.
    pub stderr: bool,
    /// A terminal stands between.
    pub tty: bool,
}
