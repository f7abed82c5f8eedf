//! What CloudCore is made of. The only file that connects modules.
//!
//! ```text
//!   embedded-api (optional) <- kube::Client - embedded-controllers
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use chassis::admin::{Admin, AdminState};
use chassis::clock::Clock;
use chassis::metrics::SharedRegistry;
use chassis::readiness::Readiness;
use chassis::rng::Rng;
use chassis::supervisor::Supervisor;
use chassis::telemetry::{self, LogFormat, LogHandle};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use proto::config;
use proto::config::cloudcore::{CloudCore, Embedded};

use crate::embedded::{Controllers, EmbeddedApi, server};

/// Time to finish what is under way when told to stop. The edges resend what was not acknowledged, so this need not be
/// long; it must be shorter than the 90 s after which systemd kills.
const GRACE: Duration = Duration::from_secs(20);

/// What the application takes from outside, so that a simulation can give its own.
#[derive(Debug)]
pub struct Environment {
    /// Time of day.
    pub clock: Clock,
    /// Randomness.
    pub rng: Rng,
    /// Handle to the log's level, where there is a log.
    pub log: Option<LogHandle>,
}

/// The application with its sockets open and its modules running.
#[derive(Debug)]
pub struct App {
    supervisor: Supervisor,
    admin: SocketAddr,
}

/// Runs until a signal or a failure.
///
/// # Errors
/// What could not be opened, or the module that failed and why.
pub fn run(config: CloudCore) -> anyhow::Result<()> {
    certs::tls::install_provider();
    let log = telemetry::init(log_format(config.logging.format), &config.logging.level)?;
    let environment = Environment { clock: Clock::system(), rng: Rng::from_os()?, log: Some(log) };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(
        chassis::signal::until_terminated(|stop| async move {
            let app = App::build(config, environment).await?;
            app.run_until(stop.received()).await
        }),
    )
}

impl App {
    /// Opens everything and starts the modules.
    ///
    /// # Errors
    /// What could not be opened.
    pub async fn build(config: CloudCore, environment: Environment) -> anyhow::Result<Self> {
        let Environment { clock, rng, log } = environment;
        let readiness = Readiness::new();
        let registry = SharedRegistry::new();
        let mut supervisor = Supervisor::new(GRACE);

        let admin_address = config.common_config.monitor_server.bind_address.parse()?;
        let state = AdminState { readiness: readiness.clone(), registry, log, debug: Default::default() };
        let admin = Admin::bind(admin_address, state)
            .await
            .with_context(|| format!("listen on {admin_address} (commonConfig.monitorServer.bindAddress)"))?;
        let admin_address = admin.local_addr()?;
        supervisor.start(admin);

        if config.modules.embedded.enable {
            let api = EmbeddedApi::open(&embedded(&config.modules.embedded)?, clock.clone(), rng).await?;
            let (kubeconfig, root) = (api.kubeconfig().to_owned(), api.ca_pem().to_owned());
            supervisor.start(api);
            let client = client(&kubeconfig).await?;
            supervisor.start(Controllers::new(
                client,
                clock,
                root,
                readiness.register("embedded-controllers"),
            ));
        }
        Ok(Self { supervisor, admin: admin_address })
    }

    /// Where the admin HTTP listens.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Runs until `stop` or until a module ends.
    ///
    /// # Errors
    /// The module that failed and why.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        self.supervisor.run_until(stop).await
    }
}

fn log_format(format: config::LogFormat) -> LogFormat {
    match format {
        config::LogFormat::Text => LogFormat::Text,
        config::LogFormat::Json => LogFormat::Json,
    }
}

fn embedded(section: &Embedded) -> anyhow::Result<server::Config> {
    let ip = section.address.parse().context("modules.embedded.address")?;
    Ok(server::Config {
        data_dir: PathBuf::from(&section.data_dir),
        listen: SocketAddr::new(ip, section.port),
        advertise: (!section.advertise_address.is_empty()).then(|| section.advertise_address.clone()),
    })
}

async fn client(kubeconfig: &std::path::Path) -> anyhow::Result<Client> {
    let file = Kubeconfig::read_from(kubeconfig).with_context(|| format!("read {}", kubeconfig.display()))?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .with_context(|| format!("use {}", kubeconfig.display()))?;
    Ok(Client::try_from(config)?)
}
