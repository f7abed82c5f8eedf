//! Visitors: what a property's `configData` says of where it is in a device, read into a driver's own type.

use std::collections::HashMap;

use crate::device::{Config, Device, Property};
use crate::driver::DriverError;
use crate::keys::{Checked, Keys};
use crate::value::DataType;

/// Most that are remembered: a device has fewer properties, and more only come up where it is changed again and again.
const MOST: usize = 1000;

/// Where a property is in a device.
pub trait Visitor: Clone {
    /// Keys that other mappers have, and that say nothing here.
    const IGNORED: &'static [&'static str];

    /// What stands in its `configData`; `data_type` is the model's. Nothing when something is wrong with it, which it has said to
    /// `keys` ([`Keys::problem`]).
    fn parse(keys: &mut Keys<'_>, data_type: Option<DataType>) -> Option<Self>;

    /// What a property says, or everything that is wrong with it.
    #[must_use]
    fn read(property: &Property) -> Checked<Self> {
        let mut keys =
            property.config().keys(&format!("properties[{}].visitors.configData", property.name()));
        let visitor = Self::parse(&mut keys, property.data_type());
        keys.checked(visitor, Self::IGNORED)
    }
}

/// The visitors of one device, each read once and again when it has changed.
#[derive(Debug, Clone)]
pub struct Visitors<V> {
    /// By property: what its `configData` was, and what that means.
    known: HashMap<String, (Config, Result<V, DriverError>)>,
}

impl<V> Default for Visitors<V> {
    fn default() -> Self {
        Self { known: HashMap::new() }
    }
}

impl<V: Visitor> Visitors<V> {
    /// What the visitor of a property says.
    ///
    /// # Errors
    /// When it makes no sense: everything that is wrong with it.
    pub fn get(&mut self, property: &Property) -> Result<V, DriverError> {
        if let Some((config, visitor)) = self.known.get(property.name())
            && config == property.config()
        {
            return visitor.clone();
        }
        self.keep(property, V::read(property).value)
    }

    fn keep(&mut self, property: &Property, read: Result<V, Vec<String>>) -> Result<V, DriverError> {
        if self.known.len() >= MOST {
            self.known.clear();
        }
        let visitor = read.map_err(|problems| DriverError::Config(problems.join("; ")));
        self.known.insert(property.name().to_owned(), (property.config().clone(), visitor.clone()));
        visitor
    }

    /// Looks at all visitors of a device and at what was read of the device itself, so that all that is wrong is said at once. Keys that
    /// mean nothing are logged, and so are visitors that make no sense, as each is a matter of its property.
    ///
    /// # Errors
    /// When the device's own `configData` makes no sense: everything that is wrong with it and with the visitors.
    pub fn check<R>(&mut self, device: &Device, reached: Checked<R>) -> Result<R, DriverError> {
        let Checked { value: reached, mut unread } = reached;
        let mut problems = Vec::new();
        for property in device.properties() {
            let visitor = V::read(property);
            unread.extend(visitor.unread);
            if let Err(more) = &visitor.value {
                problems.extend(more.iter().cloned());
            }
            drop(self.keep(property, visitor.value));
        }
        if !unread.is_empty() {
            tracing::warn!("these keys mean nothing: {}", unread.join(", "));
        }
        let reached = reached.map_err(|mut all| {
            all.append(&mut problems);
            DriverError::Config(all.join("; "))
        })?;
        problems.iter().for_each(|problem| tracing::warn!("{problem}"));
        Ok(reached)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// How often a visitor was read.
        static READ: Cell<usize> = const { Cell::new(0) };
    }

    #[derive(Debug, Clone, PartialEq)]
    struct Wire(i64);

    impl Visitor for Wire {
        const IGNORED: &'static [&'static str] = &["dataType"];

        fn parse(keys: &mut Keys<'_>, _data_type: Option<DataType>) -> Option<Self> {
            READ.set(READ.get() + 1);
            keys.whole(&["wire"], 0..=9).map(Wire)
        }
    }

    /// A device with a property for each of these `configData`, named `p0` and so on.
    fn device(visitors: &[&str]) -> Device {
        let mut text = String::from(
            "kind: Device\nmetadata: {name: d}\nspec:\n  protocol: {protocolName: wires, configData: {ip: here}}\n  properties:\n",
        );
        for (at, visitor) in visitors.iter().enumerate() {
            text +=
                &format!("    - {{name: p{at}, visitors: {{protocolName: wires, configData: {visitor}}}}}\n");
        }
        crate::devices(&text, "wires").unwrap().remove(0)
    }

    fn reached(device: &Device, is_wrong: bool) -> Checked<String> {
        let mut keys = device.config().keys("protocol.configData");
        let ip = keys.text(&["ip"]);
        if is_wrong {
            keys.problem("ip", "is nobody's");
        }
        keys.checked(ip, &[])
    }

    #[test]
    fn a_visitor_is_read_again_only_when_it_has_changed() {
        let (before, after) = (device(&["{wire: 3}"]), device(&["{wire: 4}"]));
        let mut visitors = Visitors::<Wire>::default();
        let begun = READ.get();
        assert_eq!(visitors.get(before.property("p0").unwrap()), Ok(Wire(3)));
        assert_eq!(visitors.get(before.property("p0").unwrap()), Ok(Wire(3)));
        assert_eq!(READ.get() - begun, 1);
        assert_eq!(visitors.get(after.property("p0").unwrap()), Ok(Wire(4)));
        assert_eq!(READ.get() - begun, 2);
    }

    #[test]
    fn one_that_makes_no_sense_is_a_matter_of_its_property() {
        let device = device(&["{wire: 3}", "{wire: 12, dataType: INT}"]);
        let mut visitors = Visitors::<Wire>::default();
        assert_eq!(visitors.check(&device, reached(&device, false)), Ok("here".to_owned()));
        let begun = READ.get();
        assert_eq!(visitors.get(device.property("p0").unwrap()), Ok(Wire(3)));
        let wrong = "properties[p1].visitors.configData.wire: 12 is no whole number from 0 to 9";
        assert_eq!(visitors.get(device.property("p1").unwrap()), Err(DriverError::Config(wrong.to_owned())));
        assert_eq!(READ.get(), begun, "they were read when they were checked");
    }

    #[test]
    fn with_a_device_that_makes_no_sense_everything_wrong_is_said() {
        let device = device(&["{wire: 12}"]);
        let said = Visitors::<Wire>::default().check(&device, reached(&device, true)).unwrap_err();
        let wrong = "protocol.configData.ip: is nobody's; properties[p0].visitors.configData.wire: 12 is no whole number from 0 to 9";
        assert_eq!(said, DriverError::Config(wrong.to_owned()));
    }

    #[test]
    fn what_nobody_reads_is_found_and_what_is_ignored_is_not() {
        let device = device(&["{wire: 3, dataType: INT, wier: 4}"]);
        let read = Wire::read(device.property("p0").unwrap());
        assert_eq!(read.unread, ["properties[p0].visitors.configData.wier"]);
        assert_eq!(read.value, Ok(Wire(3)));
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let all = vec!["{wire: 1}"; MOST + 5];
        let device = device(&all);
        let mut visitors = Visitors::<Wire>::default();
        for property in device.properties() {
            assert_eq!(visitors.get(property), Ok(Wire(1)));
            assert!(visitors.known.len() <= MOST);
        }
    }
}
