//! What the containers themselves have written, whatever edgecore and containerd believe.
//!
//! A container appends a line when it starts, and holds a lock on its file as long as it lives: the kernel gives the lock
//! back when the process ends, so whoever starts beside another one is told so. Nothing is ever erased: a look after the
//! fact misses nothing.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::kinds::{Kind, Rule};
use super::ledger::Ledger;

/// What one container of one pod has written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Testimony {
    pub(crate) starts: usize,
    pub(crate) is_done: bool,
    lines: Vec<String>,
}

/// The directory of all testimonies.
#[derive(Debug)]
pub(crate) struct Witness {
    directory: tempfile::TempDir,
}

// === impl Witness ===

impl Witness {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { directory: tempfile::tempdir()? })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn file(&self, uid: &str, container: &str) -> PathBuf {
        self.path().join(format!("{uid}.{container}"))
    }

    pub(crate) fn of(&self, uid: &str, container: &str) -> anyhow::Result<Testimony> {
        match std::fs::read_to_string(self.file(uid, container)) {
            Ok(text) => Ok(Testimony::of(&text)),
            // It has never started.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Testimony::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// Does the container run, as the kernel knows?
    pub(crate) fn lives(&self, uid: &str, container: &str) -> anyhow::Result<bool> {
        let file = match File::open(self.file(uid, container)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        // Shared: two looks at once, or a container that starts meanwhile, shall not take each other for a container.
        match Flock::lock(file, FlockArg::LockSharedNonblock) {
            Ok(_) => Ok(false),
            Err((_, Errno::EWOULDBLOCK)) => Ok(true),
            Err((_, error)) => Err(error.into()),
        }
    }

    /// How many containers have started so far.
    pub(crate) fn starts(&self) -> usize {
        let files = std::fs::read_dir(self.path()).into_iter().flatten().flatten();
        let texts = files.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
        texts.map(|text| Testimony::of(&text).starts).sum()
    }

    /// What holds at any time, of a pod that is there or was.
    ///
    /// # Errors
    /// A container has started that must not have.
    pub(crate) fn judge(&self, name: &str, uid: &str, kind: Kind, ledger: &Ledger) -> anyhow::Result<()> {
        for (container, rule) in kind.rules() {
            let testimony = self.of(uid, container)?;
            let held = testimony.keeps(*rule, ledger.lost_starts(uid, container));
            held.map_err(|why| {
                anyhow::anyhow!("{name} ({kind:?}, {uid}), {container}: {why}: {testimony:?}")
            })?;
        }
        Ok(())
    }
}

impl Testimony {
    pub(crate) fn of(text: &str) -> Self {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let starts = lines.iter().filter(|line| line.starts_with("start "));
        Self { starts: starts.count(), is_done: lines.iter().any(|line| line.starts_with("done ")), lines }
    }

    /// `lost`: starts that containerd was at when it was killed.
    fn keeps(&self, rule: Rule, lost: usize) -> Result<(), &'static str> {
        if self.lines.iter().any(|line| line.starts_with("twice ")) {
            return Err("two of it ran at the same time");
        }
        let most = match rule {
            Rule::Once | Rule::Steady => 1 + lost,
            Rule::Until(starts) => starts + lost,
            Rule::Again => usize::MAX,
        };
        if self.starts > most {
            return Err("it was started again");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_a_rule_is_told() {
        let keeps = |text: &str, rule| Testimony::of(text).keeps(rule, 0);
        assert_eq!(keeps("", Rule::Steady), Ok(()));
        assert_eq!(keeps("start 1.00\n", Rule::Steady), Ok(()));
        assert_eq!(keeps("start 1.00\nstart 2.00\n", Rule::Steady), Err("it was started again"));
        assert_eq!(keeps("start 1.00\ndone 1.50\nstart 2.00\n", Rule::Once), Err("it was started again"));
        assert_eq!(keeps("start 1.00\nstart 2.00\ndone 3.00\n", Rule::Until(2)), Ok(()));
        assert_eq!(
            keeps("start 1.00\nstart 2.00\ndone 3.00\nstart 4.00\n", Rule::Until(2)),
            Err("it was started again")
        );
        assert_eq!(keeps("start 1.00\nstart 2.00\n", Rule::Again), Ok(()));
        assert_eq!(keeps("start 1.00\ntwice 2.00\n", Rule::Again), Err("two of it ran at the same time"));
    }

    #[test]
    fn a_start_that_containerd_has_lost_may_be_made_up_for() {
        let keeps = |rule, lost| Testimony::of("start 10.00\nstart 20.00\n").keeps(rule, lost);
        assert!(keeps(Rule::Steady, 0).is_err());
        assert_eq!(keeps(Rule::Steady, 1), Ok(()));
        assert!(keeps(Rule::Once, 0).is_err());
        assert!(keeps(Rule::Until(0), 1).is_err());
    }

    #[test]
    fn who_holds_the_lock_lives() {
        let witness = Witness::new().unwrap();
        assert!(!witness.lives("uid", "main").unwrap());
        let file = File::create(witness.file("uid", "main")).unwrap();
        assert!(!witness.lives("uid", "main").unwrap());
        let held = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
        assert!(witness.lives("uid", "main").unwrap());
        drop(held);
        assert!(!witness.lives("uid", "main").unwrap());
    }
}
