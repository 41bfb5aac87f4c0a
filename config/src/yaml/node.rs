//! What serde gathers a YAML document into: with the place of every node, or quickly without.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// A node with its place; the content is gathered untyped.
#[derive(Deserialize)]
pub(super) struct Node(pub Spanned<Kind>);

pub(super) enum Kind {
    Scalar(Value),
    Sequence(Vec<Node>),
    Mapping(Vec<(Spanned<String>, Node)>),
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Builder(PhantomData))
    }
}

impl Build for Kind {
    type Item = Node;
    type Key = Spanned<String>;

    fn scalar(value: Value) -> Self {
        Self::Scalar(value)
    }

    fn sequence(items: Vec<Node>) -> Self {
        Self::Sequence(items)
    }

    fn mapping(entries: Vec<(Spanned<String>, Node)>) -> Option<Self> {
        Some(Self::Mapping(entries))
    }
}

/// A value without places; refuses a key that is there twice.
pub(super) struct Plain(pub Value);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Builder(PhantomData))
    }
}

impl Build for Plain {
    type Item = Self;
    type Key = String;

    fn scalar(value: Value) -> Self {
        Self(value)
    }

    fn sequence(items: Vec<Self>) -> Self {
        Self(Value::Array(items.into_iter().map(|item| item.0).collect()))
    }

    fn mapping(entries: Vec<(String, Self)>) -> Option<Self> {
        let count = entries.len();
        let map: Map<String, Value> = entries.into_iter().map(|(key, value)| (key, value.0)).collect();
        (map.len() == count).then_some(Self(Value::Object(map)))
    }
}

/// What a document is gathered into.
trait Build: Sized {
    type Item;
    type Key;

    fn scalar(value: Value) -> Self;
    fn sequence(items: Vec<Self::Item>) -> Self;
    /// `None` when a key is there twice and that counts.
    fn mapping(entries: Vec<(Self::Key, Self::Item)>) -> Option<Self>;
}

struct Builder<T>(PhantomData<T>);

impl<'de, T: Build<Item: Deserialize<'de>, Key: Deserialize<'de>>> Visitor<'de> for Builder<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<T, E> {
        Ok(T::scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<T, E> {
        Ok(T::scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<T, E> {
        Ok(T::scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<T, E> {
        Ok(T::scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<T, E> {
        Ok(T::scalar(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<T, E> {
        Ok(T::scalar(Value::String(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<T, E> {
        Ok(T::scalar(Value::String(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<T, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element()? {
            nodes.push(node);
        }
        Ok(T::sequence(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<T, A::Error> {
        let mut nodes = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            nodes.push(entry);
        }
        T::mapping(nodes).ok_or_else(|| A::Error::custom("a key is there twice"))
    }
}
