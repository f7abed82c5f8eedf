//! The UDP socket of a side that talks with many.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use nix::sys::socket::{setsockopt, sockopt};

/// What the kernel keeps of datagrams that arrive while this side is busy, in bytes. All peers share it: the usual 208 KiB
/// hold the first datagrams of 90 of them (the kernel counts 2 KiB for each), and of a fleet of 1,000 that came at once a
/// third of all datagrams was lost. Linux takes the memory only while they wait.
const BUFFER: usize = 8 * 1024 * 1024;

/// A bound socket with as much room as the system allows: all of it with CAP_NET_ADMIN, otherwise no more than
/// `net.core.rmem_max` (socket(7)).
///
/// # Errors
/// When the address cannot be had.
pub(super) fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    let roomy = setsockopt(&socket, sockopt::RcvBufForce, &BUFFER)
        .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &BUFFER));
    if let Err(error) = roomy {
        // It works without, but for storms.
        tracing::warn!("the receive buffer of {address}/udp stays small: {error}");
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::getsockopt;

    use super::*;

    #[test]
    fn there_is_as_much_room_as_the_system_allows() {
        let allowed: usize =
            std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap().trim().parse().unwrap();
        let socket = open("127.0.0.1:0".parse().unwrap()).unwrap();
        // The kernel doubles what is asked for, for its own use.
        let room = getsockopt(&socket, sockopt::RcvBuf).unwrap();
        assert!(room >= 2 * BUFFER.min(allowed), "{room}");
    }
}
