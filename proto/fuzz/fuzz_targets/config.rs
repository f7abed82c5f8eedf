//! Any YAML: reading and checking either configuration file does not panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::config::{cloudcore::CloudCore, edgecore::EdgeCore};

fuzz_target!(|yaml: &str| {
    if let Ok(config) = serde_saphyr::from_str::<CloudCore>(yaml) {
        config.validate();
    }
    if let Ok(config) = serde_saphyr::from_str::<EdgeCore>(yaml) {
        config.validate();
    }
});
