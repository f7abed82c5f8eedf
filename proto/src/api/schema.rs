//! Types of custom resources that know their own OpenAPI schema: what the definition in `build/crds` says and what the
//! code reads is written down once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A type that can stand in a custom resource.
pub(crate) trait Described {
    /// Whether an object without it is refused by the API server.
    const REQUIRED: bool = false;

    /// Its structural schema.
    fn schema() -> Value;

    /// Whether it is left out when the object is written.
    fn is_absent(&self) -> bool;
}

/// A free object: the plain JSON map of `configData` and its like, of any depth.
pub type FreeObject = serde_json::Map<String, Value>;

/// A text that must be there, though it may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct RequiredText(pub String);

/// A map of texts that must be there, though it may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct RequiredTexts(pub BTreeMap<String, String>);

/// Defines a struct of a custom resource. Each field is `"jsonKey" name: Type`; its documentation becomes the description
/// that `kubectl explain` shows. Every field may be missing where it is read.
macro_rules! described {
    (
        $(#[doc = $doc:literal])*
        $(@$atomic:ident)?
        pub struct $name:ident {
            $( $(#[doc = $field_doc:literal])* $key:literal $field:ident: $ty:ty, )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            $(
                $(#[doc = $field_doc])*
                #[serde(rename = $key, skip_serializing_if = "crate::api::schema::Described::is_absent")]
                pub $field: $ty,
            )*
        }

        impl crate::api::schema::Described for $name {
            fn schema() -> serde_json::Value {
                #[allow(unused_mut, reason = "most structs have neither")]
                let mut schema = crate::api::schema::object(
                    &[ $($doc),* ],
                    vec![ $( (
                        $key,
                        <$ty as crate::api::schema::Described>::REQUIRED,
                        crate::api::schema::documented(
                            <$ty as crate::api::schema::Described>::schema(),
                            &[ $($field_doc),* ],
                        ),
                    ) ),* ],
                );
                $( schema["x-kubernetes-map-type"] = serde_json::json!(stringify!($atomic)); )?
                schema
            }

            fn is_absent(&self) -> bool {
                *self == Self::default()
            }
        }
    };
}
pub(crate) use described;

/// Defines a namespaced kind of custom resource. Where it is used, `API_VERSION`, `GROUP` and `VERSION` say of what, and the names of
/// serde and k8s-openapi that stand below are known.
macro_rules! resource {
    ($(#[$meta:meta])* $name:ident { $plural:literal, $list:literal, $spec:ty, $status:ty }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Default, Deserialize)]
        pub struct $name {
            /// Standard object metadata.
            #[serde(default)]
            pub metadata: ObjectMeta,
            /// What is wanted.
            #[serde(default)]
            pub spec: $spec,
            /// What is.
            #[serde(default)]
            pub status: $status,
        }

        impl Resource for $name {
            const API_VERSION: &'static str = API_VERSION;
            const GROUP: &'static str = GROUP;
            const KIND: &'static str = stringify!($name);
            const VERSION: &'static str = VERSION;
            const URL_PATH_SEGMENT: &'static str = $plural;
            type Scope = NamespaceResourceScope;
        }

        impl ListableResource for $name {
            const LIST_KIND: &'static str = $list;
        }

        impl Metadata for $name {
            type Ty = ObjectMeta;

            fn metadata(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn metadata_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut object = serializer.serialize_struct(Self::KIND, 5)?;
                object.serialize_field("apiVersion", Self::API_VERSION)?;
                object.serialize_field("kind", Self::KIND)?;
                object.serialize_field("metadata", &self.metadata)?;
                object.serialize_field("spec", &self.spec)?;
                if !Described::is_absent(&self.status) {
                    object.serialize_field("status", &self.status)?;
                }
                object.end()
            }
        }
    };
}
pub(crate) use resource;

/// The schema of an object with these fields: key, whether it is required, schema.
pub(crate) fn object(doc: &[&str], fields: Vec<(&'static str, bool, Value)>) -> Value {
    let required: Vec<&str> = fields.iter().filter(|field| field.1).map(|field| field.0).collect();
    let mut properties = serde_json::Map::new();
    for (key, _, schema) in fields {
        properties.insert(key.to_owned(), schema);
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    documented(schema, doc)
}

/// The schema with the words of a doc comment as its description.
pub(crate) fn documented(mut schema: Value, doc: &[&str]) -> Value {
    let text = doc.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    if !text.is_empty() {
        schema["description"] = json!(text.join(" "));
    }
    schema
}

macro_rules! described_plain {
    ($($ty:ty => $schema:tt),* $(,)?) => { $(
        impl Described for $ty {
            fn schema() -> Value {
                json!($schema)
            }

            fn is_absent(&self) -> bool {
                *self == Self::default()
            }
        }
    )* };
}

described_plain! {
    String => {"type": "string"},
    bool => {"type": "boolean"},
    i64 => {"type": "integer", "format": "int64"},
    i32 => {"type": "integer", "format": "int32"},
    FreeObject => {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    BTreeMap<String, String> => {"type": "object", "additionalProperties": {"type": "string"}},
}

impl Described for RequiredText {
    const REQUIRED: bool = true;

    fn schema() -> Value {
        String::schema()
    }

    fn is_absent(&self) -> bool {
        false
    }
}

impl Described for RequiredTexts {
    const REQUIRED: bool = true;

    fn schema() -> Value {
        BTreeMap::<String, String>::schema()
    }

    fn is_absent(&self) -> bool {
        false
    }
}

impl<T: Described> Described for Option<T> {
    fn schema() -> Value {
        T::schema()
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Described> Described for Vec<T> {
    fn schema() -> Value {
        json!({"type": "array", "items": T::schema()})
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}
