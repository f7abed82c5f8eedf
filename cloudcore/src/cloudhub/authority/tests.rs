//! Files that an operator brings, and a token that stays fresh through hours and failures.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use certs::armor::encode_certificate;
use certs::authority::{CA_SECRET, current_token};
use certs::files::{MODE_PUBLIC, MODE_SECRET, write_atomically};
use certs::store::{MemoryStore, SecretData, StoreError, Versioned};
use jiff::Timestamp;
use tempfile::TempDir;

use chassis::readiness::Readiness;

use proto::ban::{Ban, BanList};

use super::*;

const PERIOD: Duration = Duration::from_secs(12 * 60 * 60);

fn start() -> Timestamp {
    "2026-11-23T03:00:00Z".parse().unwrap()
}

fn files(dir: &TempDir) -> CaFiles {
    CaFiles { certificate: dir.path().join("rootCA.crt"), key: dir.path().join("rootCA.key") }
}

fn names() -> SanList {
    SanList::new(["127.0.0.1"])
}

fn write(files: &CaFiles, ca: &Ca) {
    write_atomically(&files.certificate, encode_certificate(ca.cert_der()).as_bytes(), MODE_PUBLIC).unwrap();
    write_atomically(&files.key, ca.key().to_pem().as_bytes(), MODE_SECRET).unwrap();
}

#[tokio::test]
async fn a_ca_in_files_is_taken_and_a_certificate_without_key_is_not_one() {
    let dir = TempDir::new().unwrap();
    let files = files(&dir);
    let brought = Ca::generate(start()).unwrap();
    let clock = Clock::fixed(start());
    write_atomically(&files.certificate, encode_certificate(brought.cert_der()).as_bytes(), MODE_PUBLIC)
        .unwrap();
    let made = Authority::load(&MemoryStore::new(), &files, &names(), &clock).await.unwrap();
    assert_ne!(made.ca.cert_der(), brought.cert_der());

    write(&files, &brought);
    let loaded = Authority::load(&MemoryStore::new(), &files, &names(), &clock).await.unwrap();
    assert_eq!(loaded.ca.cert_der(), brought.cert_der());
    assert!(loaded.ca.issued(loaded.server.certificate(), start()));
}

#[tokio::test]
async fn a_ca_in_files_that_is_not_the_shared_one_is_reported_with_what_to_do() {
    let dir = TempDir::new().unwrap();
    let store = MemoryStore::new();
    let clock = Clock::fixed(start());
    Authority::load(&store, &files(&dir), &names(), &clock).await.unwrap();
    write(&files(&dir), &Ca::generate(start()).unwrap());
    let error = Authority::load(&store, &files(&dir), &names(), &clock).await.unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains(CA_SECRET) && text.contains("remove the wrong one"), "{text}");
}

#[tokio::test]
async fn garbage_in_files_is_reported_by_path() {
    let dir = TempDir::new().unwrap();
    let files = files(&dir);
    write(&files, &Ca::generate(start()).unwrap());
    write_atomically(&files.key, b"garbage", MODE_SECRET).unwrap();
    let error =
        Authority::load(&MemoryStore::new(), &files, &names(), &Clock::fixed(start())).await.unwrap_err();
    assert!(format!("{error:#}").contains("rootCA.key"), "{error:#}");
}

/// A store that cannot be reached for the first so many requests.
#[derive(Debug, Clone)]
struct Flaky {
    store: Arc<MemoryStore>,
    failures: Arc<AtomicUsize>,
}

impl Flaky {
    fn new(failures: usize) -> Self {
        Self { store: Arc::new(MemoryStore::new()), failures: Arc::new(AtomicUsize::new(failures)) }
    }
}

impl SecretStore for Flaky {
    async fn get(&self, name: &str) -> Result<Option<Versioned>, StoreError> {
        let left =
            self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match left {
            Ok(_) => Err(StoreError::Unavailable { name: name.to_owned(), source: "down".into() }),
            Err(_) => self.store.get(name).await,
        }
    }

    async fn create(&self, name: &str, data: &SecretData) -> Result<(), StoreError> {
        self.store.create(name, data).await
    }

    async fn replace(&self, name: &str, data: &SecretData, version: &str) -> Result<(), StoreError> {
        self.store.replace(name, data, version).await
    }
}

