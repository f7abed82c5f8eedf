//! Follows the folder, with a task for each socket in it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::rng::Rng;
use chassis::task;
use futures::future::OptionFuture;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::scan::{self, Mark};
use super::{Plugin, PluginHandler, registration};
use crate::edged::events::{Recorder, Severity, about_node};
use crate::edged::folder_watch::Watch;

/// Whatever tells of changes, the folder is looked at so often: it may have been removed and made again, or the kernel may have
/// no more watches. To read an empty folder once a minute costs nothing.
const EVERY: Duration = Duration::from_secs(60);
/// Between two tries: kubelet's own waits.
const RETRY: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(500),
    max: Duration::from_secs(122),
    factor: 2.0,
    jitter: 0.1,
};

/// Who takes in which type of plugin: `CSIPlugin`, `DevicePlugin`.
pub type Handlers = BTreeMap<&'static str, Arc<dyn PluginHandler>>;

/// See the module above.
#[derive(Debug)]
pub struct Registry {
    folder: PathBuf,
    tools: Arc<Tools>,
    sockets: BTreeMap<PathBuf, Socket>,
    tasks: JoinSet<Departed>,
    /// How many sockets were met.
    met: u64,
}

/// What each task needs.
#[derive(Debug)]
struct Tools {
    handlers: Handlers,
    events: Recorder,
    node: String,
    rng: Rng,
}

/// A socket that is there.
#[derive(Debug)]
struct Socket {
    mark: Mark,
    /// What has registered there.
    known: Arc<OnceLock<Plugin>>,
    /// Its task ends when this is dropped.
    _gone: oneshot::Sender<()>,
    /// When its task has ended, this is closed.
    ended: oneshot::Receiver<()>,
}

/// A plugin that was used and is gone.
type Departed = Option<Plugin>;

// === impl Registry ===

impl Registry {
    /// Over the folder `plugins_registry` of `rootDirectory`. `events` of the node say which plugins cannot be used.
    pub fn new(root: &Path, handlers: Handlers, events: Recorder, node: &str, rng: Rng) -> Self {
        Self {
            folder: root.join("plugins_registry"),
            tools: Arc::new(Tools { handlers, events, node: node.to_owned(), rng }),
            sockets: BTreeMap::new(),
            tasks: JoinSet::new(),
            met: 0,
        }
    }

    /// Looks, and looks again when something changes, for ever.
    pub async fn run(mut self) -> Infallible {
        loop {
            // Watched before it is read: nothing is missed in between.
            let watch = self.watch().await;
            self.look().await;
            let next = tokio::time::Instant::now() + EVERY;
            loop {
                let changed = OptionFuture::from(watch.as_ref().map(Watch::changed));
                tokio::select! {
                    Some(changed) = changed => match changed {
                        Ok(()) => self.look().await,
                        Err(error) => {
                            tracing::warn!(folder = %self.folder.display(), %error, "changes are not told");
                            tokio::time::sleep_until(next).await;
                            break;
                        }
                    },
                    Some(departed) = self.tasks.join_next() => match departed {
                        Ok(Some(plugin)) => self.ask_again(&plugin),
                        Ok(None) => {}
                        Err(error) => tracing::error!(%error, "a plugin's task failed"),
                    },
                    () = tokio::time::sleep_until(next) => break,
                }
            }
        }
    }

    async fn watch(&self) -> Option<Watch> {
        let folder = self.folder.clone();
        let made = tokio::task::spawn_blocking(move || scan::make(&folder)).await;
        let watch = match made {
            Ok(Ok(())) => Watch::new(&self.folder),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(std::io::Error::other(error)),
        };
        watch
            .inspect_err(|error| {
                tracing::warn!(folder = %self.folder.display(), %error, "plugins are looked for once a minute only");
            })
            .ok()
    }

