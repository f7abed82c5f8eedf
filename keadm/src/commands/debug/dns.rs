//! One question to one DNS server (RFC 1035): the addresses of a name. Only for `debug check dns -D`, which has to know what that
//! server says and no other.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, ensure};

pub(super) const PORT: u16 = 53;
/// Longest answer over UDP.
pub(super) const LONGEST: usize = 512;
/// Of the one question that is asked.
const ID: u16 = 0x5ce7;
const HEADER: usize = 12;
const TYPE_A: u16 = 1;
const CLASS_IN: u16 = 1;

/// Asks for the IPv4 addresses of `name`.
///
/// # Errors
/// When no host can have that name.
pub(super) fn question(name: &str) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    // Recursion is desired; one question.
    for word in [ID, 0x0100, 1, 0, 0, 0] {
        text.extend(word.to_be_bytes());
    }
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length));
        text.push(length.with_context(|| format!("{name:?} is no name of a host"))?);
        text.extend(label.as_bytes());
    }
    text.push(0);
    ensure!(text.len() < LONGEST / 2, "{name:?} is too long for a name of a host");
    text.extend(TYPE_A.to_be_bytes());
    text.extend(CLASS_IN.to_be_bytes());
    Ok(text)
}

/// The addresses in an answer.
///
/// # Errors
/// When the server says that it cannot, or what came is no answer to the question.
pub(super) fn addresses(answer: &[u8]) -> anyhow::Result<Vec<IpAddr>> {
    let word = |at: usize| -> anyhow::Result<u16> {
        let bytes = answer.get(at..at + 2).context("the answer ends early")?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    };
    ensure!(word(0)? == ID, "an answer to another question");
    match word(2)? & 0xf {
        0 => {}
        3 => anyhow::bail!("there is no such name"),
        code => anyhow::bail!("the server refuses, with code {code}"),
    }
    let mut at = HEADER;
    for _ in 0..word(4)? {
        at = after_name(answer, at)? + 4;
    }
    let mut found = Vec::new();
    for _ in 0..word(6)? {
        at = after_name(answer, at)?;
        let (kind, length) = (word(at)?, usize::from(word(at + 8)?));
        at += 10;
        let data = answer.get(at..at + length).context("the answer ends early")?;
        if let (TYPE_A, [a, b, c, d]) = (kind, data) {
            found.push(Ipv4Addr::new(*a, *b, *c, *d).into());
        }
        at += length;
    }
    Ok(found)
}

/// Behind a name, which ends with an empty label or with a pointer to the rest of it.
fn after_name(answer: &[u8], mut at: usize) -> anyhow::Result<usize> {
    loop {
        match answer.get(at).context("the answer ends early")? {
            0 => return Ok(at + 1),
            length if length & 0xc0 == 0xc0 => return Ok(at + 2),
            length => at += usize::from(*length) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answered(code: u8) -> Vec<u8> {
        let mut answer = question("cloud.example").unwrap();
        answer[2..4].copy_from_slice(&[0x81, 0x80 | code]);
        answer[7] = 2;
        // An alias first: its data is a name, not an address.
        answer.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 12]);
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
        answer
    }

    #[test]
    fn addresses_are_found_behind_aliases() {
        assert_eq!(addresses(&answered(0)).unwrap(), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        assert!(addresses(&answered(3)).unwrap_err().to_string().contains("no such name"));
        assert!(addresses(&answered(2)).unwrap_err().to_string().contains("code 2"));
        assert!(question("a..b").is_err());
        assert!(question(&"a".repeat(64)).is_err());
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), cut in 0..60_usize) {
            drop(addresses(&bytes));
            let whole = answered(0);
            drop(addresses(&whole[..whole.len().saturating_sub(cut)]));
        }
    }
}
