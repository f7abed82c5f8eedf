//! Plays rounds on one site.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use integration::site::Site;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use tokio::time::{Instant, sleep, timeout};

use super::kinds::Kind;
use super::node::Node;
use super::plan::{Act, Point, Round, Trigger, Victim};
use super::shown::Shown;
use super::verdict::{Rested, uids};
use super::witness::Witness;

/// For all to come to rest; the second try of a job waits 10 s, the machine may be slow.
const CALM: Duration = Duration::from_secs(240);
/// When a container has started again, containerd's own word for why may come so much later: by EdgeCore and the API.
const EXPLAINED: Duration = Duration::from_secs(20);
/// An event that does not come is not waited for.
const LONGEST: Duration = Duration::from_secs(6);
/// Characters of a uid.
const UID: usize = 36;
/// Lines of the logs that a failure shows.
const LINES: usize = 300;
/// How often files are looked at that others write.
const LOOK: Duration = Duration::from_millis(5);
/// How often the whole node is looked at.
const SELDOM: Duration = Duration::from_millis(500);

/// The uids of the pods that were made, by their number in the round.
type Made = BTreeMap<usize, String>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Stage {
    node: Node,
    witness: Witness,
    shown: Shown,
    api: Api<Pod>,
    /// The demo's own pods and their containers, which run through it all.
    residents: BTreeMap<String, String>,
    pub(crate) tally: Tally,
}

/// What was done and seen so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pods: usize,
    starts: usize,
    /// By victim: EdgeCore, containerd, both.
    kills: [usize; 3],
    /// Starts that containerd has lost, and restarts that were counted and that no container has seen.
    excused: usize,
    /// Addresses and namespaces that containerd has forgotten, at most at a time.
    lost: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pods, starts, kills: [edge, runtime, both], excused, lost } = self;
        write!(
            f,
            "{} points (edgecore {edge}, containerd {runtime}, both {both}), {pods} pods, {starts} starts; \
             excused: {excused} restarts, {lost} traces",
            edge + runtime + both
        )
    }
}

// === impl Stage ===

impl Stage {
    pub(crate) async fn open(tally: Tally) -> anyhow::Result<Self> {
        let site = Site::new(None)?;
        site.up()?;
        let client: Client = keadm::cluster::client(&site.state().join("kubeconfig")).await?;
        let api: Api<Pod> = Api::default_namespaced(client.clone());
        let residents = api.list(&Default::default()).await?.items;
        Ok(Self {
            residents: residents.iter().map(|pod| (name_of(pod), containers_of(pod))).collect(),
            shown: Shown::new(&client),
            node: Node::take_over(site)?,
            witness: Witness::new()?,
            api,
            tally,
        })
    }

    /// Plays one round.
    ///
    /// # Errors
    /// What went wrong, with the point after which it was seen.
    pub(crate) async fn play(&mut self, round: &Round) -> anyhow::Result<()> {
        let mut made = Made::new();
        let outcome = self.play_points(round, &mut made).await;
        self.tally.pods += made.len();
        let starts = made.iter().map(|(index, uid)| self.starts_of(round.pods[*index].kind, uid));
        self.tally.starts += starts.sum::<usize>();
        outcome
    }

    fn starts_of(&self, kind: Kind, uid: &str) -> usize {
        let testimonies =
            kind.rules().iter().filter_map(|(container, _)| self.witness.of(uid, container).ok());
        testimonies.map(|testimony| testimony.starts).sum()
    }

    /// Takes everything down.
    pub(crate) fn close(self) -> Tally {
        self.tally
    }

