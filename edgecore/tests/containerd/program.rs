//! What runs in the containers of these tests: one static program, told by its arguments what to be.
//! Built with `rustc` alone, so that no image registry is needed.

use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

static TERMINATED: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    fn signal(number: i32, handler: usize) -> usize;
}

extern "C" fn on_sigterm(_: i32) {
    TERMINATED.store(true, Ordering::SeqCst);
}

const SIGTERM: i32 = 15;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        // Ends cleanly when it is asked to.
        ["serve"] | [] => {
            unsafe { signal(SIGTERM, on_sigterm as *const () as usize) };
            println!("serving");
            while !TERMINATED.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        // Serves, and leaves a line in a file when it is asked to end.
        ["witness", path] => {
            unsafe { signal(SIGTERM, on_sigterm as *const () as usize) };
            println!("serving");
            while !TERMINATED.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(20));
            }
            append(path, "asked to end");
        }
        // Answers HTTP requests: 200 while there is such a file, and 503 otherwise.
        ["http", port, path] => {
            unsafe { signal(SIGTERM, on_sigterm as *const () as usize) };
            let listener = std::net::TcpListener::bind(("0.0.0.0", port.parse().unwrap())).unwrap();
            listener.set_nonblocking(true).unwrap();
            while !TERMINATED.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((visitor, _)) => answer(visitor, std::fs::exists(path).unwrap()),
                    Err(_) => std::thread::sleep(Duration::from_millis(20)),
                }
            }
        }
        // For probes and hooks.
        ["exists", path] => {
            if !std::fs::exists(path).unwrap() {
                eprintln!("{path} does not exist");
                std::process::exit(1);
            }
        }
        ["append", path, text] => append(path, text),
        ["append", path, text, after] => {
            std::thread::sleep(Duration::from_millis(after.parse().unwrap()));
            append(path, text);
        }
        ["sleep", seconds] => std::thread::sleep(Duration::from_secs(seconds.parse().unwrap())),
        // Never ends unless it is killed: process 1 gets no signal that it does not handle.
        ["stubborn"] => loop {
            std::thread::sleep(Duration::from_secs(3600));
        },
        ["exit", code] => std::process::exit(code.parse().unwrap()),
        ["exit", code, message] => {
            std::fs::write("/dev/termination-log", message).unwrap();
            std::process::exit(code.parse().unwrap());
        }
        // Writes its first file, then shows mode, owner and content of the others whenever the last one changes.
        ["show", written, paths @ ..] => {
            unsafe { signal(SIGTERM, on_sigterm as *const () as usize) };
            std::fs::write(written, "mine").unwrap();
            let mut shown = None;
            while !TERMINATED.load(Ordering::SeqCst) {
                let last = std::fs::read(paths[paths.len() - 1]).ok();
                if shown != last {
                    paths.iter().copied().for_each(show);
                    shown = last;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        // Writes this many numbered lines of 100 bytes, then serves.
        ["chatter", lines] => {
            unsafe { signal(SIGTERM, on_sigterm as *const () as usize) };
            for line in 0..lines.parse::<u32>().unwrap() {
                println!("line {line:08} {}", "x".repeat(85));
                // About two megabytes a second: rotations fall into it and not after it.
                if line % 200 == 0 {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
            println!("serving");
            while !TERMINATED.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        // Numbered lines, some of them a second, then a word on the other stream and the end.
        ["count", lines, code] => {
            for line in 1..=lines.parse::<u32>().unwrap() {
                println!("line {line}");
                std::thread::sleep(Duration::from_millis(20));
            }
            eprintln!("over");
            std::process::exit(code.parse().unwrap());
        }
        // Says one line after another.
        ["echo"] => {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).unwrap();
            print!("{line}");
            eprintln!("heard");
        }
        // Answers one request after the other with the same page.
        ["page", port] => {
            let listener = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
            println!("serving");
            for stream in listener.incoming().flatten() {
                let mut stream = stream;
                stream.read(&mut [0; 1024]).unwrap();
                stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello").unwrap();
            }
        }
        // Needs a processor, and memory.
        ["busy"] => {
            let mut memory = vec![1_u8; 32 << 20];
            let mut at = 0;
            loop {
                memory[at] = memory[at].wrapping_add(1);
                at = (at + 4097) % memory.len();
            }
        }
        ["env"] => {
            for (name, value) in std::env::vars() {
                println!("{name}={value}");
            }
            std::thread::sleep(Duration::from_secs(3600));
        }
        other => panic!("what is {other:?}?"),
    }
}

fn append(path: &str, text: &str) {
    let mut file = std::fs::File::options().append(true).create(true).open(path).unwrap();
    writeln!(file, "{text}").unwrap();
}

fn answer(mut visitor: std::net::TcpStream, is_well: bool) {
    visitor.set_nonblocking(false).unwrap();
    // A whole request of a probe fits into one packet.
    let read = visitor.read(&mut [0; 4096]);
    let status = if is_well { "200 OK" } else { "503 Service Unavailable" };
    if read.is_ok() {
        write!(visitor, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok();
    }
}

fn show(path: &str) {
    let metadata = std::fs::metadata(path).unwrap();
    let (mode, user, group) = (metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
    let text = std::fs::read_to_string(path).unwrap_or_default();
    println!("{path} {mode:o} {user}:{group} {text}");
}
