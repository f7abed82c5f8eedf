//! The drivers that have registered.
//!
//! As in stock, every driver that registers is given all devices of its protocol, and of several of one protocol none is given
//! only a part. Stock then tells changes to the one that registered last, so that the others go on with what is no longer true;
//! here each is told. What can be done by one only (a call of a method) is done by the one that registered last.
//!
//! A driver is known by its name: whoever registers under the name of another takes its place. So does one that serves on the
//! socket of another, which happens when a driver is started again under a new name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use chassis::rng::Rng;
use chassis::task::{self, AbortOnDrop};
use proto::dmi;
use tokio::sync::{mpsc, watch};

use super::driver::{Link, Told, Wanted};
use crate::flow::{DriverError, DriverRecord, Speaker};

/// Drivers at most. A node has one for each protocol that it speaks, or a few.
pub(super) const DRIVERS: usize = 64;

/// See the module's documentation.
pub(super) struct Drivers {
    all: BTreeMap<String, Driver>,
    rng: Rng,
    /// Taken by each driver's task to say what the driver knows now.
    remember: mpsc::Sender<(String, Told)>,
}

struct Driver {
    record: DriverRecord,
    /// Who registered it; not known after a restart of EdgeCore.
    speaker: Option<Speaker>,
    wanted: watch::Sender<Arc<Wanted>>,
    _link: AbortOnDrop<()>,
}

