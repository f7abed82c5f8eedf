//! One connection: bytes to packets and back. It knows no session; it carries what the core says.
//!
//! It never waits for another one. What is to be sent to its client waits in the session, within bounds, until the socket takes it;
//! and while the client does not take its answers, nothing more is read of it.

mod end;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use chassis::shutdown::Shutdown;
use chassis::task::until;
use rumqttc::mqttbytes::v4::{ConnAck, Connect, ConnectReturnCode, Packet};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use self::end::End;
use crate::core::{Attached, Connected, Core, Departure, Outcome};
use crate::frame::{self, Violation};
use crate::metrics::Metrics;
use crate::owed::Standing;
use crate::settings::Limits;

/// Bytes that are read at a time.
const CHUNK: usize = 4 << 10;
/// Packets of one client that are worked off before others have their turn.
const BATCH: usize = 32;
/// A client is sent more when less than this waits for its socket.
pub(crate) const LITTLE: usize = 16 << 10;
/// A client is read no more while so much waits for its socket.
const MUCH: usize = 64 << 10;
/// A client that has said more than others have caught up with is not read for so long, or until one has. Those that take nothing at
/// all hold up nobody.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);
/// Before a client has said `CONNECT`, no packet is larger: the longest name, will, user and password.
const FIRST: usize = 5 * ((64 << 10) + 2) + 16;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Hub {
    core: Mutex<Core>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    /// A client has gone, and its session will be forgotten some time.
    pub(crate) left: Notify,
}

/// A place in the broker, which is given back when the connection ends in whatever way.
struct Seat<'a> {
    hub: &'a Hub,
    attached: Attached,
    how: Departure,
}

struct Connection<'a, S> {
    hub: &'a Hub,
    attached: Attached,
    wake: Arc<Notify>,
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    input: BytesMut,
    output: BytesMut,
    /// Something was written that TLS may hold back.
    is_unflushed: bool,
    keep_alive: Option<Duration>,
    /// Until when nothing is read, so that others catch up.
    paused: Option<Instant>,
    /// Nothing is read before some of what the client said is kept.
    is_owed: bool,
}

impl Hub {
    pub(crate) fn new(limits: Limits, metrics: Metrics) -> Self {
        let core = Mutex::new(Core::new(limits.clone(), metrics.clone()));
        Self { core, limits, metrics, left: Notify::new() }
    }

    /// Held for a few packets at a time, and never while anything is waited for.
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.hub.core().leave(Instant::now(), self.attached, self.how);
        self.hub.left.notify_one();
    }
}

/// Serves a client until one of both has enough.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Send>(stream: S, hub: &Hub, shutdown: &Shutdown) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut input = BytesMut::new();
    let first = tokio::select! {
        first = timeout(hub.limits.connect_timeout, first(&mut reader, &mut input, hub)) => {
            first.unwrap_or(Err(End::Late))
        }
        () = shutdown.requested() => Err(End::Shutdown),
    };
    let connect = match first {
        Ok(connect) => connect,
        Err(end) => {
            // Who speaks another version is told so (section 3.1.2.2).
            if matches!(end, End::Wrong(Violation::Protocol(_))) {
                answer(&mut writer, ConnectReturnCode::RefusedProtocolVersion, false, hub).await.ok();
            }
            return note(hub, "", &end);
        }
    };
    let client = connect.client_id.clone();
    let end = seated(connect, (reader, writer), input, hub, shutdown).await;
    note(hub, &client, &end);
}

