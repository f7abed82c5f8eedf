//! Log lines: for people or as JSON, with a level that can be changed while the process runs.

use std::io::{self, IsTerminal as _};

use tracing::Subscriber;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::{Registry, fmt, reload};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Changes what is logged. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogHandle {
    filter: reload::Handle<Targets, Registry>,
}

/// Why logging could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Neither a level nor a list of targets with levels.
    #[error("{text:?} is no log level: say error, warn, info, debug, trace, or info,some::module=debug")]
    Level {
        /// What was given.
        text: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The process logs already.
    #[error("logging was set up before")]
    SetUpBefore(#[from] tracing::subscriber::SetGlobalDefaultError),
    /// The process logs no longer.
    #[error("logging has ended")]
    Ended(#[from] reload::Error),
}

/// Logs to the standard error stream from now on, for the whole process. `level` is a level or a list of targets
/// with levels: `info,edgecore::edgehub=debug`.
///
/// # Errors
/// When `level` makes no sense, or when it is called twice.
pub fn init(format: LogFormat, level: &str) -> Result<LogHandle, TelemetryError> {
    let (subscriber, handle) = subscriber(format, level, io::stderr, io::stderr().is_terminal())?;
    tracing::subscriber::set_global_default(subscriber)?;
    Ok(handle)
}

/// The subscriber that [`init`] makes the process's, and the handle to it.
pub(crate) fn subscriber<W>(
    format: LogFormat,
    level: &str,
    writer: W,
    colours: bool,
) -> Result<(impl Subscriber + Send + Sync, LogHandle), TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(targets(level)?);
    let lines = fmt::layer().with_writer(writer).with_ansi(colours);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    Ok((Registry::default().with(filter).with(lines), LogHandle { filter: handle }))
}

/// A list of targets rather than `EnvFilter`: that one can also match span fields, for a regex engine's price in
/// memory and binary size.
fn targets(level: &str) -> Result<Targets, TelemetryError> {
    level.trim().parse().map_err(|source| TelemetryError::Level { text: level.to_owned(), source })
}

impl LogHandle {
    /// Logs from now on what [`init`] would have with this level.
    ///
    /// # Errors
    /// When `level` makes no sense; then nothing changes.
    pub fn set_level(&self, level: &str) -> Result<(), TelemetryError> {
        let targets = targets(level)?;
        Ok(self.filter.reload(targets)?)
    }

    /// What is logged now, in the form that [`LogHandle::set_level`] takes.
    ///
    /// # Errors
    /// When the process logs no longer.
    pub fn level(&self) -> Result<String, TelemetryError> {
        Ok(self.filter.with_current(ToString::to_string)?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
        }
    }

    /// What is written while `act` runs.
    fn logged(format: LogFormat, level: &str, act: impl FnOnce(&LogHandle, &Sink)) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let (subscriber, handle) = subscriber(format, level, move || writer.clone(), false).unwrap();
        tracing::subscriber::with_default(subscriber, || act(&handle, &sink));
        sink.take()
    }

    #[test]
    fn text_has_the_span_and_its_fields() {
        let text = logged(LogFormat::Text, "info", |_, _| {
            let _span = tracing::info_span!("module", name = "edgehub").entered();
            tracing::info!(node = "edge-1", "connected");
            tracing::debug!("not shown");
        });
        assert!(
            text.contains("module{name=\"edgehub\"}") && text.contains("connected node=\"edge-1\""),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = logged(LogFormat::Json, "warn", |_, _| tracing::warn!(node = "edge-1", "lost"));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&line["level"], &line["message"], &line["node"]),
            (&"WARN".into(), &"lost".into(), &"edge-1".into())
        );
    }

    #[test]
    fn the_level_can_be_changed_per_target_while_running() {
        logged(LogFormat::Text, "info", |handle, sink| {
            handle.set_level("warn,chassis::telemetry=debug").unwrap();
            tracing::debug!("of this module");
            tracing::info!(target: "elsewhere", "of another");
            let text = sink.take();
            assert!(text.contains("of this module") && !text.contains("of another"), "{text}");
            assert_eq!(handle.level().unwrap(), "chassis::telemetry=debug,warn");
        });
    }

    #[test]
    fn a_level_that_makes_no_sense_is_named_and_changes_nothing() {
        logged(LogFormat::Text, "info", |handle, _| {
            let error = handle.set_level("chassis=loud").unwrap_err().to_string();
            assert!(error.starts_with("\"chassis=loud\" is no log level"), "{error}");
            assert_eq!(handle.level().unwrap(), "info");
        });
        assert!(init(LogFormat::Text, "loud=very").is_err());
    }
}
