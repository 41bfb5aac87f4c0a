//! Values with a spelling of their own: percentages, versions, sizes, durations, secrets.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::secret::Reference;

/// Implements `JsonSchema` by an inline schema, so that editors show it in place.
macro_rules! inline_schema {
    ($type:ty, $($schema:tt)+) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($($schema)+)
            }
        }
    };
}

/// An integer, or a string of digits (contract §1).
#[derive(Deserialize)]
#[serde(untagged)]
enum Digits {
    Number(u64),
    Text(String),
}

/// A share of traffic, 0-100. Written as an integer or a string of digits; emitted as an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Percent(pub u32);

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = match Digits::deserialize(deserializer)? {
            Digits::Number(number) => u32::try_from(number).ok(),
            Digits::Text(text) => text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten(),
        };
        value.filter(|v| *v <= 100).map(Self).ok_or_else(|| D::Error::custom("not an integer from 0 to 100"))
    }
}

inline_schema!(Percent, {
    "type": ["integer", "string"],
    "minimum": 0,
    "maximum": 100,
    "pattern": "^0*(100|[0-9]{1,2})$",
    "x-expected": "an integer from 0 to 100"
});

/// A model version: digits. Written as an integer or a string; emitted as a string.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Version(pub String);

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Digits::deserialize(deserializer)? {
            Digits::Number(number) => Ok(Self(number.to_string())),
            Digits::Text(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => Ok(Self(text)),
            Digits::Text(_) => Err(D::Error::custom("not a version number")),
        }
    }
}

inline_schema!(Version, {
    "type": ["string", "integer"],
    "minimum": 0,
    "pattern": "^[0-9]+$",
    "maxLength": 20,
    "x-expected": "a version number such as \"1\""
});

/// A number of bytes: `32MiB`, `4KiB`, `1GiB`, `512B` or a plain integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    const UNITS: [(&'static str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_in_largest_unit(f, self.0, &Self::UNITS)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = match Digits::deserialize(deserializer)? {
            Digits::Number(number) => Some(number),
            Digits::Text(text) => parse_with_unit(&text, &Self::UNITS),
        };
        bytes.map(Self).ok_or_else(|| D::Error::custom("not a size such as 32MiB"))
    }
}

inline_schema!(ByteSize, {
    "type": ["string", "integer"],
    "minimum": 0,
    "maximum": 1u64 << 50,
    "pattern": "^[0-9]{1,6} ?(GiB|MiB|KiB|B)$",
    "x-expected": "a size such as 32MiB, 4KiB or 1GiB"
});

/// A span of time: `500ms`, `30s`, `10m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// Whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    const UNITS: [(&'static str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_in_largest_unit(f, self.0.as_millis().try_into().unwrap_or(u64::MAX), &Self::UNITS)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_with_unit(&String::deserialize(deserializer)?, &Self::UNITS)
            .map(|milliseconds| Self(Duration::from_millis(milliseconds)))
            .ok_or_else(|| D::Error::custom("not a duration such as 30s"))
    }
}

inline_schema!(Span, {
    "type": "string",
    "pattern": "^[0-9]{1,9}(ms|s|m|h)$",
    "x-expected": "a duration such as 500ms, 30s, 10m or 1h"
});

fn parse_with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn write_in_largest_unit(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    let fitting = units.iter().find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor)).or(units.last());
    match fitting {
        Some((name, factor)) => write!(f, "{}{name}", value / factor),
        None => write!(f, "{value}"),
    }
}

/// A field that takes a secret reference. `Debug` hides anything that is not one: someone may have pasted the secret itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretRef(pub String);

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if Reference::parse(&self.0).is_some() { &self.0 } else { "<redacted>" })
    }
}

inline_schema!(SecretRef, {
    "type": "string",
    "maxLength": 4096,
    "description": "A secret reference: {{secrets/scope/key}}, in files also {{env/NAME}} and {{file/PATH}}."
});

/// A secret written out. `Debug` hides it; `Serialize` does not, for it must survive a rewrite of its file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Plaintext(pub String);

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

inline_schema!(Plaintext, {
    "type": "string",
    "description": "The secret itself. Prefer a reference in the field without _plaintext."
});

#[cfg(test)]
#[path = "scalar_tests.rs"]
mod tests;
