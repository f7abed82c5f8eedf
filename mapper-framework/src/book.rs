//! Which devices and models there are, as a pure state: what EdgeCore says goes in, what is to be done comes out.
//!
//! A registration gives all of them. What EdgeCore calls while the answer to a registration is on its way may be newer than the
//! answer: it is kept in mind, and counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proto::dmi;

use crate::device::{Device, Key, key};

/// Devices of one mapper at most: a gateway has some hundreds.
pub(crate) const DEVICES: usize = 4096;

/// What EdgeCore says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Device(Box<dmi::Device>),
    DeviceGone(Key),
    Model(Box<dmi::DeviceModel>),
    ModelGone(Key),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// A device is new or has changed.
    Run(Arc<Device>),
    /// A device is gone.
    Stop(Key),
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Book {
    devices: BTreeMap<Key, dmi::Device>,
    models: BTreeMap<Key, dmi::DeviceModel>,
    running: BTreeMap<Key, Arc<Device>>,
    /// What was said since a registration began.
    since: Option<Vec<Said>>,
}

impl Book {
    /// A registration is under way.
    pub(crate) fn registering(&mut self) {
        self.since = Some(Vec::new());
    }

    /// The answer to the registration: everything that there is.
    pub(crate) fn registered(&mut self, all: dmi::MapperRegisterResponse) -> Vec<Change> {
        let models = all.model_list.into_iter();
        self.models = models.map(|model| (key(&model.namespace, &model.name), model)).collect();
        let devices = all.device_list.into_iter().take(DEVICES);
        self.devices = devices.map(|device| (key(&device.namespace, &device.name), device)).collect();
        for said in self.since.take().unwrap_or_default() {
            self.note(said);
        }
        let all: BTreeSet<Key> = self.devices.keys().chain(self.running.keys()).cloned().collect();
        self.changes(all)
    }

    /// EdgeCore says something.
    ///
    /// # Errors
    /// When there are too many devices.
    pub(crate) fn hear(&mut self, said: Said) -> Result<Vec<Change>, String> {
        if let Said::Device(device) = &said {
            let is_new = !self.devices.contains_key(&key(&device.namespace, &device.name));
            if is_new && self.devices.len() >= DEVICES {
                return Err(format!("{DEVICES} devices are all that this mapper takes"));
            }
        }
        if let Some(since) = &mut self.since {
            since.push(said.clone());
        }
        let touched = self.touched(&said);
        self.note(said);
        Ok(self.changes(touched))
    }

    /// The devices that this may change.
    fn touched(&self, said: &Said) -> BTreeSet<Key> {
        let (namespace, name) = match said {
            Said::Device(device) => return [key(&device.namespace, &device.name)].into(),
            Said::DeviceGone(key) => return [key.clone()].into(),
            Said::Model(model) => key(&model.namespace, &model.name),
            Said::ModelGone(key) => key.clone(),
        };
        let is_of_model = |(key, device): &(&Key, &dmi::Device)| {
            key.0 == namespace && device.spec.as_ref().is_some_and(|spec| spec.device_model_reference == name)
        };
        self.devices.iter().filter(is_of_model).map(|(key, _)| key.clone()).collect()
    }

    fn note(&mut self, said: Said) {
        match said {
            Said::Device(device) => drop(self.devices.insert(key(&device.namespace, &device.name), *device)),
            Said::DeviceGone(key) => drop(self.devices.remove(&key)),
            Said::Model(model) => drop(self.models.insert(key(&model.namespace, &model.name), *model)),
            Said::ModelGone(key) => drop(self.models.remove(&key)),
        }
    }

    /// What leads from what runs to what should, for these devices. A device whose model is not here yet waits for it; one that
    /// runs stays as it is when its model goes first.
    fn changes(&mut self, touched: BTreeSet<Key>) -> Vec<Change> {
        let (gone, there): (Vec<Key>, Vec<Key>) =
            touched.into_iter().partition(|key| !self.devices.contains_key(key));
        let gone = gone.into_iter().filter(|key| self.running.remove(key).is_some());
        let mut changes: Vec<Change> = gone.map(Change::Stop).collect();
        for key in there {
            let Some(device) = self.devices.get(&key) else { continue };
            let model = self.model_of(&key);
            let has_model = device.spec.as_ref().is_some_and(|spec| !spec.device_model_reference.is_empty());
            if model.is_none() && has_model {
                continue;
            }
            let device = Device::new(device, model);
            if self.running.get(&key).is_none_or(|running| **running != device) {
                let device = Arc::new(device);
                self.running.insert(key, Arc::clone(&device));
                changes.push(Change::Run(device));
            }
        }
        changes
    }

    /// The device as EdgeCore said it.
    pub(crate) fn device(&self, key: &Key) -> Option<&dmi::Device> {
        self.devices.get(key)
    }

    /// The device with everything resolved.
    pub(crate) fn running(&self, key: &Key) -> Option<&Arc<Device>> {
        self.running.get(key)
    }

    /// The model of a device.
    pub(crate) fn model_of(&self, key: &Key) -> Option<&dmi::DeviceModel> {
        let name = &self.devices.get(key)?.spec.as_ref()?.device_model_reference;
        self.models.get(&(key.0.clone(), name.clone()))
    }

