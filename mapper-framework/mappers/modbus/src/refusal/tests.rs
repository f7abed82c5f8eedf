use std::io;
use std::time::Duration;

use super::*;
use crate::config::Framing;
use crate::plan::Limits;
use crate::registers::Table;

fn reached(line: Line) -> Reached {
    let limits = Limits { most_words: 125, gap: 0 };
    Reached { line, slave: 17, timeout: Duration::from_secs(1), limits }
}

fn network() -> Reached {
    reached(Line::Network { host: "10.0.0.7".into(), port: 502, framing: Framing::Tcp })
}

#[test]
fn an_exception_says_what_failed_where_why_and_what_to_do() {
    let reached = network();
    let asked =
        Asked { what: "reading", span: Span::new(Table::Holding, 100, 2).unwrap(), reached: &reached };
    assert_eq!(
        asked.refused(ExceptionCode::IllegalDataAddress).to_string(),
        "the device refuses: reading HoldingRegister 100..101 of device 17 on 10.0.0.7:502: illegal data address (exception 2): \
         the device has no such register: check offset, which counts from 0 (40101 in many manuals is 100), and limit"
    );
    for number in (1..=255).filter(|number| ![10, 11].contains(number)) {
        let error = asked.refused(ExceptionCode::new(number));
        assert!(matches!(error, DriverError::Refused(_)), "{error}");
        assert!(error.to_string().contains(&format!("(exception {number}): ")), "{error}");
    }
}

#[test]
fn what_a_gateway_cannot_reach_is_gone() {
    let reached = network();
    let asked = Asked { what: "writing", span: Span::new(Table::Coil, 0, 1).unwrap(), reached: &reached };
    for code in [ExceptionCode::GatewayPathUnavailable, ExceptionCode::GatewayTargetDevice] {
        assert!(asked.refused(code).is_lost());
    }
}

#[test]
fn a_port_that_may_not_be_used_says_who_may() {
    let serial = crate::config::Serial {
        path: "/dev/ttyUSB0".into(),
        baud: 9600,
        parity: crate::config::Parity::Even,
        stop_bits: 1,
        is_rs485: false,
    };
    let line = Line::Serial(serial);
    let denied = closed(&line, &Failure::Closed(io::Error::from(ErrorKind::PermissionDenied))).to_string();
    assert!(denied.contains("/dev/ttyUSB0 at 9600 8E1") && denied.contains("dialout"), "{denied}");
    let silent = closed(&line, &Failure::Silent(Duration::from_secs(1))).to_string();
    assert!(silent.contains("no answer within 1s: check slaveID, wires, baudRate"), "{silent}");
    let ended = Failure::Broken(Error::Transport(io::Error::from_raw_os_error(0)));
    assert!(closed(&network().line, &ended).to_string().contains("it closed the connection"));
}
