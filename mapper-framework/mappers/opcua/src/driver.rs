//! One OPC UA server.

use std::collections::{BTreeMap, HashMap};

use mapper_framework::{Device, Driver, DriverError, Property, Value, Visitors};
use opcua::client::Session;
use opcua::types::{
    Array, AttributeId, DataValue, NodeId, NumericRange, ReadValueId, StatusCode, TimestampsToReturn,
    Variant, VariantScalarTypeId, WriteValue,
};

use crate::config::Reached;
use crate::node::{Node, Visitor};
use crate::refusal;
use crate::session::Connected;
use crate::values;
use crate::watch::{Item, MOST_ITEMS, Watch, item};

/// See the crate's documentation.
#[derive(Debug)]
pub struct OpcUa {
    reached: Reached,
    connected: Option<Connected>,
    /// None where the server has none for us, or nothing is to be watched yet.
    watch: Option<Watch>,
    can_watch: bool,
    visitors: Visitors<Visitor>,
    /// Properties that are read next.
    waiting: BTreeMap<String, Visitor>,
    /// What was read of them already.
    read: HashMap<String, DataValue>,
    /// What nodes hold, as far as anything was read of them.
    types: HashMap<Item, VariantScalarTypeId>,
}

impl OpcUa {
    /// The server as its manifest says. Files are in `secrets` only.
    ///
    /// # Errors
    /// When `protocol.configData` makes no sense: everything that is wrong with it and with the visitors of the properties. A
    /// visitor alone that makes no sense is a matter of its property.
    pub fn new(device: &Device, secrets: &[&str]) -> Result<Self, DriverError> {
        let mut visitors = Visitors::default();
        let reached = visitors.check(device, Reached::read(device.config(), secrets))?;
        Ok(Self {
            reached,
            connected: None,
            watch: None,
            can_watch: true,
            visitors,
            waiting: BTreeMap::new(),
            read: HashMap::new(),
            types: HashMap::new(),
        })
    }

    /// The session, as long as there is one.
    fn session(&mut self) -> Result<std::sync::Arc<Session>, DriverError> {
        let url = &self.reached.url;
        let connected = self.connected.as_mut();
        let connected =
            connected.ok_or_else(|| DriverError::unreachable(format!("{url}: it is not connected")))?;
        match connected.ended() {
            None => Ok(std::sync::Arc::clone(&connected.session)),
            Some(status) => {
                self.connected = None;
                Err(refusal::not_connected(url, &format!("the session is over: {status}"), status))
            }
        }
    }

    async fn id(session: &Session, node: &Node) -> Result<NodeId, DriverError> {
        match node {
            Node::Indexed(id) => Ok(id.clone()),
            Node::Named(name, identifier) => {
                let index =
                    session.get_namespace_index(name).await.map_err(|error| match error.status() {
                        StatusCode::BadNoMatch => DriverError::Refused(format!(
                            "the server has no namespace {name:?}: check nodeID"
                        )),
                        _ => refusal::failed("reading the server's namespaces", &error),
                    })?;
                Ok(NodeId::new(index, identifier.clone()))
            }
        }
    }

