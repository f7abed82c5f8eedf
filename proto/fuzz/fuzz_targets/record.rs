//! What stands in the Kubernetes API and anybody may have written there: ObjectSync records, the list of bans, quantities.
//! Any text is read or refused, and what was read survives being written and read.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use proto::api::reliablesync::{ClusterObjectSync, ObjectSync, RecordName};
use proto::ban::BanList;
use proto::quantity::Amount;

fuzz_target!(|text: &str| {
    if let Ok(record) = serde_json::from_str::<ObjectSync>(text) {
        let written = serde_json::to_string(&record).expect("a record can be written");
        let again: ObjectSync = serde_json::from_str(&written).expect("what was written is read");
        // Not the times in the metadata, which are written with less than they may have been read with.
        assert_eq!((again.spec, again.status), (record.spec, record.status));
    }
    if let Ok(record) = serde_json::from_str::<ClusterObjectSync>(text) {
        assert!(serde_json::to_string(&record).is_ok());
    }
    if let Some(name) = RecordName::parse(text) {
        assert_eq!(name.to_string(), text);
    }
    let (list, unreadable) = BanList::from_data(&BTreeMap::from([("edge-1".to_owned(), text.to_owned())]));
    // Whoever is in the list is banned, readable or not, unless the entry says that the ban was lifted.
    assert!(unreadable.is_empty() || list.is_banned("edge-1"));
    if let Ok(quantity) = Amount::parse(text) {
        // Sums and quotients hold at the edges of the range as well.
        let _ = (quantity.value(), quantity.milli_value(), quantity.plus(quantity), quantity.divided_by(quantity));
    }
});
