//! What the machine calls itself.

use std::net::{IpAddr, Ipv4Addr};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// Address of this machine for others: the first IPv4 address of an interface that is up and is not the loopback;
/// without one, the loopback address, which is right for a machine that is alone.
#[must_use]
pub fn local_ip() -> IpAddr {
    let usable = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING;
    let addresses = getifaddrs().into_iter().flatten().filter(|interface| {
        interface.flags.contains(usable) && !interface.flags.contains(InterfaceFlags::IFF_LOOPBACK)
    });
    let ipv4 =
        |interface: nix::ifaddrs::InterfaceAddress| interface.address?.as_sockaddr_in().map(|ip| ip.ip());
    addresses.filter_map(ipv4).find(|ip| !ip.is_link_local()).unwrap_or(Ipv4Addr::LOCALHOST).into()
}

/// Host name of this machine; `localhost` when it has none that can be read.
#[must_use]
pub fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_machine_has_a_name_and_an_address() {
        assert!(!super::host_name().is_empty());
        assert!(!super::local_ip().is_unspecified());
    }
}