    /// Reads a property, and all others that wait and of which nothing is known, in one request.
    async fn fetch(&mut self, name: &str, visitor: &Visitor) -> Result<DataValue, DriverError> {
        let session = self.session()?;
        let mut wanted = vec![(name.to_owned(), visitor.clone())];
        // Only what was announced comes again; whoever asks in between wants to know it now.
        let is_announced = self.waiting.remove(name).is_some();
        if is_announced {
            if let Some(value) = self.read.remove(name) {
                return Ok(value);
            }
            let id = Self::id(&session, &visitor.node).await?;
            if let Some(value) = self.watch.as_ref().and_then(|watch| watch.value(&item(&id, &visitor.range)))
            {
                return Ok(value);
            }
            let others = self.waiting.iter().filter(|(other, _)| !self.read.contains_key(*other));
            wanted.extend(others.take(MOST_ITEMS - 1).map(|(name, visitor)| (name.clone(), visitor.clone())));
        }
        let mut nodes = Vec::new();
        for (name, visitor) in wanted {
            // What is wrong with another one is said when it is read.
            match Self::id(&session, &visitor.node).await {
                Ok(id) => nodes.push((name, id, visitor)),
                Err(error) if nodes.is_empty() => return Err(error),
                Err(_) => {}
            }
        }
        let watched = |id: &NodeId, range: &NumericRange| {
            self.watch.as_ref().is_some_and(|watch| watch.value(&item(id, range)).is_some())
        };
        let own = nodes.first().map(|(name, ..)| name.clone());
        nodes.retain(|(name, id, visitor)| Some(name) == own.as_ref() || !watched(id, &visitor.range));
        let request: Vec<ReadValueId> = nodes.iter().map(|(_, id, visitor)| read_id(id, visitor)).collect();
        let what = || format!("reading {} nodes at {}", request.len(), self.reached.url);
        let answer = session.read(&request, TimestampsToReturn::Neither, 0.0).await;
        let answer = answer.map_err(|error| refusal::failed(&what(), &error))?;
        if let Some(watch) = &self.watch {
            let items = nodes.iter().map(|(_, id, visitor)| item(id, &visitor.range));
            items.zip(&answer).for_each(|(item, value)| watch.keep(&item, value));
        }
        let mut answer = answer.into_iter();
        let first = answer.next().ok_or_else(|| DriverError::Refused(format!("{}: no answer", what())))?;
        for ((name, ..), value) in nodes.iter().skip(1).zip(answer) {
            self.read.insert(name.clone(), value);
        }
        if is_announced {
            self.subscribe(&session, nodes).await?;
        }
        Ok(first)
    }

    /// Has the server send what it is asked for again and again.
    async fn subscribe(
        &mut self,
        session: &Session,
        nodes: Vec<(String, NodeId, Visitor)>,
    ) -> Result<(), DriverError> {
        let wants = |visitor: &Visitor| visitor.subscribe.unwrap_or(self.reached.subscribe);
        let is_new = |id: &NodeId, visitor: &Visitor| {
            self.watch.as_ref().is_none_or(|watch| !watch.knows(&item(id, &visitor.range)))
        };
        let new: Vec<(NodeId, NumericRange)> = nodes
            .into_iter()
            .filter(|(_, id, visitor)| wants(visitor) && is_new(id, visitor))
            .map(|(_, id, visitor)| (id, visitor.range))
            .collect();
        if new.is_empty() || !self.can_watch {
            return Ok(());
        }
        let publishing = self.reached.publishing;
        let subscribed = async {
            if self.watch.is_none() {
                self.watch = Some(Watch::open(session, publishing).await?);
            }
            match &mut self.watch {
                Some(watch) => watch.add(session, &new, publishing).await,
                None => Ok(()),
            }
        };
        if let Err(error) = subscribed.await {
            let error = refusal::failed("subscribing", &error);
            if error.is_lost() {
                return Err(error);
            }
            tracing::info!("the server is asked for all values: {error}");
            self.can_watch = false;
        }
        Ok(())
    }

    /// What type a node holds.
    async fn node_type(
        &mut self,
        id: &NodeId,
        visitor: &Visitor,
    ) -> Result<VariantScalarTypeId, DriverError> {
        let known = item(id, &visitor.range);
        if let Some(node_type) = self.types.get(&known) {
            return Ok(*node_type);
        }
        let session = self.session()?;
        let what = format!("reading the type of {id}");
        let request = [ReadValueId::new(id.clone(), AttributeId::DataType)];
        let answer = session.read(&request, TimestampsToReturn::Neither, 0.0).await;
        let answer = answer.map_err(|error| refusal::failed(&what, &error))?;
        let first = answer.into_iter().next().unwrap_or_default();
        if first.status().is_bad() {
            return Err(refusal::refused(&what, first.status()));
        }
        let by_attribute = match &first.value {
            Some(Variant::NodeId(data_type)) => VariantScalarTypeId::try_from(&**data_type).ok(),
            _ => None,
        };
        // Types of the server's own (enumerations, durations) say by their values what they are.
        let node_type = match by_attribute {
            Some(node_type) => node_type,
            None => {
                let what = format!("reading {id}");
                let answer = session.read(&[read_id(id, visitor)], TimestampsToReturn::Neither, 0.0).await;
                let answer = answer.map_err(|error| refusal::failed(&what, &error))?;
                let value = answer.into_iter().next().and_then(|value| value.value).unwrap_or_default();
                let node_type = value.scalar_type_id();
                node_type.ok_or_else(|| {
                    DriverError::Refused(format!("{what}: it does not say what type it has"))
                })?
            }
        };
        self.types.insert(known, node_type);
        Ok(node_type)
    }
}

