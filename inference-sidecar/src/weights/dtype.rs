//! How the values of a tensor are stored.

use std::fmt;

/// Storage of a tensor's values. The quantised forms are ggml's (`ggml-common.h`): a row is cut into blocks, and each
/// block holds its scales beside its small integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types, reason = "the names that everybody knows them by")]
pub enum Dtype {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of an F32.
    BF16,
    /// 32 values: f16 scale, 32 x i8.
    Q8_0,
    /// 32 values: f16 scale, 32 x 4 bits, minus 8.
    Q4_0,
    /// 32 values: f16 scale, f16 minimum, 32 x 4 bits.
    Q4_1,
    /// 256 values: two f16, eight 6-bit scales and minima, 256 x 4 bits.
    Q4_K,
    /// 256 values: 4 low and 2 high bits each, sixteen i8 scales, f16.
    Q6_K,
}

impl Dtype {
    /// Values in a block.
    pub const fn block_values(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 => 32,
            Self::Q4_K | Self::Q6_K => 256,
        }
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q8_0 => 34,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q4_K => 144,
            Self::Q6_K => 210,
        }
    }

    /// Bytes of a row of `cols` values; `cols` is whole blocks.
    pub const fn row_bytes(self, cols: usize) -> usize {
        cols / self.block_values() * self.block_bytes()
    }

    /// Bytes of a tensor, or why there can be no such tensor.
    pub fn bytes_for(self, shape: &[usize]) -> Result<usize, String> {
        let cols = shape.last().copied().unwrap_or(1);
        if !cols.is_multiple_of(self.block_values()) {
            return Err(format!("rows of {cols} values are not whole {self} blocks of {}", self.block_values()));
        }
        shape
            .iter()
            .try_fold(1usize, |n, &size| n.checked_mul(size))
            .and_then(|values| (values / self.block_values()).checked_mul(self.block_bytes()))
            .ok_or_else(|| format!("a size of {shape:?} cannot be right"))
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