/// From `CONNECT` on.
async fn seated<S: AsyncRead + AsyncWrite + Send>(
    connect: Connect,
    (reader, mut writer): (ReadHalf<S>, WriteHalf<S>),
    input: BytesMut,
    hub: &Hub,
    shutdown: &Shutdown,
) -> End {
    let wake = Arc::new(Notify::new());
    // One and a half times (section 3.1.2.10).
    let keep_alive = Duration::from_secs(connect.keep_alive.into()) * 3 / 2;
    let keep_alive = Some(keep_alive).filter(|time| !time.is_zero());
    let connected = hub.core().connect(Instant::now(), connect, &wake);
    let (attached, present) = match connected {
        Connected::Yes { attached, present } => (attached, present),
        Connected::No(code) => {
            answer(&mut writer, code, false, hub).await.ok();
            return End::Refused(code);
        }
    };
    let mut seat = Seat { hub, attached, how: Departure::Unsaid };
    let mut output = BytesMut::new();
    frame::write(&Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, present)), &mut output);
    let connection = Connection {
        hub,
        attached,
        wake,
        reader,
        writer,
        input,
        output,
        is_unflushed: false,
        keep_alive,
        paused: None,
        is_owed: false,
    };
    let end = connection.run(shutdown).await;
    // A broker that ends has no news of its clients.
    if matches!(end, End::Left | End::Shutdown) {
        seat.how = Departure::Said;
    }
    end
}

async fn first<S: AsyncRead>(
    reader: &mut ReadHalf<S>,
    input: &mut BytesMut,
    hub: &Hub,
) -> Result<Connect, End> {
    let limit = FIRST.min(hub.limits.packet_bytes);
    loop {
        match frame::read(input, limit).map_err(End::Wrong)? {
            Some(Packet::Connect(connect)) => return Ok(connect),
            Some(_) => return Err(End::Wrong(Violation::NotConnected)),
            None => {}
        }
        input.reserve(CHUNK);
        if reader.read_buf(input).await.map_err(End::Broken)? == 0 {
            return Err(End::Closed);
        }
    }
}

/// Says `CONNACK` to someone who is not let in.
async fn answer<S: AsyncWrite>(
    writer: &mut WriteHalf<S>,
    code: ConnectReturnCode,
    present: bool,
    hub: &Hub,
) -> io::Result<()> {
    let mut output = BytesMut::new();
    frame::write(&Packet::ConnAck(ConnAck::new(code, present)), &mut output);
    let written = async {
        writer.write_all_buf(&mut output).await?;
        writer.shutdown().await
    };
    timeout(hub.limits.connect_timeout, written).await.unwrap_or(Ok(()))
}

