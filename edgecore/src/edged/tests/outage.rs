//! The container runtime is gone for an hour: what a real one does in half a minute is in `tests/integration`.

use std::io;
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::edged::testing::{Book, container};

const HOUR: Duration = Duration::from_secs(3600);
/// Pods on the node; every third of them is probed.
const PODS: usize = 30;

/// What is logged at `info` and above.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt().with_writer(self.clone()).with_ansi(false).finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn one_of(number: usize) -> Pod {
    let mut app = json!({"name": format!("app{number}"), "image": APP});
    if number.is_multiple_of(3) {
        app["livenessProbe"] =
            json!({"exec": {"command": ["alive"]}, "periodSeconds": 10, "failureThreshold": 3});
    }
    pod(&format!("web{number}"), json!({"terminationGracePeriodSeconds": 1, "containers": [app]}))
}

fn not_ready(book: &Book) -> Option<String> {
    let conditions = book.node.as_ref()?.conditions.clone()?;
    conditions.into_iter().find(|one| one.type_ == "Ready" && one.status == "False")?.message
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_is_gone_for_an_hour_is_told_once_and_costs_little() {
    let (node, log) = (Node::new(), Log::default());
    let _guard = log.capture();
    let edge = node.start(&[]).await;
    for number in 0..PODS {
        edge.meta.apply(&one_of(number)).await;
    }
    for number in 0..PODS {
        edge.meta.until_ready(&format!("web{number}")).await;
    }
    let running = node.runtime.running();
    let told = |book: &Book| (book.history.len(), book.events.len());
    let before = edge.meta.read(told);
    node.runtime.down();
    let message = edge.meta.until("the node not ready", not_ready).await;
    assert!(message.starts_with("container runtime is down: unix:///fake.sock"), "{message}");

    // Things go on meanwhile: a container ends, a pod comes and one goes.
    pass(HOUR / 4).await;
    node.runtime.exit("app1", 1);
    edge.meta.apply(&simple("late", APP, "Always")).await;
    edge.meta.apply(&deleted(&one_of(2), 1)).await;
    pass(HOUR / 4).await;
    let (asked, lines) = (node.runtime.refused(), log.lines().len());
    pass(HOUR / 2).await;
    assert_eq!(edge.meta.read(not_ready), Some(message), "it is not ready, for the same reason");
    let (asked, lines) = (node.runtime.refused() - asked, log.lines().split_off(lines));
    // The node looks every second, the list of containers every ten, a pod every thirty, a probe every ten.
    let (half, pods) = (HOUR.as_secs() as usize / 2, PODS + 1);
    let most = half * 2 + half / 5 + pods * half / 15 + PODS * half / 10;
    assert!(asked <= most, "asked {asked} times in half an hour, and {most} are expected at most");
    assert!(lines.len() <= 30, "{} lines in half an hour:\n{}", lines.len(), lines.join("\n"));
    let (reports, events) = edge.meta.read(told);
    assert!(reports <= before.0 + 2, "{} statuses were reported", reports - before.0);
    assert!(events <= before.1 + 5 * PODS, "{} events were recorded", events - before.1);
    let down = log.lines().into_iter().filter(|line| line.contains("the container runtime is down")).count();
    assert_eq!(down, 1, "it is said once");

    let (begin, made) = (Instant::now(), node.runtime.calls("StartContainer"));
    node.runtime.up();
    edge.meta.until("the node ready", |book| not_ready(book).is_none().then_some(())).await;
    edge.meta.until_ready("late").await;
    edge.meta.until_gone("uid-web2").await;
    edge.meta.until_status("web1", "restarted", |status| container(status, "app1").restart_count == 1).await;
    edge.meta.until_ready("web1").await;
    assert!(seconds_since(begin) <= 30, "{:?}", begin.elapsed());
    pass(HOUR / 6).await;
    assert_eq!(node.runtime.calls("StartContainer"), made + 2, "nothing else was started");
    let mut expected: Vec<String> =
        running.into_iter().filter(|one| !one.starts_with("web1/") && !one.starts_with("web2/")).collect();
    expected.extend(["web1/app1#1".to_owned(), "late/app#0".to_owned()]);
    let mut now = node.runtime.running();
    expected.sort();
    now.sort();
    assert_eq!(now, expected);
}
