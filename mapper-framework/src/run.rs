//! A mapper as a program.

use std::process::ExitCode;

use chassis::clock::Clock;
use chassis::rng::Rng;
use chassis::telemetry::{self, LogFormat};
use clap::{CommandFactory as _, FromArgMatches as _};

use crate::app::{self, Environment};
use crate::args::Args;
use crate::config::{self, Config};
use crate::device::Device;
use crate::driver::{Driver, DriverError};
use crate::simulate;
use crate::sinks::{Opener, Secrets, Sink, SinkError, Target};

/// The configuration is not valid (`EX_USAGE` of sysexits.h): starting again will not help.
const BAD_CONFIG: u8 = 64;

/// The program of a mapper: for `main`. `name` is its name and, unless the configuration says otherwise, its protocol;
/// `make` makes the driver of each device.
///
/// # Errors
/// `make` returns one ([`DriverError::Config`]) where the device's `configData` makes no sense: the device is unhealthy then,
/// and the driver is made again when the device changes.
pub fn main<D, M>(name: &'static str, make: M) -> ExitCode
where
    D: Driver,
    M: Fn(&Device) -> Result<D, DriverError> + Send + Sync + 'static,
{
    Mapper::new(name, make).main()
}

/// A mapper with more than a driver.
pub struct Mapper<M> {
    name: &'static str,
    make: M,
    openers: Vec<Box<Opener>>,
}

impl<M> std::fmt::Debug for Mapper<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapper").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<D, M> Mapper<M>
where
    D: Driver,
    M: Fn(&Device) -> Result<D, DriverError> + Send + Sync + 'static,
{
    /// See [`main`].
    #[must_use]
    pub fn new(name: &'static str, make: M) -> Self {
        Self { name, make, openers: Vec::new() }
    }

    /// Adds sinks of the mapper's own: `open` makes the sink of a target, or passes (`None`). It is asked before the
    /// built-in ones.
    #[must_use]
    pub fn sink(
        mut self,
        open: impl Fn(&Target, &Secrets) -> Option<Result<Box<dyn Sink>, SinkError>> + Send + Sync + 'static,
    ) -> Self {
        self.openers.push(Box::new(open));
        self
    }

    /// Reads the command line and the configuration, and runs until told to stop (SIGTERM, Ctrl-C).
    pub fn main(self) -> ExitCode {
        let command = Args::command().name(self.name);
        let args = match Args::from_arg_matches(&command.get_matches()) {
            Ok(args) => args,
            Err(error) => error.exit(),
        };
        let config = match Config::load(args.config().as_deref(), self.name) {
            Ok(config) => config,
            Err(error) => return complain(self.name, &error.into(), ExitCode::from(BAD_CONFIG)),
        };
        let name = self.name;
        match self.run(config, &args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(name, &error, ExitCode::FAILURE),
        }
    }

    fn run(self, mut config: Config, args: &Args) -> anyhow::Result<()> {
        if let Some(port) = args.http_port {
            config.common.http_port = port;
        }
        let format = match config.logging.format {
            config::LogFormat::Text => LogFormat::Text,
            config::LogFormat::Json => LogFormat::Json,
        };
        let level = match args.v {
            None => config.logging.level.as_str(),
            Some(0..=3) => "info",
            Some(_) => "debug",
        };
        let log = telemetry::init(format, level)?;
        let load = |file| simulate::load(file, &config.common.protocol);
        let environment = Environment {
            clock: Clock::system(),
            rng: Rng::from_os()?,
            log: Some(log),
            secrets: args.secrets(),
            openers: self.openers,
            simulated: args.simulate.as_deref().map(load).transpose()?,
        };
        // One thread serves hundreds of devices; each further one would cost a stack and an allocator arena.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(chassis::signal::until_terminated(|stop| async move {
            let supervisor = app::start(&config, self.make, environment).await?;
            supervisor.run_until(stop.received()).await
        }))
    }
}

#[expect(clippy::print_stderr, reason = "the last word of the process, also when there is no log yet")]
fn complain(name: &str, error: &anyhow::Error, code: ExitCode) -> ExitCode {
    eprintln!("{name}: {error:#}");
    code
}
