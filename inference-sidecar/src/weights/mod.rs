//! Tensors of a model's files, kept in the form in which the file holds them.

pub mod blocks;
pub mod dtype;
pub mod gguf;
pub mod mmap;
pub mod safetensors;

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use dtype::Dtype;
use mmap::Map;

use crate::error::EngineError;

/// A tensor in a mapped file. Cheap to clone.
#[derive(Clone)]
pub struct Tensor {
    map: Arc<Map>,
    range: Range<usize>,
    dtype: Dtype,
    shape: Vec<usize>,
}

impl Tensor {
    /// `range` are the tensor's bytes in the file; `shape` is outermost first. Says what is wrong when the shape, the
    /// bytes and the file do not fit each other.
    pub fn new(map: Arc<Map>, range: Range<usize>, dtype: Dtype, shape: Vec<usize>) -> Result<Self, String> {
        let need = dtype.bytes_for(&shape)?;
        if range.end > map.len() || range.start > range.end {
            return Err(format!("its bytes {range:?} are not within the file's {} (cut short?)", map.len()));
        }
        if range.len() != need {
            return Err(format!("{shape:?} of {dtype} takes {need} bytes, the file gives {}", range.len()));
        }
        Ok(Self { map, range, dtype, shape })
    }

    /// How values are stored.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Sizes, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Values in a row: the innermost size.
    pub fn cols(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// Rows, all outer sizes taken together.
    pub fn rows(&self) -> usize {
        self.shape.iter().rev().skip(1).product()
    }

    /// The bytes of rows `rows` (clamped to what there is).
    pub fn row_bytes(&self, rows: Range<usize>) -> &[u8] {
        let stride = self.dtype.row_bytes(self.cols());
        let bytes = self.map.get(self.range.clone()).unwrap_or_default();
        let end = (rows.end * stride).min(bytes.len());
        bytes.get((rows.start * stride).min(end)..end).unwrap_or_default()
    }

    /// All values as f32, rows one after the other. For vectors; matrices stay in their own form.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.shape.iter().product()];
        blocks::dequantise::<false>(self.dtype, self.row_bytes(0..self.rows()), &mut out);
        out
    }
}

/// The tensors of a model, by name.
pub struct Weights {
    path: PathBuf,
    tensors: HashMap<String, Tensor>,
}

impl Weights {
    /// `path` is only for messages.
    pub fn new(path: &Path, tensors: HashMap<String, Tensor>) -> Self {
        Self { path: path.to_owned(), tensors }
    }

    /// Whether there is such a tensor.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The tensor of this name, which must have this shape (outermost first).
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor, EngineError> {
        let tensor = self.tensors.get(name).ok_or_else(|| {
            EngineError::model(&self.path, format!("tensor {name} is missing; is the file complete?"))
        })?;
        if tensor.shape() != shape {
            let what = format!("tensor {name} is {:?}, the model's config asks for {shape:?}", tensor.shape());
            return Err(EngineError::model(&self.path, what));
        }
        Ok(tensor.clone())
    }
}
