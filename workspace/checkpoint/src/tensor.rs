//! Tensors as names, shapes and bytes, and how they are split evenly over ranks.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Dtype {
    Bool,
    U8,
    I8,
    I16,
    F16,
    Bf16,
    I32,
    U32,
    F32,
    I64,
    U64,
    F64,
}

impl Dtype {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Dtype::Bool | Dtype::U8 | Dtype::I8 => 1,
            Dtype::I16 | Dtype::F16 | Dtype::Bf16 => 2,
            Dtype::I32 | Dtype::U32 | Dtype::F32 => 4,
            Dtype::I64 | Dtype::U64 | Dtype::F64 => 8,
        }
    }
}

impl From<Dtype> for safetensors::Dtype {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::Bool => safetensors::Dtype::BOOL,
            Dtype::U8 => safetensors::Dtype::U8,
            Dtype::I8 => safetensors::Dtype::I8,
            Dtype::I16 => safetensors::Dtype::I16,
            Dtype::F16 => safetensors::Dtype::F16,
            Dtype::Bf16 => safetensors::Dtype::BF16,
            Dtype::I32 => safetensors::Dtype::I32,
            Dtype::U32 => safetensors::Dtype::U32,
            Dtype::F32 => safetensors::Dtype::F32,
            Dtype::I64 => safetensors::Dtype::I64,
            Dtype::U64 => safetensors::Dtype::U64,
            Dtype::F64 => safetensors::Dtype::F64,
        }
    }
}

/// What a tensor is, without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorInfo {
    /// Unique within a state.
    pub name: String,
    /// Type of elements.
    pub dtype: Dtype,
    /// Shape of the whole tensor; `[]` is a scalar.
    pub shape: Vec<usize>,
}

impl TensorInfo {
    /// Elements of the whole tensor; `None` when that is more than a machine can address.
    pub fn elements(&self) -> Option<usize> {
        let elements = self.shape.iter().try_fold(1usize, |product, dim| product.checked_mul(*dim))?;
        elements.checked_mul(self.dtype.size())?;
        Some(elements)
    }
}

/// A whole tensor: elements in row-major order, little endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorData {
    /// Name, type, shape.
    pub info: TensorInfo,
    /// Content; its length is elements times element size.
    pub bytes: Bytes,
}

/// One rank's elements of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSlice {
    /// The whole tensor's name, type, shape.
    pub info: TensorInfo,
    /// Elements [`slice_range`] of the whole, little endian.
    pub bytes: Bytes,
}

/// The elements that rank `rank` of `of` writes, of a tensor of `elements`: `[i·len/n, (i+1)·len/n)`.
///
/// # Panics
/// When `of` is 0.
pub fn slice_range(elements: usize, rank: usize, of: usize) -> Range<usize> {
    // In u128: a tensor's length times a rank may not fit in 64 bits.
    let edge = |rank: usize| (rank as u128 * elements as u128 / of as u128) as usize;
    edge(rank)..edge(rank + 1)
}

impl TensorData {
    /// A tensor of these bytes.
    ///
    /// # Errors
    /// The bytes are not as many as dtype and shape say.
    pub fn new(
        name: impl Into<String>,
        dtype: Dtype,
        shape: Vec<usize>,
        bytes: impl Into<Bytes>,
    ) -> Result<TensorData, WrongSize> {
        let (info, bytes) = (TensorInfo { name: name.into(), dtype, shape }, bytes.into());
        if info.elements().is_some_and(|elements| elements * dtype.size() == bytes.len()) {
            Ok(TensorData { info, bytes })
        } else {
            Err(WrongSize { info, bytes: bytes.len() })
        }
    }

    /// What rank `rank` of `of` writes of it; nothing is copied.
    pub fn slice(&self, rank: usize, of: usize) -> TensorSlice {
        let size = self.info.dtype.size();
        let range = slice_range(self.bytes.len() / size, rank, of);
        TensorSlice { info: self.info.clone(), bytes: self.bytes.slice(range.start * size..range.end * size) }
    }
}

/// Bytes that are not what dtype and shape say.
#[derive(Debug, thiserror::Error)]
#[error("tensor `{}` of shape {:?} and type {:?} cannot have {bytes} bytes", info.name, info.shape, info.dtype)]
pub struct WrongSize {
    info: TensorInfo,
    bytes: usize,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn slices_are_even_and_tile_the_tensor(elements in 0usize..5000, of in 1usize..70) {
            let mut next = 0;
            for rank in 0..of {
                let range = slice_range(elements, rank, of);
                prop_assert_eq!(range.start, next);
                prop_assert!(range.len() == elements / of || range.len() == elements.div_ceil(of));
                next = range.end;
            }
            prop_assert_eq!(next, elements);
        }

        #[test]
        fn slices_joined_are_the_tensor(rows in 0usize..40, columns in 0usize..9, of in 1usize..12) {
            let content: Vec<u8> = (0..rows * columns * 4).map(|i| i as u8).collect();
            let tensor = TensorData::new("t", Dtype::F32, vec![rows, columns], content.clone()).unwrap();
            let joined: Vec<u8> = (0..of).flat_map(|rank| tensor.slice(rank, of).bytes.to_vec()).collect();
            prop_assert_eq!(joined, content);
        }
    }

    #[test]
    fn the_largest_tensor_is_sliced_without_overflow() {
        let range = slice_range(usize::MAX, 999, 1000);
        assert_eq!(range.end, usize::MAX);
    }

    #[test]
    fn bytes_must_match_the_shape() {
        assert!(TensorData::new("t", Dtype::F64, vec![], vec![0u8; 8]).is_ok());
        let error = TensorData::new("t", Dtype::F32, vec![2, 3], vec![0u8; 20]).unwrap_err();
        assert!(error.to_string().contains("`t`"), "{error}");
        assert!(TensorData::new("t", Dtype::F32, vec![usize::MAX, 2], vec![0u8; 20]).is_err());
    }
}
