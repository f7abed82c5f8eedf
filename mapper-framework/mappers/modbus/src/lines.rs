//! Lines that devices hang on. All devices of a serial port or a network address share one connection and take turns on it: a
//! serial line carries one conversation at a time, and many gateways take one connection only.
//!
//! A line is opened by whoever needs it first and closed when nobody needs it any more. One failure opens it anew for the next
//! request: an answer that comes too late must not be taken for the answer to another question.

mod port;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use mapper_framework::DriverError;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_modbus::client::{Client as _, Context};
use tokio_modbus::slave::SlaveContext as _;
use tokio_modbus::{ExceptionCode, Request, Response, Slave};

use self::port::Port;
use crate::config::Line;

/// After a failure on a serial line: long enough for what was under way to arrive, so that it can be thrown away. A full frame
/// of 256 bytes takes 133 ms at 19,200 baud.
const SETTLE: Duration = Duration::from_millis(150);

/// All lines of a mapper.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Mutex<HashMap<Place, Weak<Shared>>>>);

/// Where a line is, whatever its settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Network(String, u16),
    Serial(PathBuf),
}

/// A line that is in use.
#[derive(Debug)]
pub(crate) struct Shared {
    line: Line,
    link: tokio::sync::Mutex<Link>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The line cannot be opened.
    Closed(std::io::Error),
    /// Nothing came in time.
    Silent(Duration),
    /// What came is no answer, or the line broke.
    Broken(tokio_modbus::Error),
}

/// A device's answer: content, or what it has against the request.
pub(crate) type Answer = Result<Response, ExceptionCode>;

#[derive(Default)]
struct Link {
    context: Option<Context>,
    port: Port,
    /// The last request was not answered, or dropped.
    is_unsettled: bool,
    silent_until: Option<Instant>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("is_open", &self.context.is_some()).finish_non_exhaustive()
    }
}

impl Lines {
    /// The line, shared with every other device on it.
    ///
    /// # Errors
    /// When others use it with other settings.
    pub(crate) fn get(&self, line: &Line) -> Result<Arc<Shared>, DriverError> {
        let place = place(line);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|_, line| line.strong_count() > 0);
        if let Some(shared) = lines.get(&place).and_then(Weak::upgrade) {
            if shared.line.settings() != line.settings() {
                let other = &shared.line;
                return Err(DriverError::Config(format!(
                    "{line}: another device uses this line as {other}; all devices of a line have the same settings"
                )));
            }
            return Ok(shared);
        }
        let shared = Arc::new(Shared { line: line.clone(), link: tokio::sync::Mutex::default() });
        lines.insert(place, Arc::downgrade(&shared));
        Ok(shared)
    }
}

/// A port has many names (`/dev/serial/by-id/...`), which lead to one.
fn place(line: &Line) -> Place {
    match line {
        Line::Network { host, port, .. } => Place::Network(host.to_lowercase(), *port),
        Line::Serial(serial) => {
            Place::Serial(serial.path.canonicalize().unwrap_or_else(|_| serial.path.clone()))
        }
    }
}

impl Shared {
    /// Opens the line, if it is not open.
    pub(crate) async fn open(&self, limit: Duration) -> Result<(), Failure> {
        let mut link = self.link.lock().await;
        if link.context.is_none() {
            link.context = Some(self.connect(&mut link, limit).await?);
        }
        Ok(())
    }

    /// Asks one device. Others wait for their turn meanwhile. May be dropped at any point.
    pub(crate) async fn ask(
        &self,
        slave: u8,
        request: &Request<'static>,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let mut link = self.link.lock().await;
        let was_open = link.context.is_some();
        let mut result = self.exchange(&mut link, slave, request, limit).await;
        // Devices close connections that were idle for a while; and on a serial line another device's late answer may have come
        // first. What only reads can be asked again at once.
        let again = match &result {
            Err(Failure::Broken(_)) => {
                is_reading(request) && (was_open || matches!(self.line, Line::Serial(_)))
            }
            _ => false,
        };
        if again {
            result = self.exchange(&mut link, slave, request, limit).await;
        }
        result
    }

    async fn exchange(
        &self,
        link: &mut Link,
        slave: u8,
        request: &Request<'static>,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let mut context = match link.context.take() {
            Some(context) => context,
            None => self.connect(link, limit).await?,
        };
        if let Some(until) = link.silent_until.take() {
            sleep_until(until).await;
        }
        link.port.discard().map_err(Failure::Closed)?;
        // Until there is an answer, also where nobody waits for it any more.
        link.is_unsettled = true;
        context.set_slave(Slave(slave));
        let answer = timeout(limit, context.call(request.clone())).await;
        link.silent_until = Some(Instant::now() + self.line.silence());
        match answer {
            Ok(Ok(answer)) => {
                link.is_unsettled = false;
                link.context = Some(context);
                Ok(answer)
            }
            Ok(Err(error)) => {
                if matches!(error, tokio_modbus::Error::Transport(_)) {
                    link.port = Port::default();
                }
                Err(Failure::Broken(error))
            }
            Err(_) => Err(Failure::Silent(limit)),
        }
    }

    async fn connect(&self, link: &mut Link, limit: Duration) -> Result<Context, Failure> {
        if link.is_unsettled && matches!(self.line, Line::Serial(_)) {
            sleep(SETTLE).await;
        }
        let opened = timeout(limit, link.port.open(&self.line)).await;
        opened.map_err(|_| Failure::Silent(limit))?.map_err(Failure::Closed)
    }
}

fn is_reading(request: &Request<'_>) -> bool {
    use Request::{ReadCoils, ReadDiscreteInputs, ReadHoldingRegisters, ReadInputRegisters};
    matches!(
        request,
        ReadCoils(..) | ReadDiscreteInputs(..) | ReadHoldingRegisters(..) | ReadInputRegisters(..)
    )
}

#[cfg(test)]
mod tests;
