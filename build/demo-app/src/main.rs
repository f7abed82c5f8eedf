//! The one program in the demo's images. It is linked statically, so that an image needs nothing else.
//!
//! `demo-app pause` holds a pod's namespaces: it waits for SIGTERM and reaps what is left to it.
//! `demo-app http PORT FILE` answers every HTTP request with the text of FILE, read anew each time, so that a change
//! of the ConfigMap behind it shows.

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// A visitor that says nothing for this long is let go: there is one visitor at a time.
const PATIENCE: Duration = Duration::from_secs(5);
/// Enough for the head of a request; what follows does not matter here.
const HEAD: usize = 4096;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["pause"] => pause(),
        ["http", port, file] => port.parse().map_err(std::io::Error::other).and_then(|port| http(port, file)),
        _ => Err(std::io::Error::other("usage: demo-app pause | demo-app http PORT FILE")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(&format!("demo-app: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn pause() -> std::io::Result<()> {
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

fn http(port: u16, file: &str) -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))?;
    // As process 1 of its container it gets no default for SIGTERM: without this it would only end when killed.
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let file = file.to_owned();
    log(&format!("serving {file} on port {port}"));
    std::thread::spawn(move || {
        for visitor in listener.incoming() {
            if let Err(error) = visitor.and_then(|visitor| answer(visitor, &file)) {
                log(&format!("a visitor got no answer: {error}"));
            }
        }
    });
    signals.forever().next();
    log("asked to stop");
    Ok(())
}

fn answer(mut visitor: TcpStream, file: &str) -> std::io::Result<()> {
    visitor.set_read_timeout(Some(PATIENCE))?;
    visitor.set_write_timeout(Some(PATIENCE))?;
    let mut head = [0; HEAD];
    let read = visitor.read(&mut head)?;
    let line = String::from_utf8_lossy(&head[..read]).lines().next().unwrap_or_default().to_owned();
    log(&line);
    let (status, text) = match std::fs::read_to_string(file) {
        Ok(text) => ("200 OK", text),
        Err(error) => ("500 Internal Server Error", format!("{file}: {error}\n")),
    };
    write!(
        visitor,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{text}",
        text.len()
    )
}

#[expect(clippy::print_stdout, reason = "what a container writes to stdout is its log")]
fn log(line: &str) {
    println!("{line}");
}