    /// Devices that wait for their models.
    pub(crate) fn waiting(&self) -> usize {
        self.devices.len() - self.running.len().min(self.devices.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn device(name: &str, desired: i64) -> dmi::Device {
        let twin = dmi::TwinProperty { value: desired.to_string(), ..Default::default() };
        let property = dmi::DeviceProperty { name: "t".into(), desired: Some(twin), ..Default::default() };
        let spec = dmi::DeviceSpec {
            device_model_reference: "m".into(),
            properties: vec![property],
            ..Default::default()
        };
        dmi::Device { name: name.into(), namespace: "ns".into(), spec: Some(spec), status: None }
    }

    fn model(data_type: &str) -> dmi::DeviceModel {
        let property =
            dmi::ModelProperty { name: "t".into(), r#type: data_type.into(), ..Default::default() };
        let spec = dmi::DeviceModelSpec { properties: vec![property], commands: vec![] };
        dmi::DeviceModel { name: "m".into(), namespace: "ns".into(), spec: Some(spec) }
    }

    fn said_device(name: &str, desired: i64) -> Said {
        Said::Device(Box::new(device(name, desired)))
    }

    fn names(changes: &[Change]) -> Vec<String> {
        let name = |change: &Change| match change {
            Change::Run(device) => format!("run {}", device.name()),
            Change::Stop(key) => format!("stop {}", key.1),
        };
        changes.iter().map(name).collect()
    }

    #[test]
    fn a_device_waits_for_its_model_and_changes_with_it() {
        let mut book = Book::default();
        assert_eq!(book.hear(said_device("d", 1)).unwrap(), []);
        assert_eq!(book.waiting(), 1);
        let changes = book.hear(Said::Model(Box::new(model("INT")))).unwrap();
        assert_eq!(names(&changes), ["run d"]);
        assert_eq!(book.hear(said_device("d", 1)).unwrap(), [], "nothing has changed");
        assert_eq!(names(&book.hear(Said::Model(Box::new(model("STRING")))).unwrap()), ["run d"]);
        let key = key("ns", "d");
        assert_eq!(book.hear(Said::ModelGone(("ns".into(), "m".into()))).unwrap(), []);
        assert_eq!(names(&book.hear(Said::DeviceGone(key.clone())).unwrap()), ["stop d"]);
        assert_eq!(book.hear(Said::DeviceGone(key)).unwrap(), []);
    }

    #[test]
    fn what_is_called_during_a_registration_is_newer_than_its_answer() {
        let mut book = Book::default();
        book.hear(Said::Model(Box::new(model("INT")))).unwrap();
        book.registering();
        book.hear(said_device("d", 2)).unwrap();
        book.hear(Said::DeviceGone(key("ns", "e"))).unwrap();
        let answer = dmi::MapperRegisterResponse {
            model_list: vec![model("INT")],
            device_list: vec![device("d", 1), device("e", 1)],
        };
        assert_eq!(book.registered(answer), []);
        let desired = book.running(&key("ns", "d")).unwrap().property("t").unwrap().desired().cloned();
        assert_eq!(desired, Some(crate::value::Value::Int(2)));
        // A second registration takes the answer as it is.
        book.registering();
        let answer =
            dmi::MapperRegisterResponse { model_list: vec![model("INT")], device_list: vec![device("e", 1)] };
        assert_eq!(names(&book.registered(answer)), ["stop d", "run e"]);
    }

    #[test]
    fn too_many_devices_are_refused() {
        let mut book = Book::default();
        for number in 0..DEVICES {
            book.note(said_device(&number.to_string(), 1));
        }
        assert!(book.hear(said_device("one more", 1)).is_err());
        assert!(book.hear(said_device("7", 2)).is_ok());
    }

    proptest! {
        /// Whatever the order, the devices that run are those that are there with their model.
        #[test]
        fn the_order_does_not_matter(order in prop::collection::vec((0..5u8, 0..3u8, 0..2i64), 0..60)) {
            let mut book = Book::default();
            let mut running = BTreeMap::new();
            for (kind, name, desired) in order {
                let name = name.to_string();
                let changes = match kind {
                    0 | 1 => book.hear(said_device(&name, desired)).unwrap(),
                    2 => book.hear(Said::DeviceGone(key("ns", &name))).unwrap(),
                    3 => book.hear(Said::Model(Box::new(model("INT")))).unwrap(),
                    _ => book.hear(Said::ModelGone(key("ns", "m"))).unwrap(),
                };
                for change in changes {
                    match change {
                        Change::Run(device) => drop(running.insert(device.key().clone(), device)),
                        Change::Stop(key) => prop_assert!(running.remove(&key).is_some()),
                    }
                }
                prop_assert_eq!(&running, &book.running);
                prop_assert!(running.keys().all(|key| book.devices.contains_key(key)));
                if book.models.is_empty() {
                    continue;
                }
                for (key, device) in &book.devices {
                    let model = book.models.values().next();
                    prop_assert_eq!(&*running[key], &Device::new(device, model));
                }
            }
        }
    }
}
