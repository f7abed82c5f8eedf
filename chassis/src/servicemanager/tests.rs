use std::path::Path;

use tokio::net::UnixDatagram;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::*;
use crate::shutdown::ShutdownTrigger;
use crate::supervisor::Supervisor;

/// More than enough for a datagram to this process, and short beside the patience of whoever waits for tests.
const SOON: Duration = Duration::from_secs(10);

/// systemd's side.
struct Systemd(UnixDatagram);

impl Systemd {
    fn at(dir: &Path) -> (Self, Listener) {
        Self::listening(dir, None)
    }

    fn listening(dir: &Path, watchdog: Option<Duration>) -> (Self, Listener) {
        let path = dir.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        (Self(socket), Listener::new(path.as_os_str(), watchdog).unwrap())
    }

    async fn hears(&self) -> String {
        let mut bytes = [0; 1024];
        let length = timeout(SOON, self.0.recv(&mut bytes)).await.expect("nothing is heard").unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }
}

fn start(
    listener: Listener,
    up: &Readiness,
    all: &Readiness,
) -> (JoinSet<anyhow::Result<()>>, ShutdownTrigger) {
    let (trigger, shutdown) = Shutdown::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(ServiceManager::new(Some(listener), up.clone(), all.clone()).run(shutdown));
    (tasks, trigger)
}

#[tokio::test]
async fn it_is_up_then_ready_then_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (systemd, listener) = Systemd::at(dir.path());
    let (up, all) = (Readiness::new(), Readiness::new());
    let (modules, hub, pods) = (up.register("modules"), all.register("edgehub"), all.register("edged"));
    let (mut tasks, trigger) = start(listener, &up, &all);
    assert_eq!(systemd.hears().await, "STATUS=waiting for: edgehub, edged");
    modules.ready();
    assert_eq!(systemd.hears().await, "READY=1\n");
    pods.ready();
    assert_eq!(systemd.hears().await, "STATUS=waiting for: edgehub");
    hub.ready();
    assert_eq!(systemd.hears().await, "STATUS=ready");
    trigger.request();
    assert_eq!(systemd.hears().await, "STOPPING=1\nSTATUS=shutting down");
    tasks.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn what_is_up_and_ready_at_once_says_so_in_one() {
    let dir = tempfile::tempdir().unwrap();
    let (systemd, listener) = Systemd::at(dir.path());
    let all = Readiness::new();
    let app = all.register("app");
    let (_tasks, _trigger) = start(listener, &all, &all);
    assert_eq!(systemd.hears().await, "STATUS=waiting for: app");
    app.ready();
    assert_eq!(systemd.hears().await, "READY=1\nSTATUS=ready");
}

#[tokio::test]
async fn a_sign_of_life_comes_twice_in_the_time_that_systemd_waits() {
    let dir = tempfile::tempdir().unwrap();
    let period = Duration::from_millis(200);
    let (systemd, listener) = Systemd::listening(dir.path(), Some(period));
    let all = Readiness::new();
    let began = Instant::now();
    let (_tasks, _trigger) = start(listener, &all, &all);
    assert_eq!(systemd.hears().await, "READY=1\nSTATUS=ready");
    // The first one at once, then one each half period, and never earlier.
    for _ in 0..4 {
        assert_eq!(systemd.hears().await, "WATCHDOG=1");
    }
    assert!(began.elapsed() >= period / 2 * 3, "{:?}", began.elapsed());
}

struct EndsWhenTold(tokio::sync::oneshot::Receiver<()>);

impl Module for EndsWhenTold {
    const NAME: &'static str = "short";

    async fn run(self, _shutdown: Shutdown) -> anyhow::Result<()> {
        drop(self.0.await);
        anyhow::bail!("as the test wants")
    }
}

#[tokio::test]
async fn when_a_module_ends_there_is_no_sign_of_life_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let (systemd, listener) = Systemd::listening(dir.path(), Some(Duration::from_millis(40)));
    let all = Readiness::new();
    let mut supervisor = Supervisor::new(Duration::from_secs(5));
    let (end, told) = tokio::sync::oneshot::channel();
    supervisor.start(ServiceManager::new(Some(listener), all.clone(), all)).start(EndsWhenTold(told));
    let running = crate::task::spawn(tracing::Span::none(), supervisor.run_until(std::future::pending()));
    assert_eq!(systemd.hears().await, "READY=1\nSTATUS=ready");
    assert_eq!(systemd.hears().await, "WATCHDOG=1");
    drop(end);
    assert!(running.await.unwrap().is_err());
    let mut last = systemd.hears().await;
    while last == "WATCHDOG=1" {
        last = systemd.hears().await;
    }
    assert_eq!(last, "STOPPING=1\nSTATUS=shutting down");
    assert!(systemd.0.try_recv(&mut [0; 64]).is_err(), "nothing comes after it");
}

#[tokio::test]
async fn an_abstract_address_and_one_where_nobody_listens() {
    let name = format!("@skerry-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name.as_bytes()[1..]).unwrap();
    let socket = UnixDatagram::from_std({
        let socket = std::os::unix::net::UnixDatagram::bind_addr(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    });
    let listener = Listener::new(OsStr::new(&name), None).unwrap();
    listener.tell("READY=1").await;
    assert_eq!(Systemd(socket.unwrap()).hears().await, "READY=1");
    assert!(Listener::new(OsStr::new("/no/such/socket"), None).is_err());
}

#[tokio::test]
async fn whoever_is_not_heard_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (systemd, listener) = Systemd::at(dir.path());
    drop(systemd);
    let all = Readiness::new();
    let (mut tasks, trigger) = start(listener, &all, &all);
    trigger.request();
    tasks.join_next().await.unwrap().unwrap().unwrap();
}

#[test]
fn a_watchdog_is_for_the_process_that_it_names() {
    let of = |usec: Option<&str>, pid: Option<&str>| {
        watchdog(usec.map(OsString::from), pid.map(OsString::from), 7)
    };
    assert_eq!(of(Some("60000000"), Some("7")), Some(Duration::from_secs(60)));
    assert_eq!(of(Some("60000000"), None), Some(Duration::from_secs(60)));
    for (usec, pid) in [(None, None), (Some("60000000"), Some("8")), (Some("0"), None), (Some("soon"), None)]
    {
        assert_eq!(of(usec, pid), None, "{usec:?} {pid:?}");
    }
}
