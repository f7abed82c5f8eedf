use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn a_banned_node_is_refused_whatever_it_shows() {
    let mut bans = BanList::default();
    assert_eq!(bans.check("edge-1", None), Ok(()));
    assert!(bans.ban("edge-1", Ban::new(at(100), "stolen")));
    for not_before in [None, Some(at(0)), Some(at(100)), Some(at(1_000))] {
        assert_eq!(bans.check("edge-1", not_before), Err(Refusal::Node { node: "edge-1".to_owned() }));
    }
    assert_eq!(bans.check("edge-10", Some(at(0))), Ok(()), "another node");
}

#[test]
fn a_lifted_ban_lets_in_who_has_a_new_certificate() {
    let mut bans = BanList::default();
    bans.ban("edge-1", Ban::new(at(100), "stolen"));
    let lifted = at(200) + jiff::SignedDuration::from_millis(1);
    assert!(bans.lift("edge-1", lifted));
    let revoked = Err(Refusal::Certificate { node: "edge-1".to_owned(), since: at(201) });
    assert_eq!(bans.check("edge-1", Some(at(99))), revoked);
    assert_eq!(bans.check("edge-1", Some(at(200))), revoked);
    assert_eq!(bans.check("edge-1", None), revoked, "nobody can say when it was issued");
    assert_eq!(bans.check("edge-1", Some(at(201))), Ok(()));
    assert_eq!(bans.certificates_since("edge-1"), Some(at(201)));
    assert!(!bans.lift("edge-1", at(300)), "it was lifted before");

    assert!(bans.ban("edge-1", Ban::new(at(400), "again")));
    assert!(bans.is_banned("edge-1"));
    assert!(bans.forget("edge-1"));
    assert_eq!(bans.check("edge-1", Some(at(0))), Ok(()));
}

#[test]
fn banning_twice_keeps_when_and_why() {
    let mut bans = BanList::default();
    bans.ban("edge-1", Ban::new(at(100), "stolen"));
    assert!(!bans.ban("edge-1", Ban::new(at(500), "once more")));
    assert_eq!(bans.get("edge-1"), Some(&Ban::new(at(100), "stolen")));
}

/// kk#4730: a stolen node renames itself and joins again.
#[test]
fn tokens_from_before_the_latest_ban_count_no_more() {
    let mut bans = BanList::default();
    assert_eq!(bans.check_token(at(0)), Ok(()));
    bans.ban("edge-1", Ban::new(at(100), ""));
    bans.ban("edge-2", Ban::new(at(50), ""));
    assert_eq!(bans.check_token(at(99)), Err(Refusal::Token { since: at(100) }));
    assert_eq!(bans.check_token(at(100)), Ok(()));
    bans.lift("edge-1", at(300));
    assert_eq!(
        bans.check_token(at(99)),
        Err(Refusal::Token { since: at(100) }),
        "whoever had it still has it"
    );
}

#[test]
fn what_cannot_be_read_bans() {
    for text in ["", "null", "[]", "{}", "yes", r#"{"since": 5}"#, r#"{"since":"2026-01-01"}"#] {
        let data = BTreeMap::from([("edge-1".to_owned(), text.to_owned())]);
        let (bans, problems) = BanList::from_data(&data);
        assert!(bans.is_banned("edge-1"), "{text}");
        assert_eq!(problems.len(), 1, "{text}");
        assert!(problems[0].to_string().contains("edge-1"), "{}", problems[0]);
    }
}

#[test]
fn reasons_are_cut() {
    assert_eq!(Ban::new(at(0), &"ä".repeat(1_000)).reason.chars().count(), MAX_REASON);
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        since in 0_i64..4_000_000_000,
        reason in "\\PC{0,300}",
        lifted in proptest::option::of(0_i64..4_000_000_000),
    ) {
        let ban = Ban { lifted: lifted.map(at), ..Ban::new(at(since), &reason) };
        let data = BTreeMap::from([("edge-1".to_owned(), ban.entry().unwrap())]);
        let (bans, problems) = BanList::from_data(&data);
        prop_assert!(problems.is_empty());
        prop_assert_eq!(bans.get("edge-1"), Some(&ban));
    }

    #[test]
    fn no_certificate_from_before_a_lifting_gets_in(issued in 0_i64..1_000, lifted in 0_i64..1_000) {
        let mut bans = BanList::default();
        bans.ban("edge-1", Ban::new(at(0), ""));
        bans.lift("edge-1", at(lifted));
        prop_assert_eq!(bans.check("edge-1", Some(at(issued))).is_ok(), issued >= lifted);
    }
}
