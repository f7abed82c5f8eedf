//! A real D-Bus daemon, and on it a service that says it is systemd-logind. Needs dbus-daemon, and fails without it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::{BufRead, BufReader, IoSlice, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use edgecore::edged::node_shutdown::logind::{Logind, SystemLogind};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use tempfile::TempDir;

const NAME: &str = "org.freedesktop.login1";
/// Long enough for any answer of this machine to itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// A bus of the test's own.
struct Daemon {
    folder: TempDir,
    process: Child,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            r#"<busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>
            <policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
            <allow send_type="signal"/><allow receive_sender="*"/></policy></busconfig>"#,
            folder.path().join("bus").display()
        );
        std::fs::write(folder.path().join("bus.conf"), config).unwrap();
        let mut process = Command::new("dbus-daemon")
            .arg("--nofork")
            .arg("--print-address")
            .arg(format!("--config-file={}", folder.path().join("bus.conf").display()))
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test needs dbus-daemon: apt-get install dbus-daemon");
        // It says its address when it listens.
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(address.starts_with("unix:path="), "{address:?}");
        Self { folder, process }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("bus")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The service, on blocking sockets: the wire is written out here once more, so that a mistake of ours shows.
struct Login1 {
    stream: UnixStream,
    serial: u32,
}

/// A call that has arrived: serial, sender, member.
struct Call(u32, String, String);

impl Login1 {
    fn start(daemon: &Daemon) -> Self {
        let mut stream = UnixStream::connect(daemon.socket()).unwrap();
        let user: String =
            nix::unistd::geteuid().to_string().bytes().map(|byte| format!("{byte:02x}")).collect();
        write!(stream, "\0AUTH EXTERNAL {user}\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n").unwrap();
        let mut lines = Vec::new();
        while lines.iter().filter(|byte| **byte == b'\n').count() < 2 {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            lines.push(byte[0]);
        }
        let mut service = Self { stream, serial: 0 };
        service.send(
            1,
            &[(1, 'o', "/org/freedesktop/DBus"), (3, 's', "Hello"), (6, 's', "org.freedesktop.DBus")],
            None,
            "",
            &[],
            None,
        );
        let mut body = text(NAME);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(0_u32.to_le_bytes());
        let to_bus =
            [(1, 'o', "/org/freedesktop/DBus"), (3, 's', "RequestName"), (6, 's', "org.freedesktop.DBus")];
        service.send(1, &to_bus, None, "su", &body, None);
        service
    }

    fn send(
        &mut self,
        kind: u8,
        fields: &[(u8, char, &str)],
        reply_to: Option<u32>,
        signature: &str,
        body: &[u8],
        fd: Option<&UnixStream>,
    ) {
        self.serial += 1;
        let mut head = Vec::new();
        for (code, sort, value) in fields {
            head.resize(head.len().next_multiple_of(8), 0);
            head.extend([*code, 1, *sort as u8, 0]);
            head.extend(text(value));
        }
        for (code, number) in [(5, reply_to), (9, fd.map(|_| 1))] {
            if let Some(number) = number {
                head.resize(head.len().next_multiple_of(8), 0);
                head.extend([code, 1, b'u', 0]);
                head.extend(number.to_le_bytes());
            }
        }
        if !signature.is_empty() {
            head.resize(head.len().next_multiple_of(8), 0);
            head.extend([8, 1, b'g', 0, signature.len() as u8]);
            head.extend(signature.as_bytes());
            head.push(0);
        }
        let mut bytes = vec![b'l', kind, 0, 1];
        for number in [body.len() as u32, self.serial, head.len() as u32] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(head);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(body);
        let fds: Vec<i32> = fd.iter().map(|fd| fd.as_raw_fd()).collect();
        let rights = [ControlMessage::ScmRights(&fds)];
        let rights = if fds.is_empty() { &rights[..0] } else { &rights[..] };
        let sent =
            sendmsg::<()>(self.stream.as_raw_fd(), &[IoSlice::new(&bytes)], rights, MsgFlags::empty(), None);
        assert_eq!(sent.unwrap(), bytes.len());
    }

