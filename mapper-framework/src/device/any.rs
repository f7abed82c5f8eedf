//! The wrapped values of DMI as JSON.

use std::collections::BTreeMap;

use proto::dmi::Any;
use serde_json::{Map, Value, json};

use crate::value::{whole, widened};

/// All values, by key. One that cannot be read is left out: the driver says what it misses.
pub(crate) fn object(data: &BTreeMap<String, Any>) -> Map<String, Value> {
    data.iter().filter_map(|(key, any)| Some((key.clone(), json(any)?))).collect()
}

/// One value. Numbers without a fraction are whole ones, however they came: stock EdgeCore sends each number as a fraction of
/// 32 bits. A text that is a JSON object or list is that: EdgeCore sends nested values so.
pub(crate) fn json(any: &Any) -> Option<Value> {
    let name = any.type_url.rsplit('/').next()?.strip_prefix("google.protobuf.")?;
    Some(match name {
        "StringValue" => text(read::<String>(any)?),
        "BoolValue" => json!(read::<bool>(any)?),
        "Int32Value" => json!(read::<i32>(any)?),
        "Int64Value" => json!(read::<i64>(any)?),
        "UInt32Value" => json!(read::<u32>(any)?),
        "UInt64Value" => json!(read::<u64>(any)?),
        "FloatValue" => number(widened(read::<f32>(any)?)),
        "DoubleValue" => number(read::<f64>(any)?),
        _ => return None,
    })
}

fn read<M: prost::Message + Default>(any: &Any) -> Option<M> {
    M::decode(any.value.as_slice()).ok()
}

fn number(real: f64) -> Value {
    whole(real).map_or_else(|| json!(real), |whole| json!(whole))
}

fn text(text: String) -> Value {
    if text.starts_with(['{', '['])
        && let Ok(nested) = serde_json::from_str(&text)
    {
        return nested;
    }
    Value::String(text)
}
