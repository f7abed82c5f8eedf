//! Any text: parsing a resource path loses nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::Resource;

fuzz_target!(|text: &str| {
    let resource = Resource::from(text);
    assert_eq!(resource.to_string(), text);
});
