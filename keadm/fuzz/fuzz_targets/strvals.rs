//! Any text of any flag of the `--set` family: it is read or refused, what was read can be put over a tree that is there, and doing so
//! again changes nothing.
#![no_main]

#[path = "../../src"]
mod keadm {
    #[allow(dead_code, unreachable_pub, reason = "the fuzz target does not use all of it")]
    pub mod strvals;
}

use keadm::strvals::{Flag, assignments, put};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|input: (u8, &str)| {
    let read =
        |file: &str| if file.len() % 3 == 0 { Err("no such file".to_owned()) } else { Ok(file.to_owned()) };
    let flags = [Flag::Typed, Flag::Text, Flag::File(&read), Flag::Json, Flag::Literal];
    let flag = flags[usize::from(input.0) % flags.len()];
    let Ok(parts) = assignments(input.1, flag) else { return };
    let mut once = json!({"a": {"b": [1, {"c": null}]}, "list": ["x", "y"]});
    if put(&mut once, parts.clone()).is_ok() {
        let mut twice = once.clone();
        put(&mut twice, parts).expect("what could be put once can be put again: nothing grows");
        assert_eq!(once, twice);
    }
});
