//! The shared Secrets: stock's format, and replicas that start at the same moment.

use std::collections::BTreeSet;

use super::*;
use crate::store::MemoryStore;

const TTL: SignedDuration = SignedDuration::from_hours(24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn now() -> Timestamp {
    "2026-11-23T03:00:00Z".parse().unwrap()
}

fn names(name: &str) -> SanList {
    SanList::new([name])
}

async fn data(store: &MemoryStore, secret: &str) -> SecretData {
    store.get(secret).await.unwrap().unwrap().data
}

#[tokio::test]
async fn the_secrets_have_stock_names_keys_and_forms() {
    let store = MemoryStore::new();
    let ca = load_or_create_ca(&store, None, now()).await.unwrap();
    let server = load_or_create_server(&store, &ca, &names("a"), now()).await.unwrap();
    let token = load_or_refresh_token(&store, &ca, TTL, now(), None).await.unwrap();

    let held = data(&store, "casecret").await;
    assert_eq!(held.get("cadata").unwrap(), ca.cert_der().as_ref());
    assert_eq!(held.get("cakeydata").unwrap(), ca.key().sec1_der());
    let held = data(&store, "cloudcoresecret").await;
    assert_eq!(held.get("cloudcoredata").unwrap(), server.certificate().as_ref());
    assert_eq!(held.get("cloudcorekeydata").unwrap(), server.key().sec1_der());
    let held = data(&store, "tokensecret").await;
    assert_eq!(held.get("tokendata").unwrap(), token.expose().as_bytes());
}

#[tokio::test]
async fn what_is_there_is_kept() {
    let store = MemoryStore::new();
    let ca = load_or_create_ca(&store, None, now()).await.unwrap();
    let server = load_or_create_server(&store, &ca, &names("a"), now()).await.unwrap();
    let token = load_or_refresh_token(&store, &ca, TTL, now(), None).await.unwrap();
    let later = now() + HOUR;
    let ca = load_or_create_ca(&store, Some(&ca), later).await.unwrap();
    let again = load_or_create_server(&store, &ca, &names("a"), later).await.unwrap();
    assert_eq!(again.certificate(), server.certificate());
    assert_eq!(load_or_refresh_token(&store, &ca, TTL, later, None).await.unwrap(), token);
    assert_eq!(current_token(&store).await.unwrap(), Some(token));
}

#[tokio::test]
async fn replicas_that_start_at_once_end_with_one_of_each() {
    const REPLICAS: usize = 4;
    let store = MemoryStore::new();
    let replica = async |name: String| {
        let ca = load_or_create_ca(&store, None, now()).await.unwrap();
        let server = load_or_create_server(&store, &ca, &SanList::new([name]), now()).await.unwrap();
        let token = load_or_refresh_token(&store, &ca, TTL, now(), None).await.unwrap();
        (ca.fingerprint(), server, token.expose())
    };
    let all = [replica("r0".into()), replica("r1".into()), replica("r2".into()), replica("r3".into())];
    let [a, b, c, d] = all;
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    let results = [a, b, c, d];
    let cas: BTreeSet<&String> = results.iter().map(|it| &it.0).collect();
    let tokens: BTreeSet<&String> = results.iter().map(|it| &it.2).collect();
    assert_eq!((results.len(), cas.len(), tokens.len()), (REPLICAS, 1, 1));

    // Each replica came with its own name; the certificate that stays has all of them.
    let shared = data(&store, SERVER_SECRET).await;
    let (_, info) = read_server(&shared).unwrap();
    assert!(info.names.covers(&SanList::new(["r0", "r1", "r2", "r3"])), "{:?}", info.names);
}

#[tokio::test]
async fn a_ca_from_files_is_shared_once_and_another_one_is_refused() {
    let store = MemoryStore::new();
    let (mine, other) = (Ca::generate(now()).unwrap(), Ca::generate(now()).unwrap());
    let ca = load_or_create_ca(&store, Some(&mine), now()).await.unwrap();
    assert_eq!(ca.cert_der(), mine.cert_der());
    let error = load_or_create_ca(&store, Some(&other), now()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&mine.fingerprint()) && text.contains(&other.fingerprint()), "{text}");
    assert_eq!(data(&store, CA_SECRET).await.get("cadata").unwrap(), mine.cert_der().as_ref());
}

