//! A network of machines: a switch in a namespace of its own, and a cable to the namespace of each machine. Nothing of it is in the
//! network of the machine that tests run on.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::Context as _;

/// The bridge in the namespace of the switch.
const BRIDGE: &str = "switch";
/// The machine's end of its cable.
const CARD: &str = "host0";

/// The network. Dropping it takes it away with all its namespaces.
#[derive(Debug)]
pub struct Network {
    prefix: String,
    namespaces: Vec<String>,
}

impl Network {
    /// With nobody on it.
    ///
    /// # Errors
    /// When namespaces cannot be made, for which one has to be root.
    pub fn new() -> anyhow::Result<Self> {
        let prefix = format!("skerry-{}", std::process::id());
        let switch = format!("{prefix}-switch");
        let mut network = Self { prefix, namespaces: Vec::new() };
        network.make(&switch)?;
        ip(&["-n", &switch, "link", "add", BRIDGE, "type", "bridge"])?;
        ip(&["-n", &switch, "link", "set", BRIDGE, "up"])?;
        Ok(network)
    }

    fn make(&mut self, namespace: &str) -> anyhow::Result<()> {
        ip(&["netns", "add", namespace])?;
        self.namespaces.push(namespace.to_owned());
        ip(&["-n", namespace, "link", "set", "lo", "up"])
    }

    /// A namespace with a cable to the switch; its name, and its address in 10.203.0.0/24.
    pub(super) fn plug(&mut self, machine: &str) -> anyhow::Result<(String, Ipv4Addr)> {
        let number = u8::try_from(self.namespaces.len())?;
        let address = Ipv4Addr::new(10, 203, 0, number);
        let namespace = format!("{}-{machine}", self.prefix);
        self.make(&namespace)?;
        let (switch, port) = (self.namespaces[0].clone(), format!("port{number}"));
        ip(&[
            "link", "add", "name", &port, "netns", &switch, "type", "veth", "peer", "name", CARD, "netns",
            &namespace,
        ])?;
        ip(&["-n", &switch, "link", "set", &port, "master", BRIDGE, "up"])?;
        ip(&["-n", &namespace, "address", "add", &format!("{address}/24"), "dev", CARD])?;
        ip(&["-n", &namespace, "link", "set", CARD, "up"])?;
        // There is nothing beyond, but a machine without a default route has no address of its own to name.
        ip(&["-n", &namespace, "route", "add", "default", "dev", CARD])?;
        Ok((namespace, address))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in &self.namespaces {
            // Cables end with either namespace.
            if let Err(error) = ip(&["netns", "delete", namespace]) {
                tracing::error!(%error, namespace, "left behind");
            }
        }
    }
}

fn ip(words: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(words).output().context("run ip (iproute2)")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.success(), "ip {}: {said}", words.join(" "));
    Ok(())
}
