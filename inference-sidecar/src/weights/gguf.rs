//! GGUF files, version 2 and 3 (ggml's `docs/gguf.md`): metadata and tensors in one file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mmap::Map;
use super::{Dtype, Tensor, Weights};
use crate::error::EngineError;

/// A metadata value. All widths of a kind are read into the widest.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any unsigned integer.
    Unsigned(u64),
    /// Any signed integer.
    Signed(i64),
    /// Any float.
    Float(f64),
    /// A flag.
    Bool(bool),
    /// UTF-8 text.
    Text(String),
    /// Values of one kind.
    Array(Vec<Value>),
}

/// The metadata of a GGUF file.
pub struct Metadata {
    path: PathBuf,
    values: HashMap<String, Value>,
}

impl Metadata {
    /// `path` is only for messages.
    pub fn new(path: &Path, values: HashMap<String, Value>) -> Self {
        Self { path: path.to_owned(), values }
    }

    fn get<T>(&self, key: &str, kind: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, EngineError> {
        self.values
            .get(key)
            .map(|value| read(value).ok_or_else(|| self.wrong(format!("{key} is not {kind}"))))
            .transpose()
    }

    /// An integer that is not negative.
    pub fn unsigned(&self, key: &str) -> Result<Option<usize>, EngineError> {
        self.get(key, "a whole number", |value| match *value {
            Value::Unsigned(n) => usize::try_from(n).ok(),
            Value::Signed(n) => usize::try_from(n).ok(),
            _ => None,
        })
    }

    /// A float.
    pub fn float(&self, key: &str) -> Result<Option<f32>, EngineError> {
        self.get(key, "a float", |value| match *value {
            Value::Float(n) => Some(n as f32),
            _ => None,
        })
    }

    /// A flag.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, EngineError> {
        self.get(key, "a flag", |value| match *value {
            Value::Bool(b) => Some(b),
            _ => None,
        })
    }

    /// A text.
    pub fn text(&self, key: &str) -> Result<Option<&str>, EngineError> {
        let read = |value: &Value| matches!(value, Value::Text(_)).then_some(());
        self.get(key, "a text", read)?;
        Ok(self
            .values
            .get(key)
            .and_then(|value| if let Value::Text(text) = value { Some(text.as_str()) } else { None }))
    }

