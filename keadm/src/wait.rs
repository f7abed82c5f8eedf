//! Waits for a daemon, and shows what it waits for.

use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, sleep};

use crate::hint::WithHint as _;
use crate::host::{Daemon, Host};
use crate::printer::Printer;
use crate::services::{self, log_of};
use crate::web::Web;

/// How often is asked. What happens in another process gives us no event.
const LOOK: Duration = Duration::from_millis(100);

/// Asks until there is an answer, at most for `limit`. `ask` fails with what is missing, and that is shown whenever it
/// changes.
///
/// # Errors
/// When the time is over, or the daemon has ended.
pub async fn until<T>(
    host: &dyn Host,
    daemon: &Daemon,
    limit: Duration,
    printer: &Printer,
    ask: impl AsyncFn() -> Result<T, String>,
) -> anyhow::Result<T> {
    let end = Instant::now() + limit;
    let mut shown = String::new();
    loop {
        let missing = match ask().await {
            Ok(found) => return Ok(found),
            Err(missing) => missing,
        };
        services::still_runs(host, daemon)?;
        if Instant::now() >= end {
            return Err(anyhow::anyhow!("{}: {missing}, after {} s", daemon.name, limit.as_secs()))
                .hint(|| format!("{} goes on trying; what it says: {}", daemon.name, log_of(host, daemon)));
        }
        if missing != shown {
            printer.already(format_args!("waiting: {missing}"));
            shown = missing;
        }
        sleep(LOOK).await;
    }
}

/// Whether the daemon with this admin address says that all of it is ready.
///
/// # Errors
/// What is not ready.
pub async fn ready(web: &dyn Web, admin: &str) -> Result<(), String> {
    match web.get(&format!("http://{admin}/readyz")).await {
        Ok(answer) if answer.status == StatusCode::OK => Ok(()),
        Ok(answer) => Err(answer.text()),
        Err(_) => Err("it does not answer yet".to_owned()),
    }
}

/// Whether all these files are there.
///
/// # Errors
/// The first that is not.
pub fn present(host: &dyn Host, files: &[&str]) -> Result<(), String> {
    match files.iter().find(|file| !host.exists(Path::new(file))) {
        Some(file) => Err(format!("{file} is not there yet")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::hint;
    use crate::host::{Facts, Recording};

    fn daemon() -> Daemon {
        Daemon { name: "edgecore", program: "/bin/edgecore".into(), config: "/etc/e.yaml".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_missing_is_shown_when_it_changes_and_not_each_time() {
        let printer = Printer::capturing();
        let host = Recording::new(Facts::default(), Printer::quiet());
        let asked = Cell::new(0);
        let ask = async || {
            asked.set(asked.get() + 1);
            match asked.get() {
                1..=3 => Err("the certificate".to_owned()),
                4..=6 => Err("the channel".to_owned()),
                _ => Ok(()),
            }
        };
        until(&host, &daemon(), Duration::from_secs(10), &printer, ask).await.unwrap();
        assert_eq!(printer.captured(), "    waiting: the certificate\n    waiting: the channel\n");
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_what_is_missing_and_where_the_log_is() {
        let ask = async || Err::<(), _>("not ready: edgehub".to_owned());
        let wait = async |processes: &[&'static str]| {
            let processes = processes.iter().copied().collect();
            let facts = Facts { systemd: true, processes, ..Facts::default() };
            let host = Recording::new(facts, Printer::quiet());
            until(&host, &daemon(), Duration::from_secs(300), &Printer::quiet(), ask).await.unwrap_err()
        };
        assert!(wait(&["cloudcore"]).await.to_string().contains("edgecore has ended"));
        let error = wait(&["edgecore"]).await;
        assert_eq!(error.to_string(), "edgecore: not ready: edgehub, after 300 s");
        assert!(hint::of(&error).unwrap().to_string().contains("journalctl -u edgecore"));
    }
}
