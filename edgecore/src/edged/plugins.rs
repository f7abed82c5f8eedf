//! Plugins of the node: programs of others that say what they are through a socket in `<rootDirectory>/plugins_registry`,
//! as with kubelet (<https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/> and
//! <https://kubernetes-csi.github.io/docs/node-driver-registrar.html>).
//!
//! [`Registry`] watches that folder, asks each socket in it what is there (`pluginregistration.v1`), and hands the answer to the
//! [`PluginHandler`] of its type. It sends nothing and keeps nothing: after a restart every socket is asked again. It ends when
//! it is dropped.

pub mod call;
mod registration;
mod registry;
mod scan;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::fmt::Debug;
use std::path::PathBuf;

use futures::future::BoxFuture;

pub use self::registry::{Handlers, Registry};

/// `type` of a driver of volumes.
pub const CSI_PLUGIN: &str = "CSIPlugin";
/// `type` of a plugin that hands out devices.
pub const DEVICE_PLUGIN: &str = "DevicePlugin";

/// What a plugin says of itself, and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// `CSIPlugin`, `DevicePlugin` or another word: there is a handler for it.
    pub kind: String,
    /// Its name: of the driver, or of the resource. Never empty; what else it must be is for the handler to say.
    pub name: String,
    /// The socket where it serves; absolute. That of the registration when the plugin names none.
    pub endpoint: PathBuf,
    /// The versions of its interface that it speaks.
    pub versions: Vec<String>,
    /// The socket in `plugins_registry`.
    pub socket: PathBuf,
    /// Another one for each time that a socket is met: tells a plugin from the one before it, of the same name and place.
    pub number: u64,
}

/// Takes in the plugins of one type. The registry has one for each type, and calls it from many tasks.
pub trait PluginHandler: Debug + Send + Sync + 'static {
    /// Takes in a plugin, in place of any other of its name. May wait for what the plugin answers, with a limit of its own; is
    /// called again after a while when it fails, and dropped when the plugin's socket goes meanwhile.
    ///
    /// # Errors
    /// Why the plugin cannot be used: a sentence for whoever looks after it. The plugin itself is told, too.
    fn register(&self, plugin: Plugin) -> BoxFuture<'_, Result<(), String>>;

    /// The plugin's socket is gone: forgets the plugin, unless another one has taken its place ([`Plugin::number`] is then
    /// another). Also called for a plugin whose `register` was broken off or has failed.
    ///
    /// Whether it was known: if so, another socket of the same type and name, if there is one, is asked again.
    fn deregister(&self, plugin: &Plugin) -> bool;
}
