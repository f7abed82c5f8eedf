//! A web page: the text of one file.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::log;

/// A visitor that says nothing for this long is let go: there is one visitor at a time.
const PATIENCE: Duration = Duration::from_secs(5);
/// Enough for the head of a request; what follows does not matter here.
const HEAD: usize = 4096;

/// Serves until SIGTERM.
pub(crate) fn serve(port: u16, file: &str) -> io::Result<()> {
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

fn answer(mut visitor: TcpStream, file: &str) -> io::Result<()> {
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
