//! systemd-logind, which shuts the machine down, and waits for those that have asked it to:
//! <https://systemd.io/INHIBITOR_LOCKS/>.

use std::any::Any;
use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::edged::dbus::body::put_text;
use crate::edged::dbus::{Bus, Destination};

/// Where every system has its bus.
const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";
/// logind's name, as the rules of matching know it.
const NAME: &str = "org.freedesktop.login1";
const MANAGER: Destination =
    Destination { name: NAME, path: "/org/freedesktop/login1", interface: "org.freedesktop.login1.Manager" };
const PROPERTIES: Destination = Destination { interface: "org.freedesktop.DBus.Properties", ..MANAGER };
/// Sent before a shutdown begins, and when it is called off.
const SIGNAL: &str = "PrepareForShutdown";
/// The bus and logind answer at once or are not there.
const LIMIT: Duration = Duration::from_secs(10);

/// Holds the shutdown up until it is dropped.
pub type Inhibitor = Box<dyn Any + Send>;

/// Who shuts the machine down.
pub trait Logind: Debug + Send + Sync + 'static {
    /// Talks to it.
    ///
    /// # Errors
    /// It is not there.
    fn connect(&self) -> BoxFuture<'_, io::Result<Box<dyn Session>>>;
}

/// A connection to it.
pub trait Session: Send {
    /// How long it waits for whoever holds it up.
    ///
    /// # Errors
    /// It is gone.
    fn longest_delay(&mut self) -> BoxFuture<'_, io::Result<Duration>>;
    /// Holds up the next shutdown.
    ///
    /// # Errors
    /// It is gone, or does not let us.
    fn inhibit(&mut self) -> BoxFuture<'_, io::Result<Inhibitor>>;
    /// Waits until a shutdown begins (true) or is called off (false).
    ///
    /// # Errors
    /// It is gone.
    fn next(&mut self) -> BoxFuture<'_, io::Result<bool>>;
}

/// The one at the system's bus.
#[derive(Debug, Clone)]
pub struct SystemLogind {
    socket: PathBuf,
}

impl Default for SystemLogind {
    fn default() -> Self {
        Self::at(SYSTEM_BUS)
    }
}

impl SystemLogind {
    /// At another bus.
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }
}

impl Logind for SystemLogind {
    fn connect(&self) -> BoxFuture<'_, io::Result<Box<dyn Session>>> {
        Box::pin(within(async {
            let mut bus = Bus::connect(&self.socket).await?;
            bus.listen(&format!(
                "type='signal',sender='{NAME}',interface='{}',member='{SIGNAL}'",
                MANAGER.interface
            ))
            .await?;
            // A logind that is started again has forgotten who holds it up.
            let owners = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'";
            bus.listen(&format!("{owners},arg0='{NAME}'")).await?;
            Ok(Box::new(bus) as Box<dyn Session>)
        }))
    }
}

impl Session for Bus {
    fn longest_delay(&mut self) -> BoxFuture<'_, io::Result<Duration>> {
        Box::pin(within(async {
            let mut body = Vec::new();
            put_text(&mut body, MANAGER.interface);
            put_text(&mut body, "InhibitDelayMaxUSec");
            let answer = self.call(PROPERTIES, "Get", "ss", body).await?;
            let micros = answer.variant_u64().ok_or_else(|| odd("InhibitDelayMaxUSec is no number"))?;
            Ok(Duration::from_micros(micros))
        }))
    }

    fn inhibit(&mut self) -> BoxFuture<'_, io::Result<Inhibitor>> {
        Box::pin(within(async {
            let mut body = Vec::new();
            // What, who, why and how; who and why are shown by `systemd-inhibit --list`.
            for text in ["shutdown", "kubelet", "Kubelet needs time to handle node shutdown", "delay"] {
                put_text(&mut body, text);
            }
            let answer = self.call(MANAGER, "Inhibit", "ssss", body).await?;
            let lock = answer.descriptor().ok_or_else(|| odd("Inhibit gives no lock"))?;
            Ok(Box::new(lock) as Inhibitor)
        }))
    }

    fn next(&mut self) -> BoxFuture<'_, io::Result<bool>> {
        Box::pin(async {
            loop {
                let signal = self.signal().await?;
                if signal.is_new_owner_of(NAME) {
                    return Err(odd("logind was started again"));
                }
                if signal.is_signal(MANAGER.interface, SIGNAL) {
                    return Ok(signal.number(0) == Some(1));
                }
            }
        })
    }
}

async fn within<T>(call: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(LIMIT, call).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn odd(text: &str) -> io::Error {
    io::Error::other(text)
}