fn read_id(id: &NodeId, visitor: &Visitor) -> ReadValueId {
    ReadValueId { index_range: visitor.range.clone(), ..ReadValueId::from(id.clone()) }
}

impl Driver for OpcUa {
    async fn connect(&mut self) -> Result<(), DriverError> {
        self.watch = None;
        self.can_watch = true;
        self.waiting.clear();
        self.read.clear();
        self.types.clear();
        if let Some(connected) = self.connected.take() {
            connected.close(self.reached.timeout).await;
        }
        self.connected = Some(Connected::open(&self.reached).await?);
        Ok(())
    }

    fn upcoming(&mut self, properties: &[&Property]) {
        self.waiting.clear();
        self.read.clear();
        for property in properties {
            if let Ok(visitor) = self.visitors.get(property) {
                self.waiting.insert(property.name().to_owned(), visitor);
            }
        }
    }

    async fn read(&mut self, property: &Property) -> Result<Value, DriverError> {
        let visitor = self.visitors.get(property)?;
        let value = self.fetch(property.name(), &visitor).await?;
        let what = || format!("reading {} at {}", visitor.node, self.reached.url);
        if value.status().is_bad() {
            return Err(refusal::refused(&what(), value.status()));
        }
        let variant = value.value.unwrap_or_default();
        let checked = values::check_range(&variant, &visitor.range);
        checked.and_then(|()| values::value(&variant, visitor.data_type)).map_err(|error| match error {
            DriverError::Refused(text) => DriverError::Refused(format!("{}: {text}", what())),
            other => other,
        })
    }

    async fn write(&mut self, property: &Property, value: &Value) -> Result<(), DriverError> {
        let visitor = self.visitors.get(property)?;
        let session = self.session()?;
        let id = Self::id(&session, &visitor.node).await?;
        if visitor.range != NumericRange::None {
            // Before anything is lost.
            let now = session.read(&[read_id(&id, &visitor)], TimestampsToReturn::Neither, 0.0).await;
            let now = now.map_err(|error| refusal::failed(&format!("reading {id}"), &error))?;
            let now = now.into_iter().next().and_then(|now| now.value).unwrap_or_default();
            values::check_range(&now, &visitor.range)?;
        }
        let node_type = self.node_type(&id, &visitor).await?;
        let mut variant = values::variant(value, node_type)?;
        // One element of an array is written as an array of one.
        if visitor.range != NumericRange::None {
            let array = Array::new(node_type, vec![variant]);
            let array = array.map_err(|error| DriverError::Refused(format!("{}: {error}", visitor.node)))?;
            variant = Variant::Array(Box::new(array));
        }
        let what = || format!("writing {} at {}", visitor.node, self.reached.url);
        let request = WriteValue {
            node_id: id.clone(),
            attribute_id: AttributeId::Value as u32,
            index_range: visitor.range.clone(),
            value: DataValue::value_only(variant),
        };
        let answer = session.write(&[request]).await.map_err(|error| refusal::failed(&what(), &error))?;
        let status = answer.first().copied().unwrap_or(StatusCode::BadUnknownResponse);
        if status.is_bad() {
            return Err(refusal::refused(&what(), status));
        }
        self.read.remove(property.name());
        if let Some(watch) = &self.watch {
            watch.forget(&item(&id, &visitor.range));
        }
        Ok(())
    }

    async fn disconnect(&mut self) {
        self.watch = None;
        if let Some(connected) = self.connected.take() {
            connected.close(self.reached.timeout).await;
        }
    }
}