/// Runs a refresher over `store` and looks at the token every hour of `hours`.
async fn hourly(store: &Flaky, hours: u32) -> Vec<bool> {
    let clock = Clock::fixed(start());
    let ca = Ca::generate(start()).unwrap();
    let readiness = Readiness::new();
    let refresher = TokenRefresher {
        store: store.clone(),
        ca: ca.clone(),
        period: PERIOD,
        clock: clock.clone(),
        rng: Rng::seeded(1),
        bans: Bans::fixed(BanList::default()),
        leadership: Leadership::always(),
        ready: readiness.register("tokens"),
    };
    assert!(!readiness.is_ready(), "there is no token yet");
    let (trigger, shutdown) = Shutdown::new();
    let looking = async {
        let mut good = Vec::new();
        for _ in 0..hours {
            tokio::time::sleep(Duration::from_secs(60 * 60)).await;
            let token = current_token(store.store.as_ref()).await.unwrap();
            good.push(token.is_some_and(|token| token.verify(&ca, clock.now()).is_ok()));
        }
        assert_eq!(readiness.is_ready(), good.contains(&true));
        trigger.request();
        good
    };
    let (ran, good) = tokio::join!(refresher.run(shutdown), looking);
    ran.unwrap();
    good
}

#[tokio::test(start_paused = true)]
async fn there_is_a_valid_token_at_every_hour_of_a_week() {
    assert_eq!(hourly(&Flaky::new(0), 24 * 7).await, [true; 24 * 7]);
}

#[tokio::test(start_paused = true)]
async fn failures_are_got_over_where_stock_gives_up() {
    let store = Flaky::new(30);
    assert_eq!(hourly(&store, 24).await, [true; 24]);
    assert_eq!(store.failures.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_ban_replaces_the_token_at_once() {
    let (store, ca, clock) =
        (Arc::new(MemoryStore::new()), Ca::generate(start()).unwrap(), Clock::fixed(start()));
    let (writer, bans) = Bans::new();
    let readiness = Readiness::new();
    let refresher = TokenRefresher {
        store: Flaky { store: Arc::clone(&store), failures: Arc::default() },
        ca: ca.clone(),
        period: PERIOD,
        clock: clock.clone(),
        rng: Rng::seeded(1),
        bans,
        leadership: Leadership::always(),
        ready: readiness.register("tokens"),
    };
    let (trigger, shutdown) = Shutdown::new();
    let banning = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!readiness.is_ready(), "nobody knows yet which tokens count");
        writer.set(BanList::default());
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = current_token(store.as_ref()).await.unwrap().unwrap();

        let mut list = BanList::default();
        list.ban("edge-1", Ban::new(clock.now(), "stolen"));
        writer.set(list);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let after = current_token(store.as_ref()).await.unwrap().unwrap();
        assert_ne!(before, after);
        trigger.request();
    };
    let (ran, ()) = tokio::join!(refresher.run(shutdown), banning);
    ran.unwrap();
}

/// As after SIGSTOP: its time as the one that leads is over when it wakes up, and so is that of the token.
#[tokio::test(start_paused = true)]
async fn a_replica_that_led_and_slept_makes_no_token_when_it_wakes_up() {
    let store = Arc::new(MemoryStore::new());
    let (writer, leadership) = Leadership::new();
    let readiness = Readiness::new();
    let refresher = TokenRefresher {
        store: Flaky { store: Arc::clone(&store), failures: Arc::default() },
        ca: Ca::generate(start()).unwrap(),
        period: PERIOD,
        clock: Clock::fixed(start()),
        rng: Rng::seeded(1),
        bans: Bans::fixed(BanList::default()),
        leadership,
        ready: readiness.register("tokens"),
    };
    let (trigger, shutdown) = Shutdown::new();
    let term = Duration::from_secs(8);
    let sleeping = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(current_token(store.as_ref()).await.unwrap(), None, "nobody knows yet who leads");
        writer.follow();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(readiness.is_ready(), "another one sees to it");
        writer.lead(tokio::time::Instant::now() + term);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let token = current_token(store.as_ref()).await.unwrap();
        assert!(token.is_some());
        tokio::time::advance(4 * PERIOD).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(current_token(store.as_ref()).await.unwrap(), token);
        writer.lead(tokio::time::Instant::now() + term);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_ne!(current_token(store.as_ref()).await.unwrap(), token);
        trigger.request();
    };
    let (ran, ()) = tokio::join!(refresher.run(shutdown), sleeping);
    ran.unwrap();
}
