//! `/run/{namespace}/{pod}/{container}?cmd=`: runs a command and answers with what it wrote.

use std::time::Duration;

use http::StatusCode;

use super::answer::{Answer, text};
use super::error::Error;
use super::route::ContainerPath;
use super::stream::running;
use super::view::View;
use crate::edged::runtime::MAX_EXEC_OUTPUT;

/// A command that answers a question is done by then; for anything else there is `/exec`.
const LIMIT: Duration = Duration::from_secs(45);

/// The command of a query, split at spaces as kubelet does: no shell is involved. `None`: there is none.
fn command(query: &str) -> Option<Vec<String>> {
    let (_, command) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "cmd")?;
    let words: Vec<String> = command.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    (!words.is_empty()).then_some(words)
}

/// Runs it.
///
/// # Errors
/// There is no such container, or no such command.
pub(super) async fn run(view: &View, path: &ContainerPath, query: &str) -> Result<Answer, Error> {
    let command = command(query).ok_or_else(|| Error::Query("cmd: there must be a command".to_owned()))?;
    let id = running(view, path).await?;
    let mut output = view.runtime.exec_sync(&id, &command, Some(LIMIT)).await?;
    output.stdout.append(&mut output.stderr);
    if output.exit_code == 0 {
        return Ok(text(StatusCode::OK, output.stdout));
    }
    let end = format!(
        "command ended with exit code {} (at most {MAX_EXEC_OUTPUT} bytes of each output are shown)\n",
        output.exit_code
    );
    output.stdout.extend(end.into_bytes());
    Ok(text(StatusCode::INTERNAL_SERVER_ERROR, output.stdout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_words() {
        assert_eq!(command("x=y&cmd=ls+-l%20%20/"), Some(vec!["ls".into(), "-l".into(), "/".into()]));
        assert_eq!((command("cmd=+"), command("")), (None, None));
    }
}
