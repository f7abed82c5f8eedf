use super::*;

const GPU: &str = "vendor.example/gpu";

fn contact(number: u64) -> Contact {
    Contact { socket: "/s".into(), options: DevicePluginOptions::default(), number, met: None }
}

fn devices(ids: &[(&str, bool)]) -> Vec<Device> {
    let health = |healthy: bool| if healthy { HEALTHY } else { "Unhealthy" }.to_owned();
    ids.iter()
        .map(|(id, healthy)| Device { id: (*id).to_owned(), health: health(*healthy), topology: None })
        .collect()
}

fn book(ids: &[(&str, bool)]) -> Book {
    let mut book = Book::default();
    book.register(GPU, contact(1)).unwrap();
    assert!(book.list(GPU, 1, devices(ids)));
    book
}

fn count(book: &Book) -> (usize, usize) {
    let count = book.counts()[GPU];
    (count.capacity, count.allocatable)
}

fn none() -> BTreeSet<String> {
    BTreeSet::new()
}

fn ids(all: &BTreeSet<String>) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

fn granted(ids: &[&str]) -> PodGrants {
    let mut grants = PodGrants::default();
    let ids = ids.iter().map(|id| (*id).to_owned()).collect();
    grants.add("app", GPU, super::super::record::Grant { ids, ..Default::default() });
    grants
}

#[tokio::test(start_paused = true)]
async fn a_broken_device_is_there_and_cannot_be_used() {
    let mut book = book(&[("a", true), ("b", false)]);
    assert_eq!(count(&book), (2, 1));
    assert!(book.list(GPU, 1, devices(&[("b", true)])));
    assert_eq!(count(&book), (1, 1), "the list is all there is");
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_is_gone_has_five_minutes() {
    let mut book = book(&[("a", true)]);
    assert!(book.stop(GPU, 1, Instant::now()));
    assert_eq!(count(&book), (1, 0));
    let until = book.expire(Instant::now()).unwrap();
    assert_eq!(until, Instant::now() + GONE_AFTER);
    tokio::time::advance(GONE_AFTER).await;
    assert_eq!(book.expire(Instant::now()), None);
    assert_eq!(count(&book), (0, 0));
    assert!(book.knows(GPU), "it is still told, as none");
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_has_come_back_is_not_taken_for_gone() {
    let mut book = book(&[("a", true)]);
    book.register(GPU, contact(2)).unwrap();
    assert_eq!(count(&book), (1, 1), "nothing is known against them");
    assert!(!book.stop(GPU, 1, Instant::now()), "that was the one before");
    assert!(!book.list(GPU, 1, Vec::new()));
    assert!(book.list(GPU, 2, devices(&[("a", true)])));
    assert_eq!((count(&book), book.expire(Instant::now())), ((1, 1), None));
}

#[test]
fn a_device_is_given_once() {
    let mut book = book(&[("a", true), ("b", true), ("c", false)]);
    let first = book.choose("u1", GPU, 1, &none()).unwrap();
    assert_eq!((ids(&first.fresh), ids(&first.others)), (vec!["a"], vec!["b"]));
    let error = book.choose("u2", GPU, 2, &none()).unwrap_err().to_string();
    assert_eq!(
        error,
        "requested number of devices unavailable for vendor.example/gpu. Requested: 2, Available: 1"
    );
    book.grant("u1", granted(&["a"]));
    assert_eq!(ids(&book.choose("u2", GPU, 1, &none()).unwrap().fresh), ["b"]);
    book.unreserve("u2");
    assert_eq!(ids(&book.choose("u3", GPU, 1, &none()).unwrap().fresh), ["b"]);
    assert!(book.release("u1"));
    assert_eq!(ids(&book.choose("u2", GPU, 1, &none()).unwrap().fresh), ["a"]);
}

#[test]
fn what_is_kept_of_a_pod_is_taken() {
    let mut book = Book::default();
    book.restore(vec![GPU.to_owned()], BTreeMap::from([("u1".to_owned(), granted(&["a"]))]));
    assert_eq!(count(&book), (0, 0));
    let error = book.choose("u2", GPU, 1, &none()).unwrap_err().to_string();
    assert!(error.starts_with("no healthy devices present"), "{error}");
    book.register(GPU, contact(1)).unwrap();
    book.list(GPU, 1, devices(&[("a", true), ("b", true)]));
    assert_eq!(ids(&book.choose("u2", GPU, 1, &none()).unwrap().fresh), ["b"]);
}

#[test]
fn init_containers_leave_their_devices() {
    let mut book = book(&[("a", true), ("b", true)]);
    let inherited = BTreeSet::from(["a".to_owned()]);
    book.grant("u1", granted(&["a"]));
    let choice = book.choose("u1", GPU, 2, &inherited).unwrap();
    assert_eq!((ids(&choice.inherited), ids(&choice.fresh)), (vec!["a"], vec!["b"]));
}

#[test]
fn a_preference_counts_as_far_as_it_can() {
    let mut book = book(&[("a", true), ("b", true), ("c", true), ("d", true)]);
    let mut choice = book.choose("u1", GPU, 2, &none()).unwrap();
    // Somebody else comes between the question and the answer.
    let other = book.choose("u2", GPU, 1, &none()).unwrap();
    assert_eq!(ids(&other.fresh), ["c"]);
    let preferred = ["c", "d", "nonsense"].map(str::to_owned);
    book.prefer("u1", GPU, &mut choice, &preferred);
    assert_eq!(ids(&choice.fresh), ["a", "d"]);
    assert_eq!(ids(&book.choose("u3", GPU, 1, &none()).unwrap().fresh), ["b"], "what was let go is free");
}

#[test]
fn nothing_grows_without_end() {
    let mut book = Book::default();
    for number in 0..MAX_RESOURCES {
        book.register(&format!("vendor.example/r{number}"), contact(1)).unwrap();
    }
    assert!(book.register(GPU, contact(1)).is_err());
    assert!(book.register("vendor.example/r1", contact(2)).is_ok(), "it is known");
    let many: Vec<Device> = (0..MAX_DEVICES + 1)
        .map(|id| Device { id: id.to_string(), health: HEALTHY.into(), topology: None })
        .collect();
    book.list("vendor.example/r1", 2, many);
    assert_eq!(book.counts()["vendor.example/r1"].capacity, MAX_DEVICES);
}
