use super::*;

fn key() -> Key {
    ("default".to_owned(), "r".to_owned())
}

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(second).unwrap()
}

fn statuses() -> Statuses {
    let mut statuses = Statuses::default();
    statuses.seen(&key(), "u", "5", RuleStatus { success_messages: 7, ..RuleStatus::default() });
    statuses
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_one_write_and_the_next_comes_in_its_time() {
    let (mut statuses, tally, start) = (statuses(), Tally::default(), Instant::now());
    for _ in 0..1000 {
        tally.taken(&key());
    }
    tally.changed().await;
    statuses.note(tally.take(), start);
    assert_eq!(statuses.deadline(), Some(start + SOON));
    assert_eq!(statuses.next(start), None);
    let write = statuses.next(start + SOON).unwrap();
    assert_eq!((write.status.success_messages, write.version.as_str()), (1007, "5"));
    tally.taken(&key());
    statuses.note(tally.take(), start + SOON);
    assert_eq!(statuses.deadline(), None, "one is under way");
    statuses.done(write, Written::Done("6".to_owned()), start + SOON);
    // The watch brings what was written, or something older: both say nothing new.
    statuses.seen(&key(), "u", "5", RuleStatus::default());
    assert_eq!(statuses.deadline(), Some(start + SOON + PACE));
    let write = statuses.next(start + SOON + PACE).unwrap();
    assert_eq!((write.status.success_messages, write.version.as_str()), (1008, "6"));
}

#[tokio::test(start_paused = true)]
async fn what_another_has_counted_stays() {
    let (mut statuses, tally, now) = (statuses(), Tally::default(), Instant::now());
    tally.failed(&key(), at(0), "503");
    statuses.note(tally.take(), now);
    let write = statuses.next(now + SOON).unwrap();
    statuses.done(write, Written::Again, now + SOON);
    statuses.seen(
        &key(),
        "u",
        "9",
        RuleStatus { success_messages: 100, fail_messages: 1, errors: vec!["x y".to_owned()] },
    );
    let write = statuses.next(now + SOON + AGAIN).unwrap();
    assert_eq!((write.status.success_messages, write.status.fail_messages), (100, 2));
    assert_eq!(write.status.errors, ["x y", "1970-01-01T00:00:00Z 503"]);
    assert_eq!(write.version, "9");
}

#[tokio::test(start_paused = true)]
async fn reasons_are_few_and_each_once() {
    let (mut statuses, tally, now) = (statuses(), Tally::default(), Instant::now());
    for number in 0..50 {
        tally.failed(&key(), at(number), "again");
        tally.failed(&key(), at(number), &format!("reason {number}\n{}", "x".repeat(1000)));
    }
    statuses.note(tally.take(), now);
    let status = statuses.next(now + SOON).unwrap().status;
    assert_eq!((status.fail_messages, status.errors.len()), (100, ERRORS));
    assert_eq!(status.errors.iter().filter(|error| error.ends_with(" again")).count(), 1);
    assert!(status.errors.iter().all(|error| error.len() < LONGEST + 30 && !error.contains('\n')));
    assert!(status.errors.last().unwrap().starts_with("1970-01-01T00:00:49Z reason 49"));
}

#[tokio::test(start_paused = true)]
async fn a_problem_is_said_once_and_a_rule_that_is_gone_is_not_written() {
    let (mut statuses, now) = (statuses(), Instant::now());
    statuses.problem(&key(), at(0), "no endpoint", now);
    let write = statuses.next(now + SOON).unwrap();
    assert_eq!(write.status.errors, ["1970-01-01T00:00:00Z no endpoint"]);
    statuses.done(write, Written::Done("6".to_owned()), now + SOON);
    statuses.problem(&key(), at(9), "no endpoint", now + SOON);
    assert_eq!(statuses.deadline(), None);
    let tally = Tally::default();
    tally.taken(&key());
    statuses.only(|_| false);
    statuses.note(tally.take(), now);
    assert_eq!(statuses.deadline(), None);
    // Another rule of the same name begins anew.
    statuses.seen(&key(), "v", "1", RuleStatus::default());
    assert_eq!(statuses.next(now + SOON), None);
}
