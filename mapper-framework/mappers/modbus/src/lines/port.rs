//! The bytes below a line: a socket, or a serial port.

use std::io;

use serial2_tokio::rs4xx::{Rs485Config, TransceiverMode};
use serial2_tokio::{CharSize, FlowControl, SerialPort, Settings, StopBits};
use tokio::net::TcpStream;
use tokio_modbus::Slave;
use tokio_modbus::client::{Context, rtu, tcp};

use crate::config::{Framing, Line, Parity, Serial};

/// A serial port stays open while its frames are begun anew: on some devices opening a port is a reset.
#[derive(Debug, Default)]
pub(super) struct Port(Option<SerialPort>);

impl Port {
    /// A new conversation on the line.
    pub(super) async fn open(&mut self, line: &Line) -> io::Result<Context> {
        // Each request says whom it is for.
        let nobody = Slave::broadcast();
        match line {
            Line::Network { host, port, framing } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                // A request is one small packet that something waits for.
                stream.set_nodelay(true)?;
                Ok(match framing {
                    Framing::Tcp => tcp::attach_slave(stream, nobody),
                    Framing::Rtu => rtu::attach_slave(stream, nobody),
                })
            }
            Line::Serial(serial) => Ok(rtu::attach_slave(self.serial(serial)?, nobody)),
        }
    }

    /// What has come before a question is no answer to it.
    pub(super) fn discard(&mut self) -> io::Result<()> {
        let discarded = self.0.as_ref().map_or(Ok(()), SerialPort::discard_input_buffer);
        if discarded.is_err() {
            self.0 = None;
        }
        discarded
    }

    fn serial(&mut self, serial: &Serial) -> io::Result<SerialPort> {
        let port = match self.0.take() {
            Some(port) => port,
            None => open(serial)?,
        };
        port.discard_buffers()?;
        let own = port.try_clone()?;
        self.0 = Some(port);
        Ok(own)
    }
}

fn open(serial: &Serial) -> io::Result<SerialPort> {
    let settings = |mut settings: Settings| {
        settings.set_raw();
        settings.set_baud_rate(serial.baud)?;
        settings.set_char_size(CharSize::Bits8);
        settings.set_parity(match serial.parity {
            Parity::None => serial2_tokio::Parity::None,
            Parity::Even => serial2_tokio::Parity::Even,
            Parity::Odd => serial2_tokio::Parity::Odd,
        });
        settings.set_stop_bits(if serial.stop_bits == 2 { StopBits::Two } else { StopBits::One });
        settings.set_flow_control(FlowControl::None);
        Ok(settings)
    };
    let port = SerialPort::open(&serial.path, settings)?;
    if serial.is_rs485
        && let Err(error) = port.set_rs4xx_mode(TransceiverMode::Rs485(Rs485Config::new()))
    {
        // Most adapters do it by themselves and know nothing of it.
        tracing::debug!("the kernel does not switch the sender of {serial}: {error}");
    }
    Ok(port)
}
