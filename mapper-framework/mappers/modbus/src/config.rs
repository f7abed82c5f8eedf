//! How a device is reached: its `configData`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mapper_framework::{Checked, Config, Keys};

use crate::plan::Limits;

/// Registered for Modbus.
const PORT: i64 = 502;
/// Modbus over Serial Line 1.02, 2.5.1: the speed that every device must know.
const BAUD: i64 = 19_200;
/// As long as slow devices need, with some to spare.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Numbers above are no milliseconds, but the nanoseconds that stock's first mapper took.
const MOST_TIMEOUT_MS: i64 = 600_000;

/// How one device is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) line: Line,
    /// Which of the devices on the line.
    pub(crate) slave: u8,
    /// For one answer.
    pub(crate) timeout: Duration,
    pub(crate) limits: Limits,
}

/// What devices hang on: a network address or a serial port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Line {
    Network { host: String, port: u16, framing: Framing },
    Serial(Serial),
}

/// How requests are framed on a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Framing {
    /// Modbus TCP.
    Tcp,
    /// As on a serial line: converters that know nothing of Modbus.
    Rtu,
}

/// A serial port and its settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Serial {
    pub(crate) path: PathBuf,
    pub(crate) baud: u32,
    pub(crate) parity: Parity,
    pub(crate) stop_bits: u8,
    /// The kernel switches the sender of an RS-485 port.
    pub(crate) is_rs485: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Parity {
    None,
    Even,
    Odd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Tcp,
    Rtu,
    RtuOverTcp,
}

const MODES: [(&str, Mode); 5] = [
    ("TCP", Mode::Tcp),
    ("RTU", Mode::Rtu),
    ("RTUoverTCP", Mode::RtuOverTcp),
    ("serial", Mode::Rtu),
    ("com", Mode::Rtu),
];

const PARITIES: [(&str, Parity); 6] = [
    ("none", Parity::None),
    ("even", Parity::Even),
    ("odd", Parity::Odd),
    ("N", Parity::None),
    ("E", Parity::Even),
    ("O", Parity::Odd),
];

const MODE_KEYS: [&str; 3] = ["communicateMode", "commType", "mode"];
const HOST_KEYS: [&str; 2] = ["ip", "host"];
const SERIAL_KEYS: [&str; 2] = ["serialPort", "serialName"];
const SLAVE_KEYS: [&str; 2] = ["slaveID", "unitID"];
/// Keys that stock's manifests have and its mappers do not read.
const KNOWN: [&str; 3] = ["deviceID", "protocolID", "protocolName"];

impl Reached {
    /// What `configData` says, or everything that is wrong with it, and keys that mean nothing.
    pub(crate) fn read(config: &Config) -> Checked<Self> {
        let mut keys = config.keys("protocol.configData");
        let reached = parse(&mut keys);
        keys.checked(reached, &KNOWN)
    }
}

fn parse(keys: &mut Keys<'_>) -> Option<Reached> {
    let mode = mode(keys);
    let line = mode.and_then(|mode| match mode {
        Mode::Rtu => serial(keys).map(Line::Serial),
        Mode::Tcp => network(keys, Framing::Tcp),
        Mode::RtuOverTcp => network(keys, Framing::Rtu),
    });
    // On a serial line 0 is for all devices at once, and nobody answers; TCP devices that are alone on their address answer it.
    let (addresses, usual) = if mode == Some(Mode::Tcp) { (0..=255, Some(1)) } else { (1..=247, None) };
    let slave = keys.whole(&SLAVE_KEYS, addresses).or(usual);
    if slave.is_none() && !keys.has(&SLAVE_KEYS) {
        keys.problem("slaveID", "is missing: the address of the device on its line, 1 to 247");
    }
    let timeout = timeout(keys);
    let most_words = keys.whole(&["maxRegisters"], 1..=125).unwrap_or(125);
    let gap = keys.whole(&["maxGap"], 0..=120).unwrap_or(0);
    let limits = Limits { most_words: u16::try_from(most_words).ok()?, gap: u16::try_from(gap).ok()? };
    Some(Reached { line: line?, slave: u8::try_from(slave?).ok()?, timeout, limits })
}

