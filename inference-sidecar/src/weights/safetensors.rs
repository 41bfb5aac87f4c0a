//! A folder's `.safetensors` files.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use safetensors::SafeTensors;
use serde::Deserialize;

use super::mmap::Map;
use super::{Dtype, Tensor, Weights};
use crate::error::EngineError;

/// The list of parts of a model that is stored in several files.
#[derive(Deserialize)]
struct Index {
    weight_map: HashMap<String, String>,
}

/// Opens `model.safetensors`, or the parts that `model.safetensors.index.json` names.
pub fn open(folder: &Path) -> Result<Weights, EngineError> {
    let mut tensors = HashMap::new();
    let index = folder.join("model.safetensors.index.json");
    if index.exists() {
        let text = std::fs::read(&index).map_err(|source| EngineError::Read { path: index.clone(), source })?;
        let parts: Index = serde_json::from_slice(&text).map_err(|e| EngineError::model(&index, e.to_string()))?;
        let mut files: Vec<_> = parts.weight_map.into_values().collect();
        files.sort_unstable();
        files.dedup();
        for file in files {
            // A part is a plain name in this folder, never a path out of it.
            if Path::new(&file).file_name() != Some(file.as_ref()) {
                return Err(EngineError::model(&index, format!("part {file:?} is not a file name")));
            }
            read(&folder.join(file), &mut tensors)?;
        }
    } else {
        read(&folder.join("model.safetensors"), &mut tensors)?;
    }
    Ok(Weights::new(folder, tensors))
}

fn read(path: &Path, into: &mut HashMap<String, Tensor>) -> Result<(), EngineError> {
    let map = Arc::new(Map::open(path)?);
    let (length, header) = SafeTensors::read_metadata(&map)
        .map_err(|e| EngineError::model(path, format!("not a sound safetensors file: {e}")))?;
    let data = length + 8; // the header's length stands before it
    for (name, info) in header.tensors() {
        let dtype = match info.dtype {
            safetensors::Dtype::F32 => Dtype::F32,
            safetensors::Dtype::F16 => Dtype::F16,
            safetensors::Dtype::BF16 => Dtype::BF16,
            // Not a weight (`position_ids`); one that the model needs is found missing by name.
            safetensors::Dtype::I64 | safetensors::Dtype::I32 | safetensors::Dtype::BOOL => continue,
            other => {
                let what = format!("tensor {name} is stored as {other:?}; F32, F16 and BF16 are supported");
                return Err(EngineError::model(path, what));
            }
        };
        let (start, end) = info.data_offsets;
        let tensor =
            Tensor::new(map.clone(), data.saturating_add(start)..data.saturating_add(end), dtype, info.shape.clone())
                .map_err(|what| EngineError::model(path, format!("tensor {name}: {what}")))?;
        into.insert(name, tensor);
    }
    Ok(())
}

#[cfg(test)]
#[path = "safetensors_tests.rs"]
mod tests;
