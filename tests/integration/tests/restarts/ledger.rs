//! What containerd was at when it was killed, as its own log tells: it notes when a call begins and when it has returned.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

/// A container of a pod: uid and name.
type Key = (String, String);

/// Longest between the death of who has asked for a start and the line that says that it was taken back.
const TAKING_BACK: SignedDuration = SignedDuration::from_secs(3);

/// The whole log so far, as a state.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Bytes of the log that are read.
    read: usize,
    /// Pod uid by sandbox id, of those that EdgeCore was told of.
    sandboxes: BTreeMap<String, String>,
    /// By container id.
    containers: BTreeMap<String, Key>,
    /// Calls of `RunPodSandbox` that have not returned, by what they ask for.
    running: BTreeSet<String>,
    /// Calls of `CreateContainer` that have not returned, by what they ask for.
    creating: BTreeMap<String, Key>,
    /// Containers that were made and nobody has asked to start yet.
    made: BTreeSet<String>,
    /// Calls of `StartContainer` that have not returned, by container id.
    starting: BTreeSet<String>,
    /// When EdgeCore was killed.
    callers_died: Vec<Timestamp>,
    /// Of the last line.
    now: Timestamp,
    lost: Lost,
}

/// What containerd was at when it was killed, each time.
#[derive(Debug, Default)]
struct Lost {
    sandboxes: usize,
    /// Containers that were not wholly started.
    unbegun: BTreeMap<Key, usize>,
    /// Containers that it was about to start, so that their programs may have begun, and those that it says to know nothing of.
    starts: BTreeMap<Key, BTreeSet<String>>,
    /// The same, of whose making it has told nobody.
    unknown_starts: usize,
}

// === impl Ledger ===

impl Ledger {
    /// Reads what has been added to the log. The last line may not be whole yet.
    pub(crate) fn read(&mut self, log: &str) {
        let added = log.get(self.read..).unwrap_or_default();
        let whole = added.rfind('\n').map_or(0, |end| end + 1);
        for line in added[..whole].lines() {
            if let Some((head, message)) = line.split_once(" msg=\"") {
                self.now = time(head).unwrap_or(self.now);
                self.note(&message.replace("\\\"", "\""));
            }
        }
        self.read += whole;
    }

    /// EdgeCore was killed: what it has asked for containerd (1.6) takes back, as far as it is not done.
    pub(crate) fn caller_died(&mut self, at: Timestamp) {
        self.callers_died.push(at);
    }

    /// containerd says that it does not know how this container has ended: it was killed before it had noted that.
    pub(crate) fn unknown(&mut self, id: &str) {
        if let Some(key) = self.containers.get(id) {
            self.lost.starts.entry(key.clone()).or_default().insert(id.to_owned());
        }
    }

    /// How often containerd has lost this container: it was killed while it started it, or before it had noted how it has ended,
    /// or has taken a start back because its caller had died. Its program may have begun, and how it ended is not known.
    pub(crate) fn lost_starts(&self, uid: &str, container: &str) -> usize {
        let key = (uid.to_owned(), container.to_owned());
        let known = self.lost.starts.get(&key).map_or(0, BTreeSet::len);
        // Whose start it was cannot be told; it was one of those in whose making containerd had been killed before.
        let was_half_made = self.lost.unbegun.get(&key).copied().unwrap_or_default() > known;
        known + if was_half_made { self.lost.unknown_starts } else { 0 }
    }

    /// How often containerd was killed between the call that makes this container and the return of the one that starts it.
    pub(crate) fn unbegun(&self, uid: &str, container: &str) -> usize {
        self.lost.unbegun.get(&(uid.to_owned(), container.to_owned())).copied().unwrap_or_default()
    }

    /// How many sandboxes it was about to make when it was killed.
    pub(crate) fn lost_sandboxes(&self) -> usize {
        self.lost.sandboxes
    }

    /// Was EdgeCore ever told of this sandbox?
    pub(crate) fn knows_sandbox(&self, id: &str) -> bool {
        self.sandboxes.contains_key(id)
    }

