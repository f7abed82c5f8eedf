//! The one program in the demo's images. It is linked statically, so that an image needs nothing else.
//!
//! `demo-app STEP [WORD...] [then STEP [WORD...]]...` does one step after the other; it ends with the last, or with the
//! first that fails.
//!
//! | step | does |
//! |---|---|
//! | `pause` | holds a pod's namespaces: waits for SIGTERM and reaps what is left to it |
//! | `http PORT FILE` | answers every HTTP request with the text of FILE, read anew each time, so that a change of the ConfigMap behind it shows; until SIGTERM |
//! | `report WHAT...` | leaves what this container sees as its last message, as JSON: [`report`] |
//! | `say WORD...`, `print WORD...` | words to the last message, to the log |
//! | `write FILE TEXT`, `append FILE TEXT` | text to a file |
//! | `until FILE TEXT` | waits until the file has this text |
//! | `witness FILE` | appends `start` and the seconds since boot to the file, and holds a lock on it as long as the program lives; fails, and appends `twice`, while another program holds it |
//! | `note FILE WORD...` | appends the words and the seconds since boot to the file |
//! | `linger MILLISECONDS` | takes its time |
//! | `at-least N FILE` | fails unless the file has N bytes |
//! | `signal` | waits for a signal and leaves its name as the last message |
//! | `deaf` | waits and does not end at SIGTERM |
//! | `raise NUMBER` | sends itself a signal |
//! | `allocate MIB` | uses so much memory |
//! | `fill FILE` | writes to the file until there is no room left |
//! | `mount DIRECTORY` | mounts a small file system in memory there |
//! | `exit CODE` | ends |

mod report;
mod steps;
mod web;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    for step in words.split(|word| *word == "then") {
        match steps::perform(step) {
            Ok(None) => {}
            Ok(Some(code)) => return ExitCode::from(code),
            Err(error) => {
                log(&format!("demo-app: {}: {error}", step.join(" ")));
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, reason = "what a container writes to stdout is its log")]
fn log(line: &str) {
    println!("{line}");
}
