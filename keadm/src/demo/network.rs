//! The pods' network: one bridge with a subnet that nobody else uses.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use super::Layout;

/// The subnets that are tried: `10.197.<64..=127>.0/24`, a corner of the private range that defaults of other tools
/// (10.0, 10.42, 10.88, 10.96, 10.244, 172.17, 192.168) leave alone.
const THIRD_OCTETS: std::ops::RangeInclusive<u8> = 64..=127;

/// A route of this machine: network and mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Route {
    network: u32,
    mask: u32,
}

/// Writes the CNI configuration, once: the subnet stays the same over restarts.
pub(super) fn write_cni(layout: &Layout) -> anyhow::Result<()> {
    let dir = layout.path("cni/net.d");
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    let file = dir.join("10-skerry-demo.conflist");
    if file.exists() {
        return Ok(());
    }
    let routes = fs::read_to_string("/proc/net/route").context("read /proc/net/route")?;
    let subnet =
        free_subnet(&parse(&routes)).context("every subnet that the demo would use is in use here")?;
    let config = config(layout.bridge(), subnet, &layout.path("cni/ipam"));
    fs::write(&file, serde_json::to_string_pretty(&config)?)
        .with_context(|| format!("write {}", file.display()))
}

/// No masquerading: that would write into the machine's firewall. Pods reach this machine and each other.
fn config(bridge: &str, subnet: Ipv4Addr, ipam: &Path) -> serde_json::Value {
    json!({
        "cniVersion": "0.4.0",
        "name": bridge,
        "plugins": [
            {
                "type": "bridge",
                "bridge": bridge,
                "isGateway": true,
                "ipMasq": false,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": format!("{subnet}/24")}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": ipam,
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

/// The routes in `/proc/net/route`: hexadecimal words in this machine's byte order (proc(5)).
fn parse(text: &str) -> Vec<Route> {
    let word = |text: &&str| u32::from_str_radix(text, 16).ok().map(u32::from_be);
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            Some(Route { network: word(fields.get(1)?)?, mask: word(fields.get(7)?)? })
        })
        // The default route overlaps with everything and uses nothing.
        .filter(|route| route.mask != 0)
        .collect()
}

fn free_subnet(routes: &[Route]) -> Option<Ipv4Addr> {
    const MASK: u32 = 0xffff_ff00;
    THIRD_OCTETS.map(|third| Ipv4Addr::new(10, 197, third, 0)).find(|subnet| {
        let subnet = u32::from(*subnet);
        !routes.iter().any(|route| {
            let shorter = route.mask & MASK;
            route.network & shorter == subnet & shorter
        })
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::{free_subnet, parse};

    const HEAD: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";

    fn line(network: [u8; 4], mask: [u8; 4]) -> String {
        let word = |bytes| format!("{:08X}", u32::from_ne_bytes(bytes));
        format!("eth0\t{}\t00000000\t0001\t0\t0\t0\t{}\t0\t0\t0\n", word(network), word(mask))
    }

    #[test]
    fn the_first_free_subnet_is_taken() {
        let default = line([0, 0, 0, 0], [0, 0, 0, 0]);
        let other = line([192, 168, 1, 0], [255, 255, 255, 0]);
        let routes = parse(&format!("{HEAD}{default}{other}"));
        assert_eq!(routes.len(), 1);
        assert_eq!(free_subnet(&routes), Some(Ipv4Addr::new(10, 197, 64, 0)));
    }

    #[test]
    fn what_overlaps_is_left_alone() {
        let small = line([10, 197, 64, 128], [255, 255, 255, 128]);
        let routes = parse(&format!("{HEAD}{small}"));
        assert_eq!(free_subnet(&routes), Some(Ipv4Addr::new(10, 197, 65, 0)));
        let large = line([10, 0, 0, 0], [255, 0, 0, 0]);
        assert_eq!(free_subnet(&parse(&format!("{HEAD}{large}"))), None);
    }
}
