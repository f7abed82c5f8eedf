//! Free ports for servers that cannot be told to take port 0 and say which one they got.

use std::net::{Ipv4Addr, TcpListener};

/// Reserves `N` different TCP ports on the loopback address and lets go of them. All are held at once, so they
/// differ; another process may still take one before the server does, which shows as a failure to bind.
///
/// # Errors
/// When the machine has no free port left.
pub fn free<const N: usize>() -> std::io::Result<[u16; N]> {
    let mut ports = [0; N];
    let mut held = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
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