fn note(hub: &Hub, client: &str, end: &End) {
    hub.metrics.ended(end.label());
    match end {
        End::Wrong(_) | End::Refused(_) | End::Late | End::Unkept => {
            tracing::warn!(client, "an MQTT client's connection was ended: {end}");
        }
        End::Silent | End::Taken => tracing::info!(client, "an MQTT client's connection was ended: {end}"),
        End::Left | End::Closed | End::Broken(_) | End::Shutdown => {
            tracing::debug!(client, "an MQTT client has gone: {end}");
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Send> Connection<'_, S> {
    async fn run(mut self, shutdown: &Shutdown) -> End {
        let mut heard = Instant::now();
        let eased = self.hub.core().eased();
        loop {
            let was_owed = self.is_owed;
            let has_more = match self.turn() {
                Ok(has_more) => has_more,
                Err(end) => {
                    self.last_words(&end).await;
                    return end;
                }
            };
            if was_owed {
                heard = Instant::now();
            }
            let is_held = self.paused.is_some() || self.is_owed;
            let can_hear = self.output.len() < MUCH && !is_held;
            let can_read = can_hear && !has_more;
            let has_output = !self.output.is_empty() || self.is_unflushed;
            // Who is not read is not silent.
            let silent = self.keep_alive.filter(|_| !self.is_owed).map(|time| heard + time);
            if can_read {
                self.make_room();
            }
            let wrote = tokio::select! {
                () = shutdown.requested() => return End::Shutdown,
                () = self.wake.notified() => continue,
                read = self.reader.read_buf(&mut self.input), if can_read => match read {
                    Ok(0) => return End::Closed,
                    Ok(_) => {
                        heard = Instant::now();
                        continue;
                    }
                    Err(error) => return End::Broken(error),
                },
                wrote = write(&mut self.writer, &mut self.output), if has_output => wrote,
                // Others have their turn first.
                () = tokio::task::yield_now(), if can_hear && has_more => continue,
                () = until(self.paused) => {
                    self.paused = None;
                    continue;
                }
                () = eased.notified(), if self.paused.is_some() => {
                    self.paused = None;
                    continue;
                }
                () = until(silent) => return End::Silent,
            };
            match wrote {
                Ok(is_unflushed) => self.is_unflushed = is_unflushed,
                Err(error) => return End::Broken(error),
            }
        }
    }

    /// Works off some of what the client has said, and takes what can be sent to it. Returns whether it has said more.
    fn turn(&mut self) -> Result<bool, End> {
        let mut packets = Vec::new();
        let mut has_more = !self.input.is_empty();
        let mut failed = Ok(());
        if self.output.len() < MUCH && self.paused.is_none() && !self.is_owed {
            while packets.len() < BATCH && has_more {
                match frame::read(&mut self.input, self.hub.limits.packet_bytes) {
                    Ok(Some(packet)) => packets.push(packet),
                    Ok(None) => has_more = false,
                    Err(violation) => (failed, has_more) = (Err(End::Wrong(violation)), false),
                }
            }
        }
        let mut answers = Vec::new();
        let ended = self.exchange(packets, &mut answers);
        for packet in answers {
            frame::write(&packet, &mut self.output);
        }
        ended?;
        // What was said before the mistake counts.
        failed?;
        Ok(has_more && !self.input.is_empty())
    }

    /// Room for what is read next. One large message does not cost its size for ever.
    fn make_room(&mut self) {
        if self.input.is_empty() && self.input.capacity() > MUCH {
            self.input = BytesMut::new();
        }
        self.input.reserve(CHUNK);
    }

    fn exchange(&mut self, packets: Vec<Packet>, answers: &mut Vec<Packet>) -> Result<(), End> {
        let now = Instant::now();
        let mut core = self.hub.core();
        for packet in packets {
            match core.hear(now, self.attached, packet, answers) {
                Outcome::Goes => {}
                Outcome::Left => return Err(End::Left),
                Outcome::Taken => return Err(End::Taken),
                Outcome::Wrong(violation) => return Err(End::Wrong(violation)),
            }
        }
        if core.take_pressure() {
            self.paused = Some(now + PAUSE);
        }
        if self.output.len() < LITTLE {
            core.pull(now, self.attached, LITTLE, answers).map_err(|_| End::Taken)?;
        }
        match core.standing(self.attached).map_err(|_| End::Taken)? {
            Standing::Broken => return Err(End::Unkept),
            standing => self.is_owed = standing == Standing::Waits,
        }
        Ok(())
    }

    /// Whoever takes its leave may have asked for answers before; they are sent if the socket takes them at once.
    async fn last_words(&mut self, end: &End) {
        if matches!(end, End::Left) && !self.output.is_empty() {
            let sent = async {
                self.writer.write_all_buf(&mut self.output).await.ok();
                self.writer.shutdown().await.ok();
            };
            timeout(Duration::from_secs(1), sent).await.ok();
        }
    }
}

/// Writes some of the output; when there is none, sees to it that it is on its way. Returns whether that is still to be done.
/// Nothing is lost when this is dropped.
async fn write<S: AsyncWrite>(writer: &mut WriteHalf<S>, output: &mut BytesMut) -> io::Result<bool> {
    if output.is_empty() {
        writer.flush().await?;
        return Ok(false);
    }
    if writer.write_buf(output).await? == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    if output.is_empty() && output.capacity() > MUCH {
        // One large message does not cost its size for ever.
        *output = BytesMut::new();
    }
    Ok(true)
}
