use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::*;
use crate::channel::{Receiver, Sender, bounded};

const GRACE: Duration = Duration::from_secs(30);

/// The order in which modules ended.
type Log = Arc<Mutex<Vec<&'static str>>>;

/// At the edge of the process: waits for the shutdown, then drops its sender.
struct Hub {
    down: Sender<u32>,
    up: Receiver<u32>,
    log: Log,
}

impl Module for Hub {
    const NAME: &'static str = "hub";

    async fn run(mut self, shutdown: Shutdown) -> anyhow::Result<()> {
        self.down.send(1).await?;
        shutdown.requested().await;
        drop(self.down);
        while self.up.recv().await.is_some() {}
        self.log.lock().unwrap().push(Self::NAME);
        Ok(())
    }
}

/// Inside: ends when its inbox closes.
struct Pods {
    down: Receiver<u32>,
    up: Sender<u32>,
    log: Log,
}

impl Module for Pods {
    const NAME: &'static str = "pods";

    async fn run(mut self, _shutdown: Shutdown) -> anyhow::Result<()> {
        while let Some(command) = self.down.recv().await {
            self.up.send(command).await?;
        }
        self.log.lock().unwrap().push(Self::NAME);
        Ok(())
    }
}

/// Ends as it is told to, some time after the shutdown or before it.
struct Ends<const AFTER_SHUTDOWN: bool> {
    after: Duration,
    how: How,
}

enum How {
    Well,
    With(&'static str),
    Panicking,
}

impl<const AFTER_SHUTDOWN: bool> Module for Ends<AFTER_SHUTDOWN> {
    const NAME: &'static str = if AFTER_SHUTDOWN { "late" } else { "early" };

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        if AFTER_SHUTDOWN {
            shutdown.requested().await;
        }
        tokio::time::sleep(self.after).await;
        match self.how {
            How::Well => Ok(()),
            How::With(cause) => Err(anyhow!(cause).context("outer")),
            How::Panicking => panic!("as the test wants"),
        }
    }
}

fn early(seconds: u64, how: How) -> Ends<false> {
    Ends { after: Duration::from_secs(seconds), how }
}

fn late(seconds: u64, how: How) -> Ends<true> {
    Ends { after: Duration::from_secs(seconds), how }
}

async fn after(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

async fn never() {
    std::future::pending().await
}

fn message(result: anyhow::Result<()>) -> String {
    format!("{:#}", result.unwrap_err())
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_all_drain_in_the_order_of_the_data_flow() {
    let log = Log::default();
    let (down, below) = bounded("down", 1);
    let (up, above) = bounded("up", 1);
    let mut supervisor = Supervisor::new(GRACE);
    supervisor.start(Hub { down, up: above, log: log.clone() }).start(Pods {
        down: below,
        up,
        log: log.clone(),
    });
    supervisor.run_until(after(1)).await.unwrap();
    assert_eq!(*log.lock().unwrap(), ["pods", "hub"]);
}

#[tokio::test(start_paused = true)]
async fn an_error_stops_the_others_and_is_named() {
    let start = Instant::now();
    let mut supervisor = Supervisor::new(GRACE);
    supervisor.start(late(2, How::Well)).start(early(1, How::With("disk full")));
    assert_eq!(message(supervisor.run_until(never()).await), "module early: outer: disk full");
    assert_eq!(start.elapsed().as_secs(), 1 + 2, "the other one has drained");
}

#[tokio::test(start_paused = true)]
async fn ending_well_before_the_shutdown_is_an_error() {
    let mut supervisor = Supervisor::new(GRACE);
    supervisor.start(late(0, How::Well)).start(early(1, How::Well));
    assert_eq!(message(supervisor.run_until(never()).await), "module early: ended before shutdown");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_named_and_stops_the_others() {
    let mut supervisor = Supervisor::new(GRACE);
    supervisor.start(late(0, How::Well)).start(early(1, How::Panicking));
    assert_eq!(message(supervisor.run_until(never()).await), "module early: panicked: as the test wants");
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_draining_outranks_an_early_end() {
    for (how, cause) in
        [(How::With("broken pipe"), "outer: broken pipe"), (How::Panicking, "panicked: as the test wants")]
    {
        let mut supervisor = Supervisor::new(GRACE);
        supervisor.start(early(1, How::Well)).start(late(1, how));
        assert_eq!(message(supervisor.run_until(never()).await), format!("module late: {cause}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_draining_is_an_error_even_when_told_to_stop() {
    let mut supervisor = Supervisor::new(GRACE);
    supervisor.start(late(1, How::With("not flushed")));
    assert_eq!(message(supervisor.run_until(after(1)).await), "module late: outer: not flushed");
}

#[tokio::test(start_paused = true)]
async fn what_is_busy_at_the_deadline_is_aborted_and_named() {
    let start = Instant::now();
    let mut supervisor = Supervisor::new(GRACE);
    supervisor.start(late(GRACE.as_secs() + 1, How::Well));
    let error = message(supervisor.run_until(after(1)).await);
    assert_eq!(error, "still busy when the grace time was over, and aborted: late");
    assert_eq!(start.elapsed(), Duration::from_secs(1) + GRACE);
}

#[tokio::test(start_paused = true)]
async fn an_error_outranks_the_deadline() {
    let mut supervisor = Supervisor::new(GRACE);
    supervisor.start(early(1, How::With("disk full"))).start(late(GRACE.as_secs() + 1, How::Well));
    assert_eq!(message(supervisor.run_until(never()).await), "module early: outer: disk full");
}

#[tokio::test(start_paused = true)]
async fn without_modules_it_waits_for_the_stop() {
    let (stop, stopped) = oneshot::channel::<()>();
    let run = Supervisor::new(GRACE).run_until(async { stopped.await.unwrap() });
    let mut run = std::pin::pin!(run);
    assert!(futures::poll!(&mut run).is_pending());
    stop.send(()).unwrap();
    run.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn work_beside_the_modules_is_done_unless_one_of_them_ends_first() {
    let done = |seconds| async move {
        after(seconds).await;
        anyhow::Ok(seconds)
    };
    let mut supervisor = Supervisor::new(GRACE);
    assert_eq!(supervisor.beside(done(1)).await.unwrap(), 1, "there is no module");
    supervisor.start(late(1, How::Well)).start(early(3, How::With("disk full")));
    assert_eq!(supervisor.beside(done(1)).await.unwrap(), 1);
    assert_eq!(message(supervisor.beside(done(9)).await.map(drop)), "module early: outer: disk full");
    supervisor.start(early(1, How::Well));
    assert_eq!(message(supervisor.beside(done(9)).await.map(drop)), "module early: ended before shutdown");
}