    /// Keeps the daemons' logs of a round that has failed.
    ///
    /// # Errors
    /// When they cannot be copied.
    pub(crate) fn keep_logs(&self, seed: u64) -> std::io::Result<PathBuf> {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("restarts-{seed}"));
        std::fs::create_dir_all(&kept)?;
        for entry in std::fs::read_dir(self.node.site.state().join("log"))? {
            let entry = entry?;
            std::fs::copy(entry.path(), kept.join(entry.file_name()))?;
        }
        std::fs::write(kept.join("tasks"), self.node.tasks_as_text())?;
        for entry in std::fs::read_dir(self.witness.path())? {
            let entry = entry?;
            std::fs::copy(entry.path(), kept.join(entry.file_name()))?;
        }
        Ok(kept)
    }

    /// What the daemons' logs have about the pods that the text names by their uids, and what containerd has of them.
    pub(crate) fn logs_about(&self, text: &str) -> String {
        let is_uid = |word: &&str| word.len() == UID && word.matches('-').count() == 4;
        let uids: Vec<&str> =
            text.split(|c: char| !c.is_ascii_hexdigit() && c != '-').filter(is_uid).collect();
        let log = self.node.log();
        let lines: Vec<&str> = log.lines().filter(|line| uids.iter().any(|uid| line.contains(uid))).collect();
        let lines = lines[lines.len().saturating_sub(LINES)..].join("\n");
        format!("{lines}\n--- tasks of these pods\n{}", self.node.tasks_of(&uids))
    }

    async fn play_points(&mut self, round: &Round, made: &mut Made) -> anyhow::Result<()> {
        for (number, point) in round.points.iter().enumerate() {
            let played = self.point(round, point, made).await;
            played.with_context(|| format!("point {number}"))?;
        }
        self.calm(round, made).await.context("after the points, at rest")?;
        self.point(round, &round.last, made).await.context("the last point")?;
        self.calm(round, made).await.context("when all pods have gone")
    }

    async fn point(&mut self, round: &Round, point: &Point, made: &mut Made) -> anyhow::Result<()> {
        let begun = Instant::now();
        let api = self.api.clone();
        let witness = self.witness.path().to_owned();
        let acts = async {
            for act in &point.acts {
                match act {
                    Act::Rest(time) => sleep(*time).await,
                    Act::Create(index) => {
                        let plan = &round.pods[*index];
                        let pod = serde_json::from_value(plan.kind.pod(&plan.name, plan.pace, &witness))?;
                        let pod = api.create(&PostParams::default(), &pod).await.context("create")?;
                        made.insert(*index, pod.metadata.uid.unwrap_or_default());
                    }
                    Act::Delete(index, grace) => {
                        let options =
                            DeleteParams { grace_period_seconds: *grace, ..DeleteParams::default() };
                        match api.delete(&round.pods[*index].name, &options).await {
                            Err(kube::Error::Api(status)) if status.is_not_found() => {}
                            other => drop(other.context("delete")?),
                        }
                    }
                }
            }
            anyhow::Ok(())
        };
        let (acts, killed) = tokio::join!(acts, strike(&mut self.node, &self.witness, &self.shown, point));
        acts?;
        killed?;
        self.tally.kills[match point.victim {
            Victim::EdgeCore => 0,
            Victim::Containerd => 1,
            Victim::Both => 2,
        }] += 1;
        tracing::debug!(took = ?begun.elapsed(), "point");
        self.look()
    }

    /// Takes note of what the daemons and the API say.
    fn look(&mut self) -> anyhow::Result<()> {
        self.node.look()?;
        for id in self.shown.unknown() {
            self.node.ledger.unknown(&id);
        }
        Ok(())
    }

    /// What holds at any time. Whatever containers have written stays: a look after the fact misses nothing.
    fn rules(&self, round: &Round, made: &Made) -> anyhow::Result<()> {
        for (index, uid) in made {
            let plan = &round.pods[*index];
            self.witness.judge(&plan.name, uid, plan.kind, &self.node.ledger)?;
        }
        Ok(())
    }

    /// Waits until every pod is as it should be and nothing is left of others.
    async fn calm(&mut self, round: &Round, made: &Made) -> anyhow::Result<()> {
        let end = Instant::now() + CALM;
        let mut broken_since = None;
        loop {
            self.look()?;
            if let Err(error) = self.rules(round, made) {
                let since = *broken_since.get_or_insert_with(Instant::now);
                anyhow::ensure!(since.elapsed() < EXPLAINED, error);
                sleep(SELDOM).await;
                continue;
            }
            broken_since = None;
            let last = match self.is_calm(round, made) {
                Ok((excused, lost)) => {
                    self.tally.excused += excused;
                    self.tally.lost = self.tally.lost.max(lost);
                    return Ok(());
                }
                Err(error) => error,
            };
            anyhow::ensure!(Instant::now() < end, "not within {CALM:?}: {last:#}");
            // At a change, or when it is time to look at the node again.
            sleep(SELDOM).await;
        }
    }

    fn is_calm(&self, round: &Round, made: &Made) -> anyhow::Result<(usize, usize)> {
        let shown = self.shown.now();
        let (mut excused, mut wrong) = (0, Vec::new());
        for (index, uid) in made {
            let plan = &round.pods[*index];
            match shown.get(&plan.name) {
                Some(pod) if pod.metadata.deletion_timestamp.is_some() => {
                    wrong.push(format!("{} is going ({})", plan.name, uid))
                }
                Some(pod) => {
                    let ledger = &self.node.ledger;
                    let rested = Rested { pod, kind: plan.kind, uid, witness: &self.witness, ledger };
                    match rested.judge() {
                        Ok(count) => excused += count,
                        Err(why) => wrong.push(format!("{} ({:?}, {}): {why}", plan.name, plan.kind, uid)),
                    }
                }
                None => {
                    for (container, _) in plan.kind.rules() {
                        if self.witness.lives(uid, container)? {
                            wrong.push(format!("{} has gone, but {container} lives ({})", plan.name, uid));
                        }
                    }
                }
            }
        }
        for (name, before) in &self.residents {
            let now = shown.get(name).map(|pod| containers_of(pod)).unwrap_or_default();
            anyhow::ensure!(now == *before, "{name} has {now:?} in place of {before:?}");
        }
        anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        let mut lost = 0;
        let strangers = self.node.strangers(&uids(shown.values().map(AsRef::as_ref)), &mut lost)?;
        anyhow::ensure!(strangers.is_empty(), "left behind:\n{}", strangers.join("\n"));
        Ok((excused, lost))
    }
}

