//! Which drivers are on this node.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::watch;

use super::client::Client;
use super::wire::{NodeCapability, NodeGetInfoResponse};
use crate::edged::plugins::{Plugin, PluginHandler};

/// Longest name of a driver, and what it is made of: the specification's rule, which keeps it usable as a folder's name.
const MAX_NAME: usize = 63;
/// Longest name that a driver may give the node (the specification's rule of 1.4; earlier drivers keep to 128).
const MAX_NODE_ID: usize = 256;

/// A driver that has registered.
#[derive(Debug, Clone)]
pub struct Driver {
    /// How it is reached.
    pub client: Client,
    /// What it can do.
    pub capabilities: BTreeSet<NodeCapability>,
    /// What it calls this node, and where that is.
    pub node: NodeGetInfoResponse,
    /// Of its registration: see [`Plugin::number`].
    number: u64,
}

/// The drivers of this node, by name. Taken in as plugins of type `CSIPlugin`.
#[derive(Debug, Default)]
pub struct Drivers {
    known: watch::Sender<BTreeMap<String, Driver>>,
}

// === impl Driver ===

impl Driver {
    /// Whether it can do that.
    pub fn can(&self, capability: NodeCapability) -> bool {
        self.capabilities.contains(&capability)
    }
}

// === impl Drivers ===

impl Drivers {
    /// The driver of this name.
    ///
    /// # Errors
    /// It is not here: a sentence that says what to do.
    pub fn get(&self, name: &str) -> Result<Driver, String> {
        let known = self.known.borrow();
        known.get(name).cloned().ok_or_else(|| {
            let others: Vec<&str> = known.keys().map(String::as_str).collect();
            let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
            format!(
                "CSI driver {name:?} is not registered on this node (registered: {others}): its node plugin has to run here"
            )
        })
    }

    /// Follows which drivers are here.
    pub fn follow(&self) -> watch::Receiver<BTreeMap<String, Driver>> {
        self.known.subscribe()
    }
}

impl PluginHandler for Drivers {
    fn register(&self, plugin: Plugin) -> BoxFuture<'_, Result<(), String>> {
        async move {
            check(&plugin)?;
            let client = Client::new(&plugin.endpoint);
            let node = client.node_info().await.map_err(|error| error.to_string())?;
            if node.node_id.is_empty() || node.node_id.len() > MAX_NODE_ID {
                return Err(format!("NodeGetInfo: the node's id is to have 1 to {MAX_NODE_ID} bytes"));
            }
            let capabilities = client.capabilities().await.map_err(|error| error.to_string())?;
            let driver = Driver { client, capabilities, node, number: plugin.number };
            self.known.send_modify(|known| {
                known.insert(plugin.name, driver);
            });
            Ok(())
        }
        .boxed()
    }

    fn deregister(&self, plugin: &Plugin) -> bool {
        self.known.send_if_modified(|known| {
            let is_same = known.get(&plugin.name).is_some_and(|driver| driver.number == plugin.number);
            is_same && known.remove(&plugin.name).is_some()
        })
    }
}

fn check(plugin: &Plugin) -> Result<(), String> {
    let name = &plugin.name;
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    if name.len() > MAX_NAME
        || !bytes.iter().copied().all(is_usual)
        || !ends(bytes.first())
        || !ends(bytes.last())
    {
        return Err(format!(
            "{name:?} is no name of a CSI driver: at most {MAX_NAME} letters, digits, '-', '_' and '.'"
        ));
    }
    let is_first = |version: &String| version.trim_start_matches('v').split('.').next() == Some("1");
    if !plugin.versions.iter().any(is_first) {
        return Err(format!("it speaks CSI {:?}, and this node 1.x", plugin.versions.join(", ")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn plugin(name: &str, versions: &[&str]) -> Plugin {
        Plugin {
            kind: "CSIPlugin".to_owned(),
            name: name.to_owned(),
            endpoint: Path::new("/p").to_owned(),
            versions: versions.iter().map(|&version| version.to_owned()).collect(),
            socket: Path::new("/s").to_owned(),
            number: 1,
        }
    }

    #[test]
    fn names_and_versions_are_checked() {
        for name in ["hostpath.csi.k8s.io", "a", "A_b-c.d"] {
            assert_eq!(check(&plugin(name, &["0.3.0", "v1.9.0"])), Ok(()), "{name}");
        }
        for name in ["..", "-a", "a.", "a/b", "a b", &"a".repeat(64)] {
            assert!(check(&plugin(name, &["1.0.0"])).is_err(), "{name}");
        }
        for versions in [&[][..], &["0.3.0"], &["10.0.0"], &["2.0.0"]] {
            assert!(check(&plugin("a", versions)).unwrap_err().contains("1.x"), "{versions:?}");
        }
    }
}
