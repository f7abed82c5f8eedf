//! One Modbus device.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use mapper_framework::{Device, Driver, DriverError, Property, Value, Visitors};
use tokio::time::Instant;
use tokio_modbus::{ExceptionCode, Request, Response};

use crate::config::Reached;
use crate::cycle::Cycle;
use crate::lines::{Answer, Lines, Shared};
use crate::refusal::{self, Asked};
use crate::registers::{Content, Span, Table};
use crate::visitor::Visitor;

/// See the crate's documentation.
#[derive(Debug)]
pub struct Modbus {
    reached: Reached,
    lines: Lines,
    line: Option<Arc<Shared>>,
    /// What is asked for to see whether the device is there.
    probe: Option<Span>,
    visitors: Visitors<Visitor>,
    cycle: Cycle,
    /// The device does not know the functions that set a single register.
    only_multiple: bool,
}

impl Modbus {
    /// The device as its manifest says, on lines that it shares with others.
    ///
    /// # Errors
    /// When `protocol.configData` makes no sense: everything that is wrong with it and with the visitors of the properties. A
    /// visitor alone that makes no sense is a matter of its property.
    pub fn new(device: &Device, lines: &Lines) -> Result<Self, DriverError> {
        let mut visitors = Visitors::default();
        let reached = visitors.check(device, Reached::read(device.config()))?;
        let mut spans = device.properties().iter().filter_map(|property| visitors.get(property).ok());
        let probe = spans.next().map(|visitor: Visitor| visitor.span);
        drop(spans);
        Ok(Self {
            reached,
            lines: lines.clone(),
            line: None,
            probe,
            visitors,
            cycle: Cycle::default(),
            only_multiple: false,
        })
    }

    async fn ask(&self, asked: Asked<'_>, request: &Request<'static>) -> Result<Answer, DriverError> {
        let line = self.line.as_ref().ok_or_else(|| DriverError::unreachable("it is not connected"))?;
        let answer = line.ask(self.reached.slave, request, self.reached.timeout).await;
        answer.map_err(|failure| asked.failed(&failure))
    }

    /// Reads a span in one request.
    async fn fetch(&self, span: Span) -> Result<Content, DriverError> {
        let asked = Asked { what: "reading", span, reached: &self.reached };
        let Span { table, start, count } = span;
        let request = match table {
            Table::Coil => Request::ReadCoils(start, count),
            Table::DiscreteInput => Request::ReadDiscreteInputs(start, count),
            Table::Holding => Request::ReadHoldingRegisters(start, count),
            Table::Input => Request::ReadInputRegisters(start, count),
        };
        let answer = self.ask(asked, &request).await?.map_err(|code| asked.refused(code))?;
        let mut content = match answer {
            Response::ReadCoils(bits) | Response::ReadDiscreteInputs(bits) => Content::Bits(bits),
            Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words) => {
                Content::Words(words)
            }
            _ => return Err(asked.odd(0)),
        };
        // Bits come in whole bytes.
        if let Content::Bits(bits) = &mut content {
            bits.truncate(usize::from(count));
        }
        if content.len() == usize::from(count) { Ok(content) } else { Err(asked.odd(content.len())) }
    }

    /// Reads what a property needs, and what others need that are read next.
    async fn content(&mut self, name: &str, span: Span) -> Result<Content, DriverError> {
        let request = match self.cycle.take(name, span, Instant::now()) {
            Ok(content) => return Ok(content),
            Err(request) => request,
        };
        match self.fetch(request).await {
            Ok(content) => {
                let own = content.part(request, span);
                self.cycle.hold(request, content, Instant::now());
                own.ok_or_else(|| DriverError::unreachable("it answers with other registers"))
            }
            Err(error) if error.is_lost() || request == span => Err(error),
            Err(error) => {
                tracing::info!("{error}; the properties in it are read one by one");
                self.cycle.split(request, span);
                self.fetch(span).await
            }
        }
    }

    async fn set(&mut self, span: Span, content: Content) -> Result<(), DriverError> {
        let asked = Asked { what: "writing", span, reached: &self.reached };
        let single = single(span, &content).filter(|_| !self.only_multiple);
        if let Some(request) = single {
            match self.ask(asked, &request).await? {
                Ok(_) => return Ok(()),
                // Some know only the functions for several (Modbus Application Protocol 1.1b3 obliges nobody to have both).
                Err(ExceptionCode::IllegalFunction) => {}
                Err(code) => return Err(asked.refused(code)),
            }
        }
        let request = match content {
            Content::Bits(bits) => Request::WriteMultipleCoils(span.start, Cow::Owned(bits)),
            Content::Words(words) => Request::WriteMultipleRegisters(span.start, Cow::Owned(words)),
        };
        self.ask(asked, &request).await?.map_err(|code| asked.refused(code))?;
        self.only_multiple |= span.count == 1;
        Ok(())
    }
}

fn single(span: Span, content: &Content) -> Option<Request<'static>> {
    match content {
        Content::Bits(bits) => match bits.as_slice() {
            [bit] => Some(Request::WriteSingleCoil(span.start, *bit)),
            _ => None,
        },
        Content::Words(words) => match words.as_slice() {
            [word] => Some(Request::WriteSingleRegister(span.start, *word)),
            _ => None,
        },
    }
}

impl Driver for Modbus {
    async fn connect(&mut self) -> Result<(), DriverError> {
        self.cycle = Cycle::default();
        let line = match self.line.take() {
            Some(line) => line,
            None => self.lines.get(&self.reached.line)?,
        };
        let opened = line.open(self.reached.timeout).await;
        self.line = Some(line);
        opened.map_err(|failure| refusal::closed(&self.reached.line, &failure))?;
        // That a port can be opened says nothing of the device.
        match self.probe {
            Some(span) => match self.fetch(span).await {
                Err(error) if error.is_lost() => Err(error),
                _ => Ok(()),
            },
            None => Ok(()),
        }
    }

    fn upcoming(&mut self, properties: &[&Property]) {
        let mut waiting = BTreeMap::new();
        for property in properties {
            if let Ok(visitor) = self.visitors.get(property) {
                waiting.insert(property.name().to_owned(), visitor.span);
            }
        }
        self.cycle.begin(waiting, self.reached.limits);
    }

    async fn read(&mut self, property: &Property) -> Result<Value, DriverError> {
        let visitor = self.visitors.get(property)?;
        let content = self.content(property.name(), visitor.span).await?;
        visitor.value(&content)
    }

    async fn write(&mut self, property: &Property, value: &Value) -> Result<(), DriverError> {
        let visitor = self.visitors.get(property)?;
        let span = visitor.span;
        if !span.table.is_writable() {
            return Err(DriverError::Unsupported(format!(
                "{span} cannot be written: only coils and holding registers can"
            )));
        }
        if span.count > span.table.most_written() {
            let most = span.table.most_written();
            return Err(DriverError::Unsupported(format!(
                "{span} is too much to write at once: {most} can be"
            )));
        }
        let content = visitor.content(value)?;
        self.cycle.forget();
        self.set(span, content).await
    }

    async fn disconnect(&mut self) {
        self.line = None;
    }
}
