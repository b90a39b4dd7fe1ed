//! One rank's part of a checkpoint as a safetensors file.

use std::collections::HashMap;

use bytes::Bytes;
use safetensors::SafeTensors;
use safetensors::tensor::{Metadata, TensorInfo as Extent};
use serde::{Deserialize, Serialize};
use twinspire_storage::PutPayload;

use crate::tensor::{TensorInfo, TensorSlice, slice_range};

/// A written part, as the manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartInfo {
    /// File name, within the checkpoint's directory.
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// CRC-32 (IEEE) of the file.
    pub crc32: u32,
}

/// The file of rank `rank` of `of`: a header and the slices as they are, not copied.
///
/// Within it tensors are flat; their shapes are in the manifest. They are ordered by element size,
/// largest first, so that a reader that maps the file finds every element aligned.
pub(crate) fn encode(slices: &[TensorSlice], rank: usize, of: usize) -> Result<PutPayload, String> {
    let mut slices: Vec<&TensorSlice> = slices.iter().collect();
    slices.sort_by_key(|slice| std::cmp::Reverse(slice.info.dtype.size()));

    let mut extents: HashMap<&str, ()> = HashMap::new();
    let mut tensors = Vec::with_capacity(slices.len());
    let mut offset = 0;
    for slice in &slices {
        let name = slice.info.name.as_str();
        if extents.insert(name, ()).is_some() {
            return Err(format!("two tensors are called `{name}`"));
        }
        let elements =
            slice.info.elements().ok_or_else(|| format!("tensor `{name}` has no possible size"))?;
        let expected = slice_range(elements, rank, of).len();
        let given = slice.bytes.len();
        if given != expected * slice.info.dtype.size() {
            return Err(format!(
                "rank {rank} of {of} has {expected} elements of `{name}`, not {given} bytes"
            ));
        }
        let extent = Extent {
            dtype: slice.info.dtype.into(),
            shape: vec![expected],
            data_offsets: (offset, offset + given),
        };
        offset += given;
        tensors.push((name.to_owned(), extent));
    }
    let origin = HashMap::from([("rank".to_owned(), rank.to_string()), ("of".to_owned(), of.to_string())]);
    let metadata = Metadata::new(Some(origin), tensors).map_err(|error| error.to_string())?;
    let mut header = serde_json::to_vec(&metadata).map_err(|error| error.to_string())?;
    header.resize(header.len().next_multiple_of(8), b' ');

    let length = Bytes::copy_from_slice(&(header.len() as u64).to_le_bytes());
    let content = slices.iter().map(|slice| slice.bytes.clone());
    Ok([length, Bytes::from(header)].into_iter().chain(content).collect())
}

/// Size and checksum of a file about to be written.
pub(crate) fn describe(file: String, content: &PutPayload) -> PartInfo {
    let mut crc = crc32fast::Hasher::new();
    content.iter().for_each(|chunk| crc.update(chunk));
    PartInfo { file, size: content.content_length() as u64, crc32: crc.finalize() }
}

/// Rank `rank`'s elements of `tensors`, in that order, out of its file; nothing is copied.
/// `Err` says what is wrong with the file.
pub(crate) fn decode(
    part: &PartInfo,
    content: &Bytes,
    tensors: &[TensorInfo],
    rank: usize,
    of: usize,
) -> Result<Vec<Bytes>, String> {
    let file = &part.file;
    if content.len() as u64 != part.size {
        return Err(format!("{file} has {} bytes, not {}", content.len(), part.size));
    }
    if crc32fast::hash(content) != part.crc32 {
        return Err(format!("the checksum of {file} is not the manifest's"));
    }
    let (header, metadata) =
        SafeTensors::read_metadata(content).map_err(|error| format!("{file}: {error}"))?;
    let base = size_of::<u64>() + header;
    let mut slices = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let name = &tensor.name;
        let extent = metadata.info(name).ok_or_else(|| format!("{file} lacks tensor `{name}`"))?;
        let elements = tensor.elements().ok_or_else(|| format!("tensor `{name}` has no possible size"))?;
        let expected = slice_range(elements, rank, of).len();
        if extent.dtype != tensor.dtype.into() || extent.shape != [expected] {
            return Err(format!("{file} has another `{name}` than the manifest says"));
        }
        let (start, end) = extent.data_offsets;
        slices.push(content.slice(base + start..base + end));
    }
    Ok(slices)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::tensor::{Dtype, TensorData};

    fn tensors() -> Vec<TensorData> {
        let bytes = |n: usize| (0..n).map(|i| i as u8).collect::<Vec<u8>>();
        vec![
            TensorData::new("flag", Dtype::U8, vec![3], bytes(3)).unwrap(),
            TensorData::new("weights", Dtype::F32, vec![2, 5], bytes(40)).unwrap(),
            TensorData::new("step", Dtype::I64, vec![], bytes(8)).unwrap(),
            TensorData::new("none", Dtype::F32, vec![0, 4], bytes(0)).unwrap(),
        ]
    }

    #[test]
    fn a_part_is_a_safetensors_file_with_aligned_tensors() {
        let slices: Vec<TensorSlice> = tensors().iter().map(|tensor| tensor.slice(0, 1)).collect();
        let file = Bytes::from(encode(&slices, 0, 1).unwrap());
        let read = SafeTensors::deserialize(&file).unwrap();
        assert_eq!(read.len(), 4);
        for tensor in tensors() {
            let view = read.tensor(&tensor.info.name).unwrap();
            assert_eq!(view.data(), &tensor.bytes[..]);
            let offset = view.data().as_ptr() as usize - file.as_ptr() as usize;
            assert_eq!(offset % tensor.info.dtype.size(), 0);
        }
    }

    #[test]
    fn slices_that_are_not_the_ranks_are_refused() {
        let slice = tensors()[1].slice(0, 3);
        assert!(encode(std::slice::from_ref(&slice), 0, 3).is_ok());
        assert!(encode(std::slice::from_ref(&slice), 2, 3).unwrap_err().contains("`weights`"));
        assert!(encode(&[slice.clone(), slice], 0, 3).unwrap_err().contains("two tensors"));
    }

    #[test]
    fn a_part_with_other_tensors_than_the_manifests_is_refused() {
        let slices: Vec<TensorSlice> = tensors().iter().map(|tensor| tensor.slice(1, 2)).collect();
        let content = encode(&slices, 1, 2).unwrap();
        let part = describe("part".into(), &content);
        let content = Bytes::from(content);
        let mut infos: Vec<TensorInfo> = tensors().into_iter().map(|tensor| tensor.info).collect();
        assert_eq!(decode(&part, &content, &infos, 1, 2).unwrap()[1].len(), 20);
        infos[1].shape = vec![2, 6];
        assert!(decode(&part, &content, &infos, 1, 2).unwrap_err().contains("another `weights`"));
        infos[1].name = "bias".into();
        assert!(decode(&part, &content, &infos, 1, 2).unwrap_err().contains("lacks tensor `bias`"));
    }
}
