//! Who wins when both sides write a twin: stock's rules (spec edge-keadm-mapper 4.4), without the writes that change nothing.

use std::collections::BTreeMap;

use super::{MsgTwin, TwinValue, TwinVersion, TypeMetadata};

/// The twin of a device: its properties by name.
pub type TwinDoc = BTreeMap<String, MsgTwin>;

/// A write of the other side that is older than what is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("version {theirs:?} is older than {ours:?}")]
pub struct Conflict {
    /// The version that is here.
    pub ours: TwinVersion,
    /// The version that was sent.
    pub theirs: TwinVersion,
}

/// Which half of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Expected,
    Actual,
}

impl MsgTwin {
    /// A driver has told the value that the property has. Whether that is news.
    pub fn report_actual(&mut self, value: &str, now: i64) -> bool {
        self.write(Half::Actual, value, now)
    }

    /// Somebody at the edge has told the value that the property should have. Whether that is news.
    pub fn report_expected(&mut self, value: &str, now: i64) -> bool {
        self.write(Half::Expected, value, now)
    }

    /// Its type. Whether that is news.
    pub fn set_type(&mut self, data_type: &str) -> bool {
        let metadata = Some(TypeMetadata { data_type: data_type.to_owned() });
        let is_news = self.metadata != metadata;
        self.metadata = metadata;
        is_news
    }

    /// The edge writes: its version rises by one for a new value, and an equal value is no write. Only the first value is
    /// dated then: a twin says since when a value is so.
    fn write(&mut self, half: Half, value: &str, now: i64) -> bool {
        let (slot, version) = self.half(half);
        if slot.as_ref().and_then(|old| old.value.as_deref()) == Some(value) {
            return false;
        }
        *slot = Some(TwinValue::new(value, now));
        version.get_or_insert_default().edge += 1;
        true
    }

    /// The cloud writes both halves, as far as they are there. What is older on either count is refused, and then nothing is
    /// taken. Whether anything is news.
    ///
    /// # Errors
    /// When the write is older than what is here, or has no version.
    pub fn sync(&mut self, theirs: &Self) -> Result<bool, Conflict> {
        let mut taken = self.clone();
        let expected = taken.take(Half::Expected, theirs.expected.as_ref(), theirs.expected_version)?;
        let actual = taken.take(Half::Actual, theirs.actual.as_ref(), theirs.actual_version)?;
        *self = taken;
        Ok(expected || actual)
    }

    fn take(
        &mut self,
        half: Half,
        value: Option<&TwinValue>,
        version: Option<TwinVersion>,
    ) -> Result<bool, Conflict> {
        let Some(value) = value else { return Ok(false) };
        let (slot, ours) = self.half(half);
        let held = ours.unwrap_or_default();
        let theirs = version.unwrap_or(TwinVersion { cloud: -1, edge: -1 });
        if held.cloud > theirs.cloud || held.edge > theirs.edge {
            return Err(Conflict { ours: held, theirs });
        }
        let is_news = slot.as_ref() != Some(value) || *ours != Some(theirs);
        *slot = Some(value.clone());
        *ours = Some(theirs);
        Ok(is_news)
    }

    fn half(&mut self, half: Half) -> (&mut Option<TwinValue>, &mut Option<TwinVersion>) {
        match half {
            Half::Expected => (&mut self.expected, &mut self.expected_version),
            Half::Actual => (&mut self.actual, &mut self.actual_version),
        }
    }
}