#[tokio::test]
async fn a_damaged_ca_is_reported_and_never_overwritten() {
    let store = MemoryStore::new();
    let damaged = SecretData::new([("cadata", b"x"), ("cakeydata", b"y")]);
    store.create(CA_SECRET, &damaged).await.unwrap();
    let error = load_or_create_ca(&store, None, now()).await.unwrap_err();
    assert!(matches!(error, AuthorityError::Unusable { secret: "casecret", .. }), "{error}");
    assert_eq!(data(&store, CA_SECRET).await, damaged);

    let store = MemoryStore::new();
    store.create(CA_SECRET, &SecretData::new([("cadata", b"x")])).await.unwrap();
    let error = load_or_create_ca(&store, None, now()).await.unwrap_err();
    assert!(matches!(error, AuthorityError::MissingKey { key: "cakeydata", .. }), "{error}");
}

#[tokio::test]
async fn a_server_certificate_is_made_anew_for_a_new_name_or_a_new_ca() {
    let store = MemoryStore::new();
    let ca = Ca::generate(now()).unwrap();
    let first = load_or_create_server(&store, &ca, &names("10.0.0.1"), now()).await.unwrap();
    let moved = load_or_create_server(&store, &ca, &names("10.0.0.2"), now()).await.unwrap();
    assert_ne!(first.certificate(), moved.certificate());
    // The first replica is content with it too: no ping-pong.
    let back = load_or_create_server(&store, &ca, &names("10.0.0.1"), now()).await.unwrap();
    assert_eq!(back.certificate(), moved.certificate());
    let other = Ca::generate(now()).unwrap();
    let third = load_or_create_server(&store, &other, &names("10.0.0.1"), now()).await.unwrap();
    assert!(other.issued(third.certificate(), now()));
}

#[tokio::test]
async fn a_token_is_made_anew_when_half_of_its_time_is_over_or_it_is_unusable() {
    let store = MemoryStore::new();
    let ca = Ca::generate(now()).unwrap();
    let first = load_or_refresh_token(&store, &ca, TTL, now(), None).await.unwrap();
    let second = load_or_refresh_token(&store, &ca, TTL, now() + TTL / 2, None).await.unwrap();
    assert_ne!(first, second);
    let garbage = SecretData::new([(TOKEN_KEY, b"garbage")]);
    let version = store.get(TOKEN_SECRET).await.unwrap().unwrap().version;
    store.replace(TOKEN_SECRET, &garbage, &version).await.unwrap();
    let third = load_or_refresh_token(&store, &ca, TTL, now(), None).await.unwrap();
    third.verify(&ca, now()).unwrap();
}

#[test]
fn debug_shows_the_keys_and_not_what_is_under_them() {
    let shown = format!("{:?}", SecretData::new([("cakeydata", b"secret bytes")]));
    assert_eq!(shown, r#"{"cakeydata"}"#);
}

#[tokio::test]
async fn a_token_from_before_a_ban_is_replaced_by_one_that_counts() {
    let (store, ca) = (MemoryStore::new(), Ca::generate(now()).unwrap());
    let known_to_a_thief = load_or_refresh_token(&store, &ca, TTL, now(), None).await.unwrap();
    let since = now() + SignedDuration::from_secs(1);
    let new = load_or_refresh_token(&store, &ca, TTL, now(), Some(since)).await.unwrap();
    assert_ne!(new, known_to_a_thief);
    assert_eq!(new.verify(&ca, now()).unwrap(), since + TTL, "it says that it was made when bans end");
    let kept = load_or_refresh_token(&store, &ca, TTL, since, Some(since)).await.unwrap();
    assert_eq!(kept, new);
}
