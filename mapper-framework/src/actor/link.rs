//! The way to the device: opened, lost, opened anew, and another one where the device is reached in another way.

use std::sync::Arc;

use futures::FutureExt as _;
use tokio::time::Instant;

use super::{Actor, limited};
use crate::device::Device;
use crate::driver::{Driver, DriverError};
use crate::health::{Health, State};
use crate::schedule::Schedule;

impl<D, M> Actor<D, M>
where
    D: Driver,
    M: Fn(&Device) -> Result<D, DriverError> + Send + Sync + 'static,
{
    pub(super) async fn connect(&mut self) {
        let result = self.try_connect().await;
        self.outlets.metrics.connected(&result);
        match result {
            Ok(()) => {
                tracing::info!("connected");
                self.health.connected();
                self.schedule = Schedule::new(self.device.properties(), Instant::now());
                // What it should be it may have forgotten meanwhile.
                self.want_all();
                self.want_streams();
                self.clear_error();
            }
            Err(error) => {
                match &error {
                    DriverError::Config(_) => self.health.misconfigured(),
                    _ => self.health.lost(),
                }
                self.note_error("it is not connected", &error);
                self.connect.later();
            }
        }
    }

    async fn try_connect(&mut self) -> Result<(), DriverError> {
        let driver = match &mut self.driver {
            Some(driver) => driver,
            none @ None => none.insert((self.make)(&self.device)?),
        };
        let connected = limited(self.outlets.limits.timeout, driver.connect()).await;
        if connected == Err(DriverError::Panicked) {
            self.driver = None;
        }
        connected
    }

    /// The device is there no more.
    pub(super) fn lose(&mut self, error: &DriverError) {
        self.health.lost();
        if *error == DriverError::Panicked {
            self.driver = None;
        }
        self.note_error("the connection is lost", error);
        self.streams.stop();
        self.pending.clear();
        self.flush();
        self.connect.later();
        self.say_state();
    }

    /// The device should be something else.
    pub(super) async fn follow(&mut self) {
        let new = Arc::clone(&self.wires.device.borrow_and_update());
        let old = std::mem::replace(&mut self.device, new);
        self.complain();
        self.pending.clear();
        self.flush();
        if !self.device.is_reached_as(&old) {
            tracing::info!("it is reached in another way now");
            self.streams.stop();
            if let Some(driver) = &mut self.driver {
                drop(limited(self.outlets.limits.timeout, driver.disconnect().map(Ok)).await);
            }
            self.driver = None;
            self.health = Health::default();
            self.connect.at_once();
        }
        let device = Arc::clone(&self.device);
        let is_there = |name: &str| device.property(name).is_some();
        self.health.keep(is_there);
        self.watches.retain(|name, _| is_there(name));
        self.wires.shown.send_modify(|shown| shown.values.retain(|name, _| is_there(name)));
        self.schedule = Schedule::new(self.device.properties(), Instant::now());
        self.want_changed(&old);
        self.follow_streams(&old);
        self.state_at = Instant::now();
    }

    pub(super) async fn ask_health(&mut self) {
        let Some(driver) = self.driver.as_mut().filter(|_| self.health.is_connected()) else { return };
        match limited(self.outlets.limits.timeout, driver.health()).await {
            Ok(state) => self.health.driver_says(state),
            Err(error) if error.is_lost() => self.lose(&error),
            Err(error) => {
                self.health.driver_says(State::Unhealthy);
                self.note_error("it cannot say how it is", &error);
            }
        }
    }
}
