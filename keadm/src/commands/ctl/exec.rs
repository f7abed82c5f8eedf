//! `keadm ctl exec`: a command in a container, over WebSocket (`v5.channel.k8s.io`, `v4` of older runtimes): each message begins with
//! the number of its stream.

use std::io::{Read as _, Write as _};

use anyhow::{Context as _, anyhow};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::terminal::Terminal;
use super::{configuration, container};
use crate::args::Exec;
use crate::hint::WithHint as _;
use crate::host::System;
use crate::local::{Local, with_query};
use crate::printer::Printer;

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
/// How the command ended, as a Status of the API.
const RESULT: u8 = 3;
/// The size of the terminal.
const RESIZE: u8 = 4;
/// Says that a stream has ended; only `v5` has it.
const CLOSE: u8 = 255;
/// In the order of preference.
const PROTOCOLS: &str = "v5.channel.k8s.io, v4.channel.k8s.io";
/// Bytes of stdin in one message.
const PIECE: usize = 16 << 10;

pub(super) async fn run(exec: Exec, printer: &Printer) -> anyhow::Result<()> {
    let local = Local::of(&configuration(&exec.config, &System)?)?;
    let pod = local.pod(&exec.namespace, &exec.pod).await?;
    let container = container(&pod, exec.container.as_deref())?;
    if exec.acting.dry_run {
        printer.already(format_args!("would run {} in {container}", exec.command.join(" ")));
        return Ok(());
    }
    let mut query: Vec<(&str, &str)> = exec.command.iter().map(|word| ("command", word.as_str())).collect();
    // A terminal has one output.
    query.extend([("output", "1"), if exec.tty { ("tty", "1") } else { ("error", "1") }]);
    if exec.stdin {
        query.push(("input", "1"));
    }
    let path = with_query(&format!("/exec/{}/{}/{container}", exec.namespace, exec.pod), &query);
    let socket = open(&local, &path).await?;
    let terminal = (exec.tty && exec.stdin).then(Terminal::take).transpose();
    let terminal = terminal.usage(|| "leave -t out where keadm has no terminal".to_owned())?;
    let ended = stream(socket, exec.stdin, terminal, printer).await?;
    finished(&ended)
}

async fn open(local: &Local, path: &str) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let mut request = format!("ws://{}{path}", local.address()).into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(PROTOCOLS));
    let stream = TcpStream::connect(local.address()).await?;
    stream.set_nodelay(true)?;
    let (socket, _) = client_async(request, stream)
        .await
        .context("the container runtime gives no streams")
        .hint(|| "`keadm ctl describe pod NAME` shows whether the container runs".to_owned())?;
    Ok(socket)
}

/// Until the command has ended; how, is what it gives.
async fn stream(
    socket: WebSocketStream<TcpStream>,
    passes_stdin: bool,
    mut terminal: Option<Terminal>,
    printer: &Printer,
) -> anyhow::Result<Value> {
    let (mut sink, mut messages) = socket.split();
    if terminal.is_some() {
        sink.send(resize()).await?;
    }
    let mut typed = passes_stdin.then(stdin);
    loop {
        tokio::select! {
            message = messages.next() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    if let Some(status) = take(&bytes, printer)? {
                        return Ok(status);
                    }
                }
                Some(Ok(Message::Close(_))) | None => return Ok(Value::Null),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(anyhow::Error::from(error).context("the stream broke off")),
            },
            piece = next(&mut typed) => {
                if piece.is_none() {
                    typed = None;
                }
                let message = piece.unwrap_or_else(|| vec![CLOSE, STDIN]);
                sink.send(Message::Binary(Bytes::from(message))).await?;
            }
            () = resized(&mut terminal) => sink.send(resize()).await?,
        }
    }
}

/// What comes on stdin, as messages. The thread that reads ends with stdin, or with keadm.
fn stdin() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        let mut piece = vec![0; PIECE + 1];
        piece[0] = STDIN;
        while let Ok(read @ 1..) = std::io::stdin().read(&mut piece[1..]) {
            if sender.blocking_send(piece[..=read].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The next of them; none at the end. Waits for ever where nothing comes any more.
async fn next(typed: &mut Option<mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    match typed {
        Some(typed) => typed.recv().await,
        None => std::future::pending().await,
    }
}

/// Waits for ever where there is no terminal.
async fn resized(terminal: &mut Option<Terminal>) {
    match terminal {
        Some(terminal) => terminal.resized().await,
        None => std::future::pending().await,
    }
}

/// How large the terminal is now.
fn resize() -> Message {
    let size = Terminal::size().unwrap_or_default();
    Message::Binary([vec![RESIZE], size].concat().into())
}

/// What one message says; how the command ended when it is that.
fn take(message: &[u8], printer: &Printer) -> anyhow::Result<Option<Value>> {
    let Some((channel, text)) = message.split_first() else { return Ok(None) };
    match *channel {
        STDOUT if printer.writes_to_stdout() => std::io::stdout().write_all(text)?,
        STDOUT => printer.raw(&String::from_utf8_lossy(text)),
        STDERR => std::io::stderr().write_all(text)?,
        RESULT => return Ok(Some(serde_json::from_slice(text).unwrap_or_default())),
        _ => {}
    }
    Ok(None)
}

/// Whether the command ended well.
fn finished(status: &Value) -> anyhow::Result<()> {
    if status["status"] == "Success" || status.is_null() {
        return Ok(());
    }
    let causes = status["details"]["causes"].as_array().into_iter().flatten();
    let code =
        causes.filter(|cause| cause["reason"] == "ExitCode").find_map(|cause| cause["message"].as_str());
    match code {
        Some(code) => Err(anyhow!("the command ended with exit code {code}")),
        None => Err(anyhow!("{}", status["message"].as_str().unwrap_or("the command failed"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn how_a_command_ended_is_said_with_its_exit_code() {
        finished(&json!({"status": "Success"})).unwrap();
        let failed = json!({"status": "Failure", "reason": "NonZeroExitCode", "message": "command terminated",
            "details": {"causes": [{"reason": "ExitCode", "message": "3"}]}});
        assert_eq!(finished(&failed).unwrap_err().to_string(), "the command ended with exit code 3");
        let refused = json!({"status": "Failure", "message": "no such file"});
        assert_eq!(finished(&refused).unwrap_err().to_string(), "no such file");
    }

    #[test]
    fn output_is_printed_and_the_result_is_kept() {
        let printer = Printer::capturing();
        assert_eq!(take(b"\x01hello\n", &printer).unwrap(), None);
        assert_eq!(take(b"", &printer).unwrap(), None);
        assert_eq!(printer.captured(), "hello\n");
        assert_eq!(take(br#"{"status":"Success"}"#, &printer).unwrap(), None);
        let ended = [&[RESULT], &br#"{"status":"Success"}"#[..]].concat();
        assert_eq!(take(&ended, &printer).unwrap(), Some(json!({"status": "Success"})));
    }
}
