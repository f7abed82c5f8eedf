//! What the program can be told to do.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::str::FromStr;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::{log, report, web};

/// Where Kubernetes looks for a container's last message (`terminationMessagePath`), unless told otherwise.
const MESSAGE: &str = "/dev/termination-log";
/// How often a file is looked at that something else will change. A volume's files are links that are switched: there
/// is no one file to be told about.
const LOOK: Duration = Duration::from_millis(50);
/// A page of memory.
const PAGE: usize = 4096;
/// Bytes of a MiB.
const MIB: usize = 1 << 20;

/// Performs one step. `Some`: the program ends with this code.
pub(crate) fn perform(step: &[&str]) -> io::Result<Option<u8>> {
    match step {
        ["pause"] => pause()?,
        ["http", port, file] => web::serve(number(port)?, file)?,
        ["report", what @ ..] => say(&report::report(what).to_string())?,
        ["say", words @ ..] => say(&words.join(" "))?,
        ["print", words @ ..] => log(&words.join(" ")),
        ["write", file, text] => fs::write(file, text)?,
        ["append", file, text] => open_to_append(file)?.write_all(text.as_bytes())?,
        ["until", file, text] => until(file, text),
        ["witness", file] => witness(file)?,
        ["note", file, words @ ..] => note(&mut open_to_append(file)?, &words.join(" "))?,
        ["linger", milliseconds] => std::thread::sleep(Duration::from_millis(number(milliseconds)?)),
        ["at-least", bytes, file] => at_least(number(bytes)?, file)?,
        ["signal"] => say(signal()?.as_str())?,
        ["deaf"] => deaf()?,
        ["raise", signal] => end_by(number(signal)?)?,
        ["allocate", mib] => allocate(number(mib)?),
        ["fill", file] => fill(file)?,
        ["mount", directory] => mount_memory(directory)?,
        ["exit", code] => return number(code).map(Some),
        _ => return Err(io::Error::other("unknown step, or not its words: see build/demo-app/src/main.rs")),
    }
    Ok(None)
}

fn number<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(text: &str) -> io::Result<T> {
    text.parse().map_err(io::Error::other)
}

fn say(text: &str) -> io::Result<()> {
    fs::write(MESSAGE, text)
}

fn pause() -> io::Result<()> {
    for signal in Signals::new([SIGTERM, SIGINT, SIGCHLD])?.forever() {
        if signal != SIGCHLD {
            break;
        }
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                break;
            }
        }
    }
    Ok(())
}

fn until(file: &str, text: &str) {
    while fs::read_to_string(file).ok().as_deref() != Some(text) {
        std::thread::sleep(LOOK);
    }
}

fn open_to_append(file: &str) -> io::Result<File> {
    File::options().append(true).create(true).open(file)
}

/// One line, in one call: two programs that write at once do not mix.
fn note(file: &mut File, words: &str) -> io::Result<()> {
    let uptime = fs::read_to_string("/proc/uptime")?;
    let seconds = uptime.split(' ').next().unwrap_or_default();
    file.write_all(format!("{words} {seconds}\n").as_bytes())
}

/// The kernel gives the lock back when the program ends, however it ends.
fn witness(file: &str) -> io::Result<()> {
    match Flock::lock(open_to_append(file)?, FlockArg::LockExclusiveNonblock) {
        Ok(mut held) => {
            note(&mut held, "start")?;
            std::mem::forget(held);
            Ok(())
        }
        Err((mut held_by_another, _)) => {
            note(&mut held_by_another, "twice")?;
            Err(io::Error::other("another program holds it"))
        }
    }
}

fn at_least(bytes: u64, file: &str) -> io::Result<()> {
    let found = fs::metadata(file)?.len();
    if found >= bytes { Ok(()) } else { Err(io::Error::other(format!("{found} bytes, not yet {bytes}"))) }
}

fn signal() -> io::Result<Signal> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2])?;
    log("waiting for a signal");
    let first = signals.forever().next().unwrap_or(SIGTERM);
    Ok(Signal::try_from(first)?)
}

fn deaf() -> io::Result<()> {
    for signal in Signals::new([SIGTERM])?.forever() {
        log(&format!("signal {signal} is not for me"));
    }
    Ok(())
}

/// As if the program had no handler for it: the standard library has one for SIGSEGV.
fn end_by(signal: i32) -> io::Result<()> {
    emulate_default_handler(signal)?;
    Ok(raise(Signal::try_from(signal)?)?)
}

fn fill(file: &str) -> io::Result<()> {
    let mut file = open_to_append(file)?;
    let full = loop {
        if let Err(error) = file.write_all(&[b'x'; PAGE]) {
            break error;
        }
    };
    log(&format!("full: {full}"));
    match full.kind() {
        io::ErrorKind::StorageFull => Ok(()),
        _ => Err(full),
    }
}

/// A small file system in memory.
fn mount_memory(directory: &str) -> io::Result<()> {
    Ok(mount(Some("tmpfs"), directory, Some("tmpfs"), MsFlags::empty(), Some("size=1m"))?)
}

/// Memory counts once it has been written to.
fn allocate(mib: usize) {
    let mut memory = vec![0u8; mib * MIB];
    for byte in memory.iter_mut().step_by(PAGE) {
        *byte = 1;
    }
    std::hint::black_box(&memory);
}