    fn note(&mut self, message: &str) {
        if message.starts_with("starting containerd") {
            self.begin_anew();
        } else if let Some(rest) = message.strip_prefix("RunPodSandbox for ") {
            self.note_sandbox(rest);
        } else if let Some(rest) = message.strip_prefix("CreateContainer within sandbox \"") {
            self.note_creation(rest);
        } else if let Some((id, end)) =
            message.strip_prefix("StartContainer for \"").and_then(|rest| rest.split_once('"'))
        {
            self.made.remove(id);
            self.note_start(id, end);
        }
    }

    fn note_start(&mut self, id: &str, end: &str) {
        if is_call(end) {
            self.starting.insert(id.to_owned());
            return;
        }
        self.starting.remove(id);
        let is_recent =
            |died: &Timestamp| (SignedDuration::ZERO..TAKING_BACK).contains(&self.now.duration_since(*died));
        if end.contains("context canceled") && self.callers_died.iter().any(is_recent) {
            self.lose_start(id);
        }
    }

    fn lose_start(&mut self, id: &str) {
        match self.containers.get(id) {
            Some(key) => {
                *self.lost.unbegun.entry(key.clone()).or_default() += 1;
                self.lost.starts.entry(key.clone()).or_default().insert(id.to_owned());
            }
            None => self.lost.unknown_starts += 1,
        }
    }

    fn note_sandbox(&mut self, rest: &str) {
        let Some((asked, end)) = rest.split_once('}') else { return };
        if is_call(end) {
            self.running.insert(asked.to_owned());
            return;
        }
        self.running.remove(asked);
        if let (Some(uid), Some(id)) = (field(asked, "Uid:"), quoted(end)) {
            self.sandboxes.insert(id.to_owned(), uid.to_owned());
        }
    }

    fn note_creation(&mut self, rest: &str) {
        let Some((asked, end)) = rest.split_once('}') else { return };
        // The call says "for container", its end says "for".
        let asked = asked.replace(" for container ", " for ");
        if is_call(end) {
            let sandbox = asked.split('"').next().unwrap_or_default();
            let uid = self.sandboxes.get(sandbox).cloned().unwrap_or_default();
            let name = field(&asked, "Name:").unwrap_or_default().to_owned();
            self.creating.insert(asked, (uid, name));
        } else if let (Some(key), Some(id)) = (self.creating.remove(&asked), quoted(end)) {
            self.containers.insert(id.to_owned(), key);
            self.made.insert(id.to_owned());
        }
    }

    /// What has not returned never will.
    fn begin_anew(&mut self) {
        self.lost.sandboxes += std::mem::take(&mut self.running).len();
        for key in std::mem::take(&mut self.creating).into_values() {
            *self.lost.unbegun.entry(key).or_default() += 1;
        }
        for id in &self.made {
            if let Some(key) = self.containers.get(id) {
                *self.lost.unbegun.entry(key.clone()).or_default() += 1;
            }
        }
        for id in std::mem::take(&mut self.starting) {
            self.lose_start(&id);
        }
    }
}

/// When a line was written.
fn time(head: &str) -> Option<Timestamp> {
    head.split_once("time=\"")?.1.split('"').next()?.parse().ok()
}

/// Is it the line of a call, not that of its end?
fn is_call(end: &str) -> bool {
    end.trim_end_matches('"').is_empty()
}

fn field<'a>(asked: &'a str, name: &str) -> Option<&'a str> {
    asked.split_once(name)?.1.split(',').next()
}

