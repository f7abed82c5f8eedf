//! Values that the server sends by itself when they change: nobody asks for what has not changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opcua::client::{Session, SubscriptionCallbacks};
use opcua::types::{
    DataValue, Error, MonitoredItemCreateRequest, MonitoringMode, MonitoringParameters, NodeId, NumericRange,
    ReadValueId, TimestampsToReturn,
};

/// Most items in one request, of any service: small servers take no more.
pub(crate) const MOST_ITEMS: usize = 100;
/// Publishing intervals without a change after which the server says that it is alive.
const KEEP_ALIVES: u32 = 10;
/// Publishing intervals without us after which the server ends the subscription. Three times [`KEEP_ALIVES`] at least (OPC UA part
/// 4, 5.14.2).
const LIFETIME: u32 = 100;

/// What is watched: a node, or elements of its array.
pub(crate) type Item = (NodeId, String);

/// One subscription.
#[derive(Debug)]
pub(crate) struct Watch {
    id: u32,
    /// Each by its handle. Those that the server does not watch are there, too: they are not tried again.
    handles: HashMap<Item, Handle>,
    held: Held,
}

#[derive(Debug, Clone, Copy)]
enum Handle {
    Watched(u32),
    Refused,
}

/// The last value of each handle; `None` when the server has ended the subscription.
#[derive(Debug, Clone, Default)]
struct Held(Arc<Mutex<Option<HashMap<u32, DataValue>>>>);

impl Held {
    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u32, DataValue>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn item(node: &NodeId, range: &NumericRange) -> Item {
    (node.clone(), format!("{range:?}"))
}

impl Watch {
    /// A subscription without items.
    ///
    /// # Errors
    /// When the server has none for us.
    pub(crate) async fn open(session: &Session, publishing: Duration) -> Result<Self, Error> {
        let held = Held(Arc::new(Mutex::new(Some(HashMap::new()))));
        let (ended, changed) = (held.clone(), held.clone());
        let callbacks = SubscriptionCallbacks::new(
            move |notification| {
                tracing::warn!("the server has ended the subscription: {}", notification.status);
                *ended.lock() = None;
            },
            move |value, item| {
                if let Some(held) = changed.lock().as_mut() {
                    held.insert(item.client_handle(), value);
                }
            },
            |_, _| {},
        );
        let id =
            session.create_subscription(publishing, LIFETIME, KEEP_ALIVES, 0, 0, true, callbacks).await?;
        Ok(Self { id, handles: HashMap::new(), held })
    }

    /// Whether an item was given to the server already.
    pub(crate) fn knows(&self, item: &Item) -> bool {
        self.handles.contains_key(item)
    }

    /// The last value that the server has sent.
    pub(crate) fn value(&self, item: &Item) -> Option<DataValue> {
        match self.handles.get(item)? {
            Handle::Watched(handle) => self.held.lock().as_ref()?.get(handle).cloned(),
            Handle::Refused => None,
        }
    }

    /// What was read while the server had sent nothing. What it sends meanwhile is newer.
    pub(crate) fn keep(&self, item: &Item, value: &DataValue) {
        if let (Some(Handle::Watched(handle)), Some(held)) =
            (self.handles.get(item), self.held.lock().as_mut())
        {
            held.entry(*handle).or_insert_with(|| value.clone());
        }
    }

    /// What was sent before is not so any more: the item was set.
    pub(crate) fn forget(&self, item: &Item) {
        if let (Some(Handle::Watched(handle)), Some(held)) =
            (self.handles.get(item), self.held.lock().as_mut())
        {
            held.remove(handle);
        }
    }

    /// Has the server watch these. What it does not watch is read.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub(crate) async fn add(
        &mut self,
        session: &Session,
        new: &[(NodeId, NumericRange)],
        sampling: Duration,
    ) -> Result<(), Error> {
        for some in new.chunks(MOST_ITEMS) {
            let mut requests = Vec::new();
            for (node, range) in some {
                let handle = u32::try_from(self.handles.len() + 1).unwrap_or(u32::MAX);
                self.handles.insert(item(node, range), Handle::Watched(handle));
                requests.push(request(node, range, handle, sampling));
            }
            let created =
                session.create_monitored_items(self.id, TimestampsToReturn::Neither, requests).await?;
            for ((node, range), created) in some.iter().zip(created) {
                let status = created.result.status_code;
                if status.is_bad() {
                    tracing::info!("{node} is read and not subscribed to: {status}");
                    self.handles.insert(item(node, range), Handle::Refused);
                }
            }
        }
        Ok(())
    }
}

fn request(
    node: &NodeId,
    range: &NumericRange,
    handle: u32,
    sampling: Duration,
) -> MonitoredItemCreateRequest {
    let read = ReadValueId { index_range: range.clone(), ..ReadValueId::from(node.clone()) };
    let parameters = MonitoringParameters {
        client_handle: handle,
        // As fast as it is sent.
        sampling_interval: sampling.as_secs_f64() * 1000.0,
        // The last value is all that anybody wants to know.
        queue_size: 1,
        discard_oldest: true,
        ..MonitoringParameters::default()
    };
    MonitoredItemCreateRequest::new(read, MonitoringMode::Reporting, parameters)
}