impl Drivers {
    pub(super) fn new(rng: Rng, remember: mpsc::Sender<(String, Told)>) -> Self {
        Self { all: BTreeMap::new(), rng, remember }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Makes room for a driver. Gives the names of those whose place it takes.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn make_room(&mut self, record: &mut DriverRecord) -> Result<Vec<String>, DriverError> {
        record.order = self.all.values().map(|driver| driver.record.order).max().unwrap_or(0) + 1;
        let is_replaced =
            |driver: &Driver| driver.record.address == record.address && driver.record.name != record.name;
        let mut gone: Vec<String> = self.names(is_replaced);
        let is_new = gone.is_empty() && !self.all.contains_key(&record.name);
        if is_new && self.all.len() >= DRIVERS {
            // One that comes under another name each time must not keep the others out for ever.
            let lost = self.all.values().filter(|driver| !driver.record.address.exists());
            let oldest = lost.min_by_key(|driver| driver.record.order);
            let oldest = oldest.map(|driver| driver.record.name.clone());
            gone.push(
                oldest.ok_or_else(|| {
                    DriverError::TooMany(format!("{DRIVERS} drivers have registered already"))
                })?,
            );
        }
        for name in &gone {
            tracing::info!(driver = name, by = record.name, "another one takes its place");
            self.all.remove(name);
        }
        Ok(gone)
    }

    /// Serves a driver; one that registers again is the same driver.
    pub(super) fn link(&mut self, record: DriverRecord, speaker: Option<Speaker>, known: Arc<Wanted>) {
        let (wanted, follow) = watch::channel(known);
        let link = Link {
            name: record.name.clone(),
            address: record.address.clone(),
            wanted: follow,
            told: record.told.clone(),
            rng: self.rng.clone(),
            remember: self.remember.clone(),
        };
        let span = tracing::info_span!("driver", name = record.name);
        let driver = Driver { speaker, wanted, _link: task::spawn(span, link.run()), record };
        self.all.insert(driver.record.name.clone(), driver);
    }

    /// What each should know now; each is told what is new for it by its own task.
    pub(super) fn tell(&self, wanted: &HashMap<String, Arc<Wanted>>) {
        for driver in self.all.values() {
            driver.wanted.send_replace(wanted.get(&driver.record.protocol).cloned().unwrap_or_default());
        }
    }

    /// Whether this process may speak of devices of a protocol: one that has registered may do so for what it has registered for.
    /// Of one that has not, nothing is known: EdgeCore may have been started again since.
    ///
    /// # Errors
    /// The protocols that it has registered for.
    pub(super) fn may_speak(&self, speaker: Option<Speaker>, protocol: &str) -> Result<(), String> {
        let Some(speaker) = speaker.filter(|_| !protocol.is_empty()) else { return Ok(()) };
        let own = self.all.values().filter(|driver| driver.speaker == Some(speaker));
        let own: BTreeSet<&str> = own.map(|driver| driver.record.protocol.as_str()).collect();
        if own.is_empty() || own.contains(protocol) {
            return Ok(());
        }
        Err(own.into_iter().collect::<Vec<_>>().join(", "))
    }

    /// The driver that does what only one can do.
    pub(super) fn newest(&self, protocol: &str) -> Option<&DriverRecord> {
        let all = self.all.values().map(|driver| &driver.record);
        all.filter(|record| record.protocol == protocol).max_by_key(|record| record.order)
    }

    /// What a driver knows now. Its record, if that is news.
    pub(super) fn note(&mut self, name: &str, told: Told) -> Option<&DriverRecord> {
        let driver = self.all.get_mut(name).filter(|driver| driver.record.told != told)?;
        driver.record.told = told;
        Some(&driver.record)
    }

    fn names(&self, is_meant: impl Fn(&Driver) -> bool) -> Vec<String> {
        self.all.values().filter(|driver| is_meant(driver)).map(|driver| driver.record.name.clone()).collect()
    }
}

/// What a driver says of itself, checked.
///
/// # Errors
/// What makes no sense.
pub(super) fn record(mapper: Option<dmi::MapperInfo>) -> Result<DriverRecord, DriverError> {
    let invalid = |why: &str| DriverError::Invalid(why.to_owned());
    let mapper = mapper.ok_or_else(|| invalid("the driver says nothing of itself"))?;
    if mapper.protocol.is_empty() {
        return Err(invalid("the driver names no protocol"));
    }
    let address =
        String::from_utf8(mapper.address).map_err(|_| invalid("the driver's address is no text"))?;
    let address = PathBuf::from(address.strip_prefix("unix://").unwrap_or(&address));
    let texts = [&mapper.name, &mapper.protocol];
    if texts.iter().any(|text| text.len() > 253 || text.contains(char::is_control)) {
        return Err(invalid("the driver's name and protocol are texts of at most 253 bytes"));
    }
    // A path of a socket has at most 108 bytes (unix(7)).
    if !address.is_absolute() || address.as_os_str().len() > 107 {
        return Err(invalid("the driver's address is no absolute path of a socket"));
    }
    let name = if mapper.name.is_empty() { mapper.protocol.clone() } else { mapper.name };
    Ok(DriverRecord { name, protocol: mapper.protocol, address, order: 0, told: Told::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drivers() -> Drivers {
        let (remember, _) = mpsc::channel(1);
        Drivers::new(Rng::seeded(1), remember)
    }

    fn driver(name: &str, protocol: &str, address: &str) -> DriverRecord {
        let mapper = dmi::MapperInfo {
            name: name.to_owned(),
            protocol: protocol.to_owned(),
            address: address.as_bytes().to_vec(),
            ..dmi::MapperInfo::default()
        };
        record(Some(mapper)).unwrap()
    }

    fn add(drivers: &mut Drivers, mut record: DriverRecord, pid: i32) -> Result<Vec<String>, DriverError> {
        let gone = drivers.make_room(&mut record)?;
        drivers.link(record, Some(Speaker { pid, started: 1 }), Arc::default());
        Ok(gone)
    }

    #[tokio::test]
    async fn the_last_one_of_a_protocol_does_what_one_can_do() {
        let mut drivers = drivers();
        assert!(drivers.newest("p").is_none());
        for name in ["b", "a", "b"] {
            add(&mut drivers, driver(name, "p", &format!("/{name}.sock")), 1).unwrap();
            assert_eq!(drivers.newest("p").unwrap().name, name);
        }
        assert_eq!(drivers.len(), 2);
    }

    #[tokio::test]
    async fn one_socket_is_one_driver() {
        let mut drivers = drivers();
        add(&mut drivers, driver("old", "p", "/p.sock"), 1).unwrap();
        let gone = add(&mut drivers, driver("new", "p", "unix:///p.sock"), 2).unwrap();
        assert_eq!((gone, drivers.len()), (vec!["old".to_owned()], 1));
    }

    #[tokio::test]
    async fn a_driver_speaks_of_what_it_has_registered_for() {
        let mut drivers = drivers();
        add(&mut drivers, driver("a", "modbus", "/a.sock"), 1).unwrap();
        add(&mut drivers, driver("b", "opcua", "/b.sock"), 1).unwrap();
        let speaker = |pid, started| Some(Speaker { pid, started });
        assert_eq!(drivers.may_speak(speaker(1, 1), "modbus"), Ok(()));
        assert_eq!(drivers.may_speak(speaker(1, 1), "opcua"), Ok(()));
        assert_eq!(drivers.may_speak(speaker(1, 1), "virtual"), Err("modbus, opcua".to_owned()));
        assert_eq!(drivers.may_speak(speaker(1, 1), ""), Ok(()), "the device has no protocol");
        assert_eq!(drivers.may_speak(speaker(1, 2), "virtual"), Ok(()), "another process of this number");
        assert_eq!(drivers.may_speak(None, "virtual"), Ok(()));
    }

    #[tokio::test]
    async fn those_that_are_lost_make_room_and_the_others_do_not() {
        let folder = tempfile::TempDir::new().unwrap();
        let mut drivers = drivers();
        for number in 0..DRIVERS {
            let address = folder.path().join(format!("{number}.sock"));
            std::fs::write(&address, "").unwrap();
            add(&mut drivers, driver(&format!("d{number}"), "p", address.to_str().unwrap()), 1).unwrap();
        }
        let more = || driver("more", "p", "/more.sock");
        assert!(matches!(add(&mut drivers, more(), 1), Err(DriverError::TooMany(_))));
        std::fs::remove_file(folder.path().join("7.sock")).unwrap();
        assert_eq!(add(&mut drivers, more(), 1), Ok(vec!["d7".to_owned()]));
        assert_eq!(drivers.len(), DRIVERS);
    }

    #[test]
    fn this_process_can_be_told_from_another() {
        let own = i32::try_from(std::process::id()).unwrap();
        let speaker = Speaker::of(own).unwrap();
        assert!(speaker.pid == own && speaker.started > 0);
        assert_eq!(Speaker::of(own), Some(speaker));
        assert_eq!(Speaker::of(-1), None);
    }
}