fn quoted(end: &str) -> Option<&str> {
    end.split('"').nth(1).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::Ledger;

    const BEGIN: &str =
        r#"time="2026-11-28T01:00:00.5Z" level=info msg="starting containerd" revision="r" version="1.6.20""#;
    const RUN: &str = r#"time="2026-11-28T01:00:00.5Z" level=info msg="RunPodSandbox for &PodSandboxMetadata{Name:p,Uid:u-1,Namespace:default,Attempt:0,}"#;
    const CREATE: &str = r#"time="2026-11-28T01:00:00.5Z" level=info msg="CreateContainer within sandbox \"s1\" for container &ContainerMetadata{Name:main,Attempt:0,}""#;
    const CREATED: &str = r#"time="2026-11-28T01:00:00.5Z" level=info msg="CreateContainer within sandbox \"s1\" for &ContainerMetadata{Name:main,Attempt:0,} returns container id \"c1\"""#;
    const START: &str = r#"time="2026-11-28T01:00:00.5Z" level=info msg="StartContainer for \"c1\"""#;
    const STARTED: &str =
        r#"time="2026-11-28T01:00:00.5Z" level=info msg="StartContainer for \"c1\" returns successfully""#;

    fn ledger(lines: &[String]) -> Ledger {
        let mut ledger = Ledger::default();
        let log: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        // In two parts, one of which ends in the middle of a line.
        ledger.read(&log[..log.len() / 2]);
        ledger.read(&log);
        ledger
    }

    fn run() -> [String; 2] {
        [format!("{RUN}\""), format!(r#"{RUN} returns sandbox id \"s1\"""#)]
    }

    fn story(lines: &[&str]) -> Ledger {
        let mut all = run().to_vec();
        all.extend(lines.iter().map(|line| (*line).to_owned()));
        ledger(&all)
    }

    #[test]
    fn a_sandbox_that_was_about_to_be_made_is_lost() {
        let [call, end] = run();
        let lost = ledger(&[BEGIN.to_owned(), call.clone(), BEGIN.to_owned()]);
        assert_eq!(lost.lost_sandboxes(), 1);
        let made = ledger(&[BEGIN.to_owned(), call, end, BEGIN.to_owned()]);
        assert_eq!(made.lost_sandboxes(), 0);
        assert!(made.knows_sandbox("s1"));
    }

    #[test]
    fn only_a_start_that_has_not_returned_is_lost() {
        let of = |lines: &[&str]| {
            let ledger = story(lines);
            (ledger.lost_starts("u-1", "main"), ledger.unbegun("u-1", "main"))
        };
        assert_eq!(of(&[CREATE, CREATED, START, STARTED, BEGIN]), (0, 0));
        assert_eq!(of(&[CREATE, CREATED, START, BEGIN]), (1, 1));
        assert_eq!(of(&[CREATE, CREATED, BEGIN]), (0, 1));
        assert_eq!(of(&[CREATE, BEGIN]), (0, 1));
        assert_eq!(of(&[CREATE, BEGIN, START, BEGIN]), (1, 1));
        assert_eq!(story(&[CREATE, CREATED, START, BEGIN]).lost_starts("u-1", "other"), 0);
    }

    #[test]
    fn what_is_lost_twice_is_lost_once() {
        let mut ledger = story(&[CREATE, CREATED, START, BEGIN]);
        ledger.unknown("c1");
        assert_eq!(ledger.lost_starts("u-1", "main"), 1);
        let mut ledger = story(&[CREATE, CREATED, START, STARTED, BEGIN]);
        ledger.unknown("c1");
        assert_eq!((ledger.lost_starts("u-1", "main"), ledger.unbegun("u-1", "main")), (1, 0));
    }

    #[test]
    fn a_start_is_taken_back_when_its_caller_has_just_died() {
        let taken_back = r#"time="2026-11-28T01:00:00.6Z" level=error msg="StartContainer for \"c1\" failed" error="failed to start containerd task \"c1\": context canceled: unknown""#;
        let of = |died: &str| {
            let mut ledger = Ledger::default();
            ledger.caller_died(died.parse().unwrap());
            let mut log = run().join("\n");
            log.extend([CREATE, CREATED, START, taken_back, ""].iter().flat_map(|line| ["\n", line]));
            ledger.read(&log);
            (ledger.lost_starts("u-1", "main"), ledger.unbegun("u-1", "main"))
        };
        assert_eq!(of("2026-11-28T01:00:00Z"), (1, 1));
        assert_eq!(of("2026-11-28T00:50:00Z"), (0, 0));
    }
}
