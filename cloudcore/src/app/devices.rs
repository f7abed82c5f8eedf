//! DeviceController, where the configuration has it.

use chassis::channel::{ChannelMetrics, bounded_with};

use super::Builder;
use super::api::Api;
use crate::devicecontroller::{self, DeviceController};
use crate::flow::{Devices, SyncRecords};

/// Connections and reports that wait for DeviceController, which does not dwell on any: room for a burst of all nodes.
const DEVICES: usize = 1024;

impl Builder {
    /// The way to it, if it is there.
    pub(super) fn start_devices(
        &mut self,
        api: &Api,
        records: &SyncRecords,
        channels: &ChannelMetrics,
    ) -> Option<Devices> {
        if !self.config.modules.device_controller.enable {
            return None;
        }
        let (devices, inbox) = bounded_with("devicecontroller_reports", DEVICES, channels);
        self.supervisor.start(DeviceController {
            client: api.client.clone(),
            clock: self.clock.clone(),
            rng: self.rng.clone(),
            inbox,
            records: records.clone(),
            claims: self.among.claims.clone(),
            claiming: self.among.claiming.clone(),
            leadership: self.among.leadership.clone(),
            metrics: self.registry.register(devicecontroller::Metrics::register),
        });
        Some(Devices::new(devices))
    }
}
