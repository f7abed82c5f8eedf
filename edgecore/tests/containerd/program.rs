//! What runs in the containers of these tests: one static program, told by its arguments what to be.
//! Built with `rustc` alone, so that no image registry is needed.

use std::io::{Read, Write};
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
        // Never ends unless it is killed: process 1 gets no signal that it does not handle.
        ["stubborn"] => loop {
            std::thread::sleep(Duration::from_secs(3600));
        },
        ["exit", code] => std::process::exit(code.parse().unwrap()),
        ["exit", code, message] => {
            std::fs::write("/dev/termination-log", message).unwrap();
            std::process::exit(code.parse().unwrap());
        }
        // Shows a file's content in its log, then serves.
        ["show", path] => {
            let mut text = String::new();
            std::fs::File::open(path).unwrap().read_to_string(&mut text).unwrap();
            println!("{path}: {text}");
            std::io::stdout().flush().unwrap();
            std::thread::sleep(Duration::from_secs(3600));
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
