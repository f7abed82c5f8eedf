//! What runs in the containers of these tests: one static program, told by its arguments what to be.
//! Built with `rustc` alone, so that no image registry is needed.

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
        ["env"] => {
            for (name, value) in std::env::vars() {
                println!("{name}={value}");
            }
            std::thread::sleep(Duration::from_secs(3600));
        }
        other => panic!("what is {other:?}?"),
    }
}

fn show(path: &str) {
    let metadata = std::fs::metadata(path).unwrap();
    let (mode, user, group) = (metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
    let text = std::fs::read_to_string(path).unwrap_or_default();
    println!("{path} {mode:o} {user}:{group} {text}");
}