    async fn look(&mut self) {
        let folder = self.folder.clone();
        let found = match tokio::task::spawn_blocking(move || scan::scan(&folder)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::warn!(folder = %self.folder.display(), %error, "plugins cannot be looked for");
                return;
            }
            Err(error) => {
                tracing::error!(%error, "plugins were not looked for");
                return;
            }
        };
        self.sockets.retain(|path, _| found.contains_key(path));
        for (path, mark) in found {
            if self.sockets.get(&path).is_none_or(|known| known.mark != mark) {
                self.meet(path, mark);
            }
        }
    }

    /// A socket is new, or is to be asked once more. The task of the one before it at this path ends first.
    fn meet(&mut self, path: PathBuf, mark: Mark) {
        self.met += 1;
        let previous = self.sockets.remove(&path).map(|previous| previous.ended);
        let (gone, is_gone) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let known = Arc::new(OnceLock::new());
        let meeting = Meeting {
            socket: path.clone(),
            number: self.met,
            tools: self.tools.clone(),
            known: known.clone(),
        };
        let span = tracing::info_span!("plugin", socket = %path.display());
        task::spawn_in(&mut self.tasks, span, async move {
            let _end = end;
            if let Some(previous) = previous {
                // Closed, never sent to.
                previous.await.ok();
            }
            meeting.run(is_gone).await
        });
        self.sockets.insert(path, Socket { mark, known, _gone: gone, ended });
    }

    /// A plugin has gone: another socket of its type and name, which it had taken the place of, serves again.
    fn ask_again(&mut self, departed: &Plugin) {
        let same = |known: &Plugin| known.kind == departed.kind && known.name == departed.name;
        let others = self.sockets.iter().filter(|(_, socket)| socket.known.get().is_some_and(same));
        let others: Vec<_> = others.map(|(path, socket)| (path.clone(), socket.mark)).collect();
        for (path, mark) in others {
            self.meet(path, mark);
        }
    }
}

/// One socket from when it was met until it is gone.
struct Meeting {
    socket: PathBuf,
    number: u64,
    tools: Arc<Tools>,
    known: Arc<OnceLock<Plugin>>,
}

// === impl Meeting ===

impl Meeting {
    async fn run(self, mut is_gone: oneshot::Receiver<()>) -> Departed {
        let mut plugin = None;
        tokio::select! {
            _ = &mut is_gone => {}
            () = self.introduce(&mut plugin) => {
                is_gone.await.ok();
            }
        }
        let plugin: Plugin = plugin?;
        let handler = self.tools.handlers.get(plugin.kind.as_str())?;
        let was_known = handler.deregister(&plugin);
        tracing::info!(kind = plugin.kind, name = plugin.name, was_known, "plugin is gone");
        was_known.then_some(plugin)
    }

    /// Ends when the plugin is in use.
    async fn introduce(&self, plugin: &mut Option<Plugin>) {
        let mut backoff = Backoff::new(RETRY, self.tools.rng.clone());
        let mut told = String::new();
        loop {
            match self.try_once(plugin).await {
                Ok(()) => return,
                Err(problem) => {
                    if problem != told {
                        self.tell(plugin.as_ref(), &problem).await;
                        told = problem;
                    }
                }
            }
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }

    async fn try_once(&self, seen: &mut Option<Plugin>) -> Result<(), String> {
        let plugin = registration::introduce(&self.socket, self.number).await?;
        let verdict = match self.tools.handlers.get(plugin.kind.as_str()) {
            Some(handler) => {
                *seen = Some(plugin.clone());
                handler.register(plugin.clone()).await
            }
            None => Err(self.tools.unknown(&plugin.kind)),
        };
        let told = registration::notify(&self.socket, &verdict).await;
        verdict?;
        if let Err(error) = told {
            // It is in use all the same: its socket has answered, and so has the plugin itself.
            tracing::warn!(name = plugin.name, %error, "the plugin was not told that it is in use");
        }
        tracing::info!(kind = plugin.kind, name = plugin.name, endpoint = %plugin.endpoint.display(), "plugin is in use");
        self.known.set(plugin).ok();
        Ok(())
    }

    async fn tell(&self, plugin: Option<&Plugin>, problem: &str) {
        tracing::warn!(problem, "plugin cannot be used");
        let what = match plugin {
            Some(Plugin { kind, name, .. }) => format!("{kind} {name:?}"),
            None => "plugin".to_owned(),
        };
        let message = format!("{what} at {} cannot be used: {problem}", self.socket.display());
        let about = about_node(&self.tools.node);
        self.tools.events.record(about, Severity::Warning, "FailedPluginRegistration", &message).await;
    }
}

impl Tools {
    fn unknown(&self, kind: &str) -> String {
        let known: Vec<_> = self.handlers.keys().copied().collect();
        format!("plugins of type {kind:?} are not known on this node, but: {}", known.join(", "))
    }
}

#[cfg(test)]
mod tests;
