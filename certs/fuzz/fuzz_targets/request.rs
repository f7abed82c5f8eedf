//! Any bytes as a certificate request: no panic, and what is accepted is for a node.
#![no_main]

use certs::csr::NodeCsr;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|der: &[u8]| {
    if let Ok(csr) = NodeCsr::parse(der) {
        NodeCsr::check(der, csr.node()).expect("it is for the node that it names");
    }
});
