//! The registry against real sockets, on real time: every wait is for something that comes.

use std::path::Path;
use std::sync::Mutex;

use chassis::clock::Clock;
use chassis::task::AbortOnDrop;
use futures::FutureExt;
use futures::future::BoxFuture;
use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::edged::plugins::testing::{FakePlugin, Server};
use crate::edged::testing::FakeMeta;

/// Remembers what it was told.
#[derive(Debug, Default)]
struct Fake {
    /// Endpoint and number, by name.
    plugins: watch::Sender<BTreeMap<String, Plugin>>,
    refuse: Mutex<Option<String>>,
}

impl Fake {
    async fn until(&self, is: impl Fn(&BTreeMap<String, Plugin>) -> bool) -> BTreeMap<String, Plugin> {
        let mut plugins = self.plugins.subscribe();
        let waited = plugins.wait_for(|plugins| is(plugins));
        let found = tokio::time::timeout(Duration::from_secs(60), waited).await;
        found.unwrap_or_else(|_| panic!("never seen; there is {:?}", self.plugins.borrow())).unwrap().clone()
    }

    async fn until_endpoint(&self, name: &str, endpoint: &str) {
        self.until(|all| all.get(name).is_some_and(|plugin| plugin.endpoint == Path::new(endpoint))).await;
    }
}

impl PluginHandler for Fake {
    fn register(&self, plugin: Plugin) -> BoxFuture<'_, Result<(), String>> {
        let refused = self.refuse.lock().unwrap().clone();
        async move {
            refused.map_or(Ok(()), Err)?;
            self.plugins.send_modify(|all| {
                all.insert(plugin.name.clone(), plugin);
            });
            Ok(())
        }
        .boxed()
    }

    fn deregister(&self, plugin: &Plugin) -> bool {
        self.plugins.send_if_modified(|all| {
            let is_same = all.get(&plugin.name).is_some_and(|known| known.number == plugin.number);
            is_same && all.remove(&plugin.name).is_some()
        })
    }
}

struct Rig {
    dir: TempDir,
    handler: Arc<Fake>,
    meta: FakeMeta,
    _registry: AbortOnDrop<Infallible>,
}

impl Rig {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("plugins_registry")).unwrap();
        let handler = Arc::new(Fake::default());
        let (meta, _inbox, client) = FakeMeta::start();
        let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
        let events = Recorder::new(client, "edge-1", clock);
        let handlers: Handlers = [("Fake", handler.clone() as Arc<dyn PluginHandler>)].into();
        let registry = Registry::new(dir.path(), handlers, events, "edge-1", Rng::seeded(3));
        Self { dir, handler, meta, _registry: task::spawn(tracing::Span::none(), registry.run()) }
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.dir.path().join("plugins_registry").join(name)
    }

    fn serve(&self, socket: &str, plugin: Arc<FakePlugin>) -> Server {
        Server::start(&self.socket(socket), plugin)
    }
}

fn plugin(name: &str, endpoint: &str) -> Arc<FakePlugin> {
    FakePlugin::new("Fake", name, Path::new(endpoint), &["v1"])
}

#[tokio::test]
async fn plugins_come_and_go_and_come_back() {
    let rig = Rig::start();
    let first = plugin("a", "/p/1");
    let server = rig.serve("a.sock", first.clone());
    rig.handler.until_endpoint("a", "/p/1").await;
    assert_eq!(first.told(1).await, Ok(()));
    server.stop();
    rig.handler.until(BTreeMap::is_empty).await;
    // One that was killed leaves its socket, and the next puts another in its place.
    let killed = rig.serve("a.sock", plugin("a", "/p/2"));
    rig.handler.until_endpoint("a", "/p/2").await;
    drop(killed);
    let _back = rig.serve("a.sock", plugin("a", "/p/3"));
    rig.handler.until_endpoint("a", "/p/3").await;
}

#[tokio::test]
async fn what_is_there_before_edged_is_found() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("plugins_registry")).unwrap();
    let _early = Server::start(&dir.path().join("plugins_registry/a.sock"), plugin("a", ""));
    let handler = Arc::new(Fake::default());
    let handlers: Handlers = [("Fake", handler.clone() as Arc<dyn PluginHandler>)].into();
    let events = Recorder::disabled("n", Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap()));
    let registry = Registry::new(dir.path(), handlers, events, "n", Rng::seeded(3));
    let _registry = task::spawn(tracing::Span::none(), registry.run());
    let found = handler.until(|all| !all.is_empty()).await;
    assert_eq!(found["a"].endpoint, found["a"].socket, "it names no endpoint");
}

#[tokio::test]
async fn of_two_with_one_name_the_later_serves_and_the_other_when_it_goes() {
    let rig = Rig::start();
    let _old = rig.serve("old.sock", plugin("a", "/p/old"));
    rig.handler.until_endpoint("a", "/p/old").await;
    let new = rig.serve("new.sock", plugin("a", "/p/new"));
    rig.handler.until_endpoint("a", "/p/new").await;
    new.stop();
    rig.handler.until_endpoint("a", "/p/old").await;
}

#[tokio::test]
async fn what_cannot_be_used_is_told_and_asked_again() {
    let rig = Rig::start();
    *rig.handler.refuse.lock().unwrap() = Some("not in this version".to_owned());
    let refused = plugin("a", "/p/a");
    let _a = rig.serve("a.sock", refused.clone());
    assert_eq!(refused.told(2).await, Err("not in this version".to_owned()));
    let event = rig.meta.until_event("FailedPluginRegistration").await;
    assert!(event.contains("Fake \"a\"") && event.contains("not in this version"), "{event}");
    *rig.handler.refuse.lock().unwrap() = None;
    rig.handler.until_endpoint("a", "/p/a").await;
    assert_eq!(rig.meta.read(|book| book.events.len()), 1, "said once");

    let stranger = FakePlugin::new("DRAPlugin", "b", Path::new("/p/b"), &[]);
    let _b = rig.serve("b.sock", stranger.clone());
    let told = stranger.told(1).await.unwrap_err();
    assert!(told.contains("\"DRAPlugin\"") && told.contains("but: Fake"), "{told}");
}

#[tokio::test]
async fn one_that_fails_is_asked_again_and_keeps_nobody_waiting() {
    let rig = Rig::start();
    // A file that nobody listens at, and one that takes connections and says nothing.
    drop(Server::start(&rig.socket("dead.sock"), plugin("dead", "")));
    let _mute = std::os::unix::net::UnixListener::bind(rig.socket("mute.sock")).unwrap();
    let slow = plugin("slow", "/p/slow");
    slow.fail_next("GetInfo", 2);
    slow.fail_next("NotifyRegistrationStatus", 1);
    let _slow = rig.serve("slow.sock", slow);
    rig.handler.until_endpoint("slow", "/p/slow").await;
    let event = rig.meta.until_event("FailedPluginRegistration").await;
    assert!(event.contains(".sock cannot be used: "), "{event}");
    let about_dead = |book: &crate::edged::testing::Book| {
        let said = book.events.iter().find(|(_, message)| message.contains("dead.sock"));
        said.map(|(_, message)| message.clone())
    };
    let event = rig.meta.until("the dead socket", about_dead).await;
    assert!(event.contains("nobody answers") && event.contains("remove the file"), "{event}");
    let about_mute = |book: &crate::edged::testing::Book| {
        let said = book.events.iter().find(|(_, message)| message.contains("mute.sock"));
        said.map(|(_, message)| message.clone())
    };
    let event = rig.meta.until("the mute socket", about_mute).await;
    assert!(event.contains("no answer within 10s"), "{event}");
}