    /// A list, each item read by `item`; `kind` names what it should have been.
    pub fn list<T>(
        &self,
        key: &str,
        kind: &str,
        item: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>, EngineError> {
        self.get(key, kind, |value| match value {
            Value::Array(items) => items.iter().map(&item).collect(),
            _ => None,
        })
    }

    /// An error that names this file.
    pub fn wrong(&self, what: impl Into<String>) -> EngineError {
        EngineError::model(&self.path, what)
    }

    /// What `read` found under `key`, or an error that names the key.
    pub fn need<T>(&self, key: &str, read: Result<Option<T>, EngineError>) -> Result<T, EngineError> {
        read?.ok_or_else(|| self.wrong(format!("metadata {key} is missing")))
    }
}

/// Reads the header of a GGUF file; the tensors stay in the map.
pub fn open(path: &Path) -> Result<(Metadata, Weights), EngineError> {
    let map = Arc::new(Map::open(path)?);
    let header = parse(&map).map_err(|what| EngineError::model(path, what))?;
    let mut tensors = HashMap::new();
    for info in header.tensors {
        let name = info.name;
        let tensor = dtype(info.kind)
            .and_then(|dtype| {
                let bytes = dtype.bytes_for(&info.shape)?;
                let start = header.data.checked_add(info.offset).ok_or("its offset cannot be right")?;
                let end = start.checked_add(bytes).ok_or("its size cannot be right")?;
                Tensor::new(map.clone(), start..end, dtype, info.shape)
            })
            .map_err(|what| EngineError::model(path, format!("tensor {name}: {what}")))?;
        tensors.insert(name, tensor);
    }
    Ok((Metadata::new(path, header.values), Weights::new(path, tensors)))
}

fn dtype(kind: u32) -> Result<Dtype, String> {
    Ok(match kind {
        0 => Dtype::F32,
        1 => Dtype::F16,
        2 => Dtype::Q4_0,
        3 => Dtype::Q4_1,
        8 => Dtype::Q8_0,
        12 => Dtype::Q4_K,
        14 => Dtype::Q6_K,
        30 => Dtype::BF16,
        other => {
            // ggml's numbering of the forms that this engine does not read.
            let name = match other {
                6 => "Q5_0",
                7 => "Q5_1",
                9 => "Q8_1",
                10 => "Q2_K",
                11 => "Q3_K",
                13 => "Q5_K",
                15 => "Q8_K",
                16..=23 | 29 => "an IQ form",
                24..=27 => "integers",
                28 => "F64",
                34 | 35 => "TQ",
                39 => "MXFP4",
                _ => "unknown",
            };
            return Err(format!(
                "stored as {name} (type {other}), which is not supported; take a file in \
                 F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q4_K or Q6_K"
            ));
        }
    })
}

struct TensorInfo {
    name: String,
    /// Outermost first.
    shape: Vec<usize>,
    kind: u32,
    /// From the start of the data.
    offset: usize,
}

struct Header {
    values: HashMap<String, Value>,
    tensors: Vec<TensorInfo>,
    /// Where the tensors' data starts in the file.
    data: usize,
}

/// Counts in the file are never trusted with an allocation: lists grow as their items are read.
fn parse(bytes: &[u8]) -> Result<Header, String> {
    let mut reader = Reader { bytes, at: 0 };
    if reader.take(4)? != b"GGUF" {
        return Err("not a GGUF file (its first four bytes are not GGUF)".into());
    }
    let version = reader.u32()?;
    if !(2..=3).contains(&version) {
        return Err(format!("GGUF version {version} is not supported; versions 2 and 3 (little-endian) are"));
    }
    let tensor_count = reader.u64()?;
    let value_count = reader.u64()?;

    let mut values = HashMap::new();
    for _ in 0..value_count {
        let key = reader.text()?;
        let kind = reader.u32()?;
        let value = reader.value(kind)?;
        values.insert(key, value);
    }

    let mut tensors = Vec::new();
    for _ in 0..tensor_count {
        let name = reader.text()?;
        let dimensions = reader.u32()?;
        if dimensions > 4 {
            return Err(format!("tensor {name} has {dimensions} dimensions; GGUF allows 4"));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(reader.size()?);
        }
        shape.reverse(); // ggml counts from the innermost
        tensors.push(TensorInfo { name, shape, kind: reader.u32()?, offset: reader.size()? });
    }

    let alignment = match values.get("general.alignment") {
        None => 32,
        Some(&Value::Unsigned(n @ 1..=65536)) => n as usize,
        Some(other) => return Err(format!("general.alignment {other:?} cannot be right")),
    };
    Ok(Header { values, tensors, data: reader.at.next_multiple_of(alignment) })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| format!("the header ends early, at byte {} (cut short?)", self.bytes.len()))?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn size(&mut self) -> Result<usize, String> {
        let size = self.u64()?;
        usize::try_from(size).map_err(|_| format!("a size of {size} cannot be right"))
    }

    fn text(&mut self) -> Result<String, String> {
        let length = self.size()?;
        let bytes = self.take(length)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| format!("text at byte {} is not UTF-8", self.at - length))
    }

    fn value(&mut self, kind: u32) -> Result<Value, String> {
        Ok(match kind {
            0 => Value::Unsigned(u8::from_le_bytes(self.array()?).into()),
            1 => Value::Signed(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Unsigned(self.u32()?.into()),
            5 => Value::Signed(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array()?).into()),
            7 => Value::Bool(u8::from_le_bytes(self.array()?) != 0),
            8 => Value::Text(self.text()?),
            9 => {
                let item = self.u32()?;
                if item == 9 {
                    return Err("lists of lists in the metadata are not supported".into());
                }
                let count = self.u64()?;
                let mut items = Vec::new();
                for _ in 0..count {
                    items.push(self.value(item)?);
                }
                Value::Array(items)
            }
            10 => Value::Unsigned(self.u64()?),
            11 => Value::Signed(i64::from_le_bytes(self.array()?)),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            other => return Err(format!("metadata value of unknown type {other}")),
        })
    }
}

#[cfg(test)]
#[path = "gguf_tests.rs"]
mod tests;
