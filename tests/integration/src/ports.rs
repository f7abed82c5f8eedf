//! Free ports for servers that cannot be told to take port 0 and say which one they got.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::Context as _;

/// Below the ports that Linux gives to outgoing connections (32768 and up, ip(7)): such a connection could take a port
/// between the moment when it was found free and the moment when its server starts.
const PORTS: Range<u16> = 20_000..32_000;

/// `N` different TCP ports on which nobody listens on the loopback address. No test of this process gets one of them
/// again, and two processes begin in different places.
///
/// # Errors
/// When no port of the range is free.
pub fn free<const N: usize>() -> io::Result<[u16; N]> {
    let mut ports = [0; N];
    for port in &mut ports {
        *port = next()?;
    }
    Ok(ports)
}

fn next() -> io::Result<u16> {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let count = PORTS.end - PORTS.start;
    // Process ids that follow each other begin a hundred ports apart.
    let first = std::process::id() % u32::from(count);
    for _ in 0..count {
        let given = u32::from(GIVEN.fetch_add(1, Ordering::Relaxed));
        let place = (first * 101 + given) % u32::from(count);
        let port = PORTS.start + u16::try_from(place).map_err(io::Error::other)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no free port"))
}

/// A number that shifts each of `ports` to one that is free and claimed by nobody else who asks here, and the claims, which
/// end when they are dropped. Another one for each process and each call.
///
/// # Errors
/// When there is none.
pub fn shift(ports: &[u16]) -> anyhow::Result<(u16, Vec<UnixListener>)> {
    static CALLS: AtomicU16 = AtomicU16::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let start = 1_000 + u16::try_from(std::process::id() % 900)? * 11 + call * 13;
    let claims = |offset: u16| {
        let claims: Option<Vec<UnixListener>> = ports.iter().map(|port| claim(port + offset)).collect();
        claims.map(|claims| (offset, claims))
    };
    (start..start + 10_000).step_by(101).find_map(claims).context("no free ports")
}

/// A name that only one process of this network namespace can have, and that goes with it; if nobody listens on the port.
fn claim(port: u16) -> Option<UnixListener> {
    let name = SocketAddr::from_abstract_name(format!("skerry-test-port-{port}")).ok()?;
    let claim = UnixListener::bind_addr(&name).ok()?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok().then_some(claim)
}

#[cfg(test)]
mod tests {
    use super::free;

    #[test]
    fn ports_differ_and_can_be_bound() {
        let ports = free::<8>().unwrap();
        let distinct: std::collections::BTreeSet<_> = ports.iter().collect();
        assert_eq!(distinct.len(), ports.len());
        for port in ports {
            std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        }
    }
}
