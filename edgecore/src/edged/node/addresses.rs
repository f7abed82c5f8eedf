//! The addresses of the node: what is configured, else that of the interface with the default route.

use std::net::{IpAddr, Ipv4Addr};

use nix::ifaddrs::getifaddrs;

use super::config::NodeConfig;

/// Where the kernel lists its IPv4 routes (proc(5)).
const ROUTES: &str = "/proc/net/route";

/// Addresses of this node, the primary one first; never empty. A machine without any network has its loopback.
pub(super) fn node_addresses(config: &NodeConfig) -> Vec<IpAddr> {
    if let Some(address) = config.address {
        return vec![address];
    }
    let routes = std::fs::read_to_string(ROUTES).unwrap_or_default();
    choose(&interface_addresses(), config.interface.as_deref(), default_interface(&routes))
}

/// The addresses of all interfaces that are up, with the interface's name.
fn interface_addresses() -> Vec<(String, IpAddr)> {
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    let address = |interface: nix::ifaddrs::InterfaceAddress| {
        let storage = interface.address?;
        let v4 = storage.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
        let v6 = || storage.as_sockaddr_in6().map(|address| IpAddr::from(address.ip()));
        Some((interface.interface_name, v4.or_else(v6)?))
    };
    interfaces.filter_map(address).collect()
}

/// The interface of the default route with the lowest metric.
fn default_interface(routes: &str) -> Option<&str> {
    let defaults = routes.lines().skip(1).filter_map(default_route);
    defaults.min_by_key(|(metric, _)| *metric).map(|(_, interface)| interface)
}

/// Metric and interface of a line that is a default route.
fn default_route(line: &str) -> Option<(u32, &str)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [interface, destination, _, _, _, _, metric, mask, ..] = fields[..] else { return None };
    let is_default = destination == "00000000" && mask == "00000000";
    metric.parse().ok().filter(|_| is_default).map(|metric| (metric, interface))
}

fn choose(addresses: &[(String, IpAddr)], wanted: Option<&str>, default: Option<&str>) -> Vec<IpAddr> {
    let usable = |address: &IpAddr| match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
    };
    let of = |interface: Option<&str>| -> Vec<IpAddr> {
        let on = addresses.iter().filter(|(name, _)| interface.is_none_or(|interface| name == interface));
        on.map(|(_, address)| *address).filter(usable).collect()
    };
    let candidates = [wanted.map(|name| of(Some(name))), default.map(|name| of(Some(name))), Some(of(None))];
    let found = candidates.into_iter().flatten().find(|addresses| !addresses.is_empty()).unwrap_or_default();
    // One, as kubelet does when it is not told otherwise: two families are for clusters that are set up for them.
    let chosen = found.iter().find(|address| address.is_ipv4()).or(found.first());
    vec![chosen.copied().unwrap_or(Ipv4Addr::LOCALHOST.into())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[(&str, &str)]) -> Vec<(String, IpAddr)> {
        list.iter().map(|(name, address)| ((*name).to_owned(), address.parse().unwrap())).collect()
    }

    fn chosen(wanted: Option<&str>, default: Option<&str>) -> Vec<String> {
        let all = addresses(&[
            ("lo", "127.0.0.1"),
            ("cni0", "10.1.0.1"),
            ("eth0", "fe80::1"),
            ("eth0", "fd00::2"),
            ("eth0", "192.0.2.2"),
            ("eth0", "192.0.2.3"),
            ("wlan0", "198.51.100.7"),
        ]);
        choose(&all, wanted, default).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_configured_interface_then_the_default_route_then_any() {
        assert_eq!(chosen(Some("wlan0"), Some("eth0")), ["198.51.100.7"]);
        assert_eq!(chosen(None, Some("eth0")), ["192.0.2.2"]);
        assert_eq!(chosen(Some("gone"), None), ["10.1.0.1"]);
        assert_eq!(
            choose(&addresses(&[("eth0", "fd00::2")]), None, None),
            ["fd00::2".parse::<IpAddr>().unwrap()]
        );
        assert_eq!(choose(&addresses(&[("lo", "127.0.0.1")]), None, None), [IpAddr::from([127, 0, 0, 1])]);
    }

    #[test]
    fn the_default_route_is_found() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                     wlan0\t00000000\t01\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
                     eth0\t00000000\t01\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                     eth0\t000200C0\t00\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(default_interface(table), Some("eth0"));
        assert_eq!(default_interface("Iface\nbroken\n"), None);
        assert_eq!(default_interface(""), None);
    }

    #[test]
    fn this_node_has_an_address() {
        let config = NodeConfig::from_file(&proto::config::edgecore::Edged::default(), "n").unwrap();
        assert!(!node_addresses(&config).is_empty());
    }
}