/// Waits for the moment, kills, and starts again.
async fn strike(node: &mut Node, witness: &Witness, shown: &Shown, point: &Point) -> anyhow::Result<()> {
    let moment = async {
        match point.trigger {
            Trigger::After(time) => sleep(time).await,
            Trigger::Starts(count) => {
                let goal = witness.starts() + count;
                while witness.starts() < goal {
                    sleep(LOOK).await;
                }
            }
            Trigger::Namespaces(count) => {
                let (mut before, mut come) = (node.namespaces(), 0);
                while come < count {
                    sleep(LOOK).await;
                    let now = node.namespaces();
                    come += now.saturating_sub(before);
                    before = now;
                }
            }
            Trigger::Reports(count) => {
                let mut changes = shown.changes.clone();
                let goal = *changes.borrow() + count;
                // The watch lives as long as the stage.
                drop(changes.wait_for(|changes| *changes >= goal).await);
            }
        }
    };
    // Whatever the moment: it is as good as any.
    drop(timeout(LONGEST, moment).await);
    node.kill(point.victim)?;
    sleep(point.down).await;
    node.start(point.victim, point.edge_first)
}

fn name_of(pod: &Pod) -> String {
    pod.metadata.name.clone().unwrap_or_default()
}

/// Ids and restarts.
fn containers_of(pod: &Pod) -> String {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let words = statuses.map(|status| {
        format!("{} {}", status.container_id.as_deref().unwrap_or_default(), status.restart_count)
    });
    words.collect::<Vec<_>>().join(", ")
}
