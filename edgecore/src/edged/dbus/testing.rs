//! The other side of a connection, for tests: reads calls, writes what answers them.

use super::body::{align, put_text};
use super::{Destination, HEADER, call, length, parse};

/// A call that was made.
pub(in crate::edged) struct Called {
    pub(in crate::edged) serial: u32,
    pub(in crate::edged) method: String,
    pub(in crate::edged) body: Vec<u8>,
}

/// Takes the first call from what was read, if it is whole.
pub(in crate::edged) fn take(bytes: &mut Vec<u8>) -> Option<Called> {
    let length = length(bytes).unwrap().filter(|length| bytes.len() >= *length)?;
    let whole: Vec<u8> = bytes.drain(..length).collect();
    let message = parse(&whole).unwrap();
    let serial = u32::from_le_bytes(whole[8..12].try_into().unwrap());
    Some(Called { serial, method: message.member, body: message.body })
}

/// The answer to a call, with this text, or with nothing.
pub(in crate::edged) fn answer(serial: u32, text: &str) -> Vec<u8> {
    reply(2, serial, None, text)
}

/// That a call failed.
pub(in crate::edged) fn error(serial: u32, name: &str) -> Vec<u8> {
    reply(3, serial, Some(name), "no")
}

/// systemd's signal that a job has ended.
pub(in crate::edged) fn job_removed(from: Destination, job: &str, unit: &str, result: &str) -> Vec<u8> {
    let mut body = 7_u32.to_le_bytes().to_vec();
    for text in [job, unit, result] {
        put_text(&mut body, text);
    }
    let mut bytes = call(9, from, "JobRemoved", "uoss", &body);
    // Written as a call; it is a signal.
    bytes[1] = 4;
    bytes
}

fn reply(kind: u8, serial: u32, error: Option<&str>, text: &str) -> Vec<u8> {
    let mut fields = vec![5, 1, b'u', 0];
    fields.extend(serial.to_le_bytes());
    if let Some(name) = error {
        fields.extend([4, 1, b's', 0]);
        put_text(&mut fields, name);
        align(&mut fields, 8);
    }
    let mut body = Vec::new();
    if !text.is_empty() {
        put_text(&mut body, text);
        fields.extend([8, 1, b'g', 0, 1, b's', 0]);
    }
    let number = |length: usize| u32::try_from(length).unwrap().to_le_bytes();
    let mut bytes = vec![b'l', kind, 0, 1];
    bytes.extend(number(body.len()));
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(number(fields.len()));
    assert_eq!(bytes.len(), HEADER);
    bytes.extend(fields);
    align(&mut bytes, 8);
    bytes.extend(body);
    bytes
}