/// What is said, or what follows from the keys that are there.
fn mode(keys: &mut Keys<'_>) -> Option<Mode> {
    if keys.has(&MODE_KEYS) {
        return keys.choice(&MODE_KEYS, &MODES);
    }
    match (keys.has(&HOST_KEYS), keys.has(&SERIAL_KEYS)) {
        (true, false) => Some(Mode::Tcp),
        (false, true) => Some(Mode::Rtu),
        (true, true) => {
            keys.problem("communicateMode", "is missing, and both ip and serialPort are there: TCP or RTU");
            None
        }
        (false, false) => {
            keys.problem("communicateMode", "is missing: TCP with ip and port, or RTU with serialPort");
            None
        }
    }
}

fn network(keys: &mut Keys<'_>, framing: Framing) -> Option<Line> {
    let host = keys.text(&HOST_KEYS);
    if host.is_none() && !keys.has(&HOST_KEYS) {
        keys.problem("ip", "is missing: the address or name of the device");
    }
    let port = keys.whole(&["port"], 1..=65535).unwrap_or(PORT);
    Some(Line::Network { host: host?, port: u16::try_from(port).ok()?, framing })
}

fn serial(keys: &mut Keys<'_>) -> Option<Serial> {
    let path = keys.text(&SERIAL_KEYS);
    let name = keys.path(&SERIAL_KEYS);
    if path.is_none() && !keys.has(&SERIAL_KEYS) {
        keys.problem("serialPort", "is missing: the port, such as /dev/ttyUSB0");
    }
    // Whoever writes manifests has no say over the node's other files.
    let path = path.filter(|path| {
        let is_device = path.starts_with("/dev/") && !path.split('/').any(|part| part == "..");
        if !is_device {
            keys.problem(
                &name,
                &format!("{path:?} is no port: one is a path below /dev, such as /dev/ttyUSB0"),
            );
        }
        is_device
    });
    let baud = keys.whole(&["baudRate"], 50..=4_000_000).unwrap_or(BAUD);
    if keys.whole(&["dataBits"], 5..=8).is_some_and(|bits| bits != 8) {
        keys.problem("dataBits", "RTU sends bytes: 8");
    }
    let parity = keys.choice(&["parity"], &PARITIES).unwrap_or(Parity::None);
    let stop_bits = keys.whole(&["stopBits"], 1..=2).unwrap_or(1);
    let by_type = keys.choice(&["serialType"], &[("RS232", false), ("RS485", true)]);
    let is_rs485 = keys.flag(&["rs485Enabled"]).or(by_type).unwrap_or(false);
    Some(Serial {
        path: path?.into(),
        baud: u32::try_from(baud).ok()?,
        parity,
        stop_bits: u8::try_from(stop_bits).ok()?,
        is_rs485,
    })
}

fn timeout(keys: &mut Keys<'_>) -> Duration {
    let Some(number) = keys.whole(&["timeout"], 0..=i64::MAX) else { return TIMEOUT };
    let timeout = match u64::try_from(number).unwrap_or_default() {
        0 => return TIMEOUT,
        nanoseconds if number > MOST_TIMEOUT_MS => Duration::from_nanos(nanoseconds),
        milliseconds => Duration::from_millis(milliseconds),
    };
    if !(Duration::from_millis(10)..=Duration::from_secs(60)).contains(&timeout) {
        keys.problem("timeout", &format!("{number} is none of 10 to 60000 milliseconds"));
    }
    timeout
}

impl Line {
    /// What all devices of a line have in common. A port's many names are one.
    pub(crate) fn settings(&self) -> Self {
        match self {
            Self::Network { port, framing, .. } => {
                Self::Network { host: String::new(), port: *port, framing: *framing }
            }
            Self::Serial(serial) => Self::Serial(Serial { path: PathBuf::new(), ..serial.clone() }),
        }
    }

    /// What is not between frames on a serial line is part of one: 3.5 characters, and at high speeds 1.75 ms (Modbus over
    /// Serial Line 1.02, 2.5.1.1).
    pub(crate) fn silence(&self) -> Duration {
        match self {
            Self::Network { .. } => Duration::ZERO,
            Self::Serial(Serial { baud, .. }) if *baud > 19_200 => Duration::from_micros(1750),
            // A character has 11 bits.
            Self::Serial(Serial { baud, .. }) => Duration::from_secs_f64(3.5 * 11.0 / f64::from(*baud)),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Network { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Serial(serial) => serial.fmt(f),
        }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parity = match self.parity {
            Parity::None => 'N',
            Parity::Even => 'E',
            Parity::Odd => 'O',
        };
        write!(f, "{} at {} 8{parity}{}", self.path.display(), self.baud, self.stop_bits)
    }
}

#[cfg(test)]
mod tests;
