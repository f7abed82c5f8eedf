use super::*;
use crate::config::{Framing, Parity, Serial};

fn serial(path: &str, baud: u32) -> Line {
    Line::Serial(Serial { path: path.into(), baud, parity: Parity::None, stop_bits: 1, is_rs485: false })
}

fn network(host: &str, framing: Framing) -> Line {
    Line::Network { host: host.into(), port: 502, framing }
}

#[test]
fn devices_of_one_line_share_it_as_long_as_they_need_it() {
    let lines = Lines::default();
    let first = lines.get(&serial("/dev/null", 9600)).unwrap();
    let second = lines.get(&serial("/dev/null", 9600)).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    let error = lines.get(&serial("/dev/null", 19_200)).unwrap_err().to_string();
    assert!(
        error.contains("/dev/null at 19200 8N1: another device uses this line as /dev/null at 9600 8N1"),
        "{error}"
    );
    drop((first, second));
    lines.get(&serial("/dev/null", 19_200)).unwrap();
}

#[test]
fn a_port_is_the_same_under_all_its_names() {
    let dir = tempfile::tempdir().unwrap();
    let by_id = dir.path().join("by-id");
    std::os::unix::fs::symlink("/dev/null", &by_id).unwrap();
    let lines = Lines::default();
    let first = lines.get(&serial("/dev/null", 9600)).unwrap();
    let second = lines.get(&serial(by_id.to_str().unwrap(), 9600)).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
}

#[test]
fn a_network_address_is_one_line_and_its_framing_is_a_setting() {
    let lines = Lines::default();
    let first = lines.get(&network("PLC-1", Framing::Tcp)).unwrap();
    assert!(Arc::ptr_eq(&first, &lines.get(&network("plc-1", Framing::Tcp)).unwrap()));
    lines.get(&network("plc-1", Framing::Rtu)).unwrap_err();
    assert!(!Arc::ptr_eq(&first, &lines.get(&network("plc-2", Framing::Rtu)).unwrap()));
}
