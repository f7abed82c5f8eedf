//! Which node of the server a property is: its visitor's `configData`.

use std::fmt;
use std::str::FromStr as _;

use mapper_framework::{DataType, Keys};
use opcua::types::{Identifier, NodeId, NumericRange};

/// See the table at the top of the crate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Visitor {
    pub(crate) node: Node,
    /// Elements of an array.
    pub(crate) range: NumericRange,
    pub(crate) subscribe: Option<bool>,
    pub(crate) data_type: Option<DataType>,
}

/// A node, by the index of its namespace or by its name, which stays when indexes change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Node {
    Indexed(NodeId),
    Named(String, Identifier),
}

impl mapper_framework::Visitor for Visitor {
    /// Stock's key for people, and those that other protocols have.
    const IGNORED: &'static [&'static str] = &["browseName", "dataType", "min", "max"];

    fn parse(keys: &mut Keys<'_>, data_type: Option<DataType>) -> Option<Self> {
        let subscribe = keys.flag(&["subscribe"]);
        let range = keys.text(&["indexRange"]);
        let range = match range.map(|range| (NumericRange::from_str(&range), range)) {
            None => NumericRange::None,
            Some((Ok(range), _)) => range,
            Some((Err(_), range)) => {
                keys.problem("indexRange", &format!("{range:?} is no range of elements, such as 3 or 0:9"));
                return None;
            }
        };
        if data_type == Some(DataType::Stream) {
            keys.problem("nodeID", "a STREAM is not read from a node");
        }
        let Some(id) = keys.text(&["nodeID"]) else {
            if !keys.has(&["nodeID"]) {
                keys.problem(
                    "nodeID",
                    "is missing: such as ns=2;s=Boiler.Temperature, ns=2;i=1005 or nsu=urn:maker:plant;i=7",
                );
            }
            return None;
        };
        let node = node(&id);
        if node.is_none() {
            let what = "is no node: one is ns=2;s=Boiler.Temperature, ns=2;i=1005 or nsu=urn:maker:plant;i=7";
            keys.problem("nodeID", &format!("{id:?} {what}"));
        }
        Some(Self { node: node?, range, subscribe, data_type })
    }
}

/// Reads the text form of a node's id (OPC UA part 6, 5.3.1.10 and 5.3.1.11). Stock's documentation has a comma for the semicolon.
fn node(id: &str) -> Option<Node> {
    if let Some(rest) = id.strip_prefix("nsu=") {
        let (name, identifier) = rest.rsplit_once(';').or_else(|| rest.rsplit_once(','))?;
        let identifier = Identifier::from_str(identifier).ok()?;
        return (!name.is_empty()).then(|| Node::Named(name.to_owned(), identifier));
    }
    let id = match id.split_once(',') {
        Some((namespace, rest)) if namespace.starts_with("ns=") && !namespace.contains(';') => {
            &format!("{namespace};{rest}")
        }
        _ => id,
    };
    NodeId::from_str(id).ok().map(Node::Indexed)
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Indexed(id) => id.fmt(f),
            Self::Named(name, identifier) => write!(f, "nsu={name};{identifier}"),
        }
    }
}

#[cfg(test)]
mod tests;