    /// The next call to the service; the bus's own messages are passed over.
    fn next_call(&mut self) -> Call {
        loop {
            let mut header = [0; 16];
            self.stream.read_exact(&mut header).unwrap();
            let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap()) as usize;
            let fields = number(12).next_multiple_of(8);
            let mut rest = vec![0; fields + number(4)];
            self.stream.read_exact(&mut rest).unwrap();
            if header[1] != 1 {
                continue;
            }
            let find = |code: u8| {
                let mut at = 0;
                while at < number(12) {
                    let length =
                        |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap()) as usize;
                    let end = match rest[at + 2] {
                        b'g' => at + 6 + usize::from(rest[at + 4]),
                        b'u' => at + 8,
                        _ => at + 9 + length(at + 4),
                    };
                    if rest[at] == code {
                        return String::from_utf8(rest[at + 8..end - 1].to_vec()).unwrap();
                    }
                    at = end.next_multiple_of(8);
                }
                panic!("no field {code}");
            };
            return Call(number(8) as u32, find(7), find(3));
        }
    }

    fn answer(&mut self, call: &Call, signature: &str, body: &[u8], fd: Option<&UnixStream>) {
        let to = call.1.clone();
        self.send(2, &[(6, 's', &to)], Some(call.0), signature, body, fd);
    }

    fn prepare_for_shutdown(&mut self, begins: bool) {
        let fields = [
            (1, 'o', "/org/freedesktop/login1"),
            (2, 's', "org.freedesktop.login1.Manager"),
            (3, 's', "PrepareForShutdown"),
        ];
        self.send(4, &fields, None, "b", &u32::from(begins).to_le_bytes(), None);
    }

    /// Answers the two calls with which a session begins; gives the other end of the lock.
    fn begin(&mut self) -> UnixStream {
        let get = self.next_call();
        assert_eq!(get.2, "Get");
        let mut variant = b"\x01t\0\0\0\0\0\0".to_vec();
        variant.truncate(8);
        variant.extend(5_000_000_u64.to_le_bytes());
        self.answer(&get, "v", &variant, None);
        self.lock()
    }

    fn lock(&mut self) -> UnixStream {
        let inhibit = self.next_call();
        assert_eq!(inhibit.2, "Inhibit");
        let (ours, theirs) = UnixStream::pair().unwrap();
        self.answer(&inhibit, "h", &0_u32.to_le_bytes(), Some(&theirs));
        ours
    }
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u32).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes.push(0);
    bytes
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("the bus answers")
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    in_time(tokio::task::spawn_blocking(work)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_is_held_up_over_a_real_bus() {
    let daemon = Daemon::start();
    let mut service = Login1::start(&daemon);
    let logind = SystemLogind::at(daemon.socket());
    let mut session = in_time(logind.connect()).await.unwrap();
    let served = tokio::task::spawn_blocking(move || {
        let lock = service.begin();
        (service, lock)
    });
    assert_eq!(in_time(session.longest_delay()).await.unwrap(), Duration::from_secs(5));
    let inhibitor = in_time(session.inhibit()).await.unwrap();
    let (mut service, mut lock) = served.await.unwrap();
    lock.set_nonblocking(true).unwrap();
    assert_eq!(lock.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "it is held");
    service.prepare_for_shutdown(true);
    assert!(in_time(session.next()).await.unwrap());
    drop(inhibitor);
    lock.set_nonblocking(false).unwrap();
    assert_eq!(blocking(move || lock.read(&mut [0]).unwrap()).await, 0, "it is let go");
    service.prepare_for_shutdown(false);
    assert!(!in_time(session.next()).await.unwrap());
    let served = tokio::task::spawn_blocking(move || (service.lock(), service));
    drop(in_time(session.inhibit()).await.unwrap());
    let (_, service) = served.await.unwrap();
    // It is started again: whoever held it up has to do so again.
    drop(service);
    assert!(in_time(session.next()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_says_so() {
    assert!(in_time(SystemLogind::at("/nowhere/bus").connect()).await.is_err());
    let daemon = Daemon::start();
    let mut session = in_time(SystemLogind::at(daemon.socket()).connect()).await.unwrap();
    let error = in_time(session.longest_delay()).await.unwrap_err().to_string();
    assert!(error.contains("org.freedesktop.DBus.Error.ServiceUnknown"), "{error}");
}
