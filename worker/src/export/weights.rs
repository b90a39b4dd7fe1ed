//! Every parameter by name, as safetensors.

use safetensors::{Dtype, tensor::TensorView};
use tch::{Device, Kind, Tensor};
use twinspire_storage::Location;
use twinspire_towers::{Model, TowersError};

use crate::task::TaskError;

/// Writes all dense parameters and tables, f32, under the names they have in the model.
pub(super) async fn write(place: &Location, name: &str, model: &Model) -> Result<(), TaskError> {
    let dense = model.dense.leaves.iter().map(|leaf| (leaf.name.as_str(), &leaf.tensor));
    let tables = model.tables.iter().map(|table| (table.name.as_str(), &table.weight));
    let bytes = encode(dense.chain(tables))?;
    Ok(place.put(name, bytes).await?)
}

fn encode<'a>(parameters: impl Iterator<Item = (&'a str, &'a Tensor)>) -> Result<Vec<u8>, TaskError> {
    let mut contents: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, tensor) in parameters {
        let tensor = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
        let mut bytes = vec![0u8; tensor.numel() * size_of::<f32>()];
        tensor.f_copy_data_u8(&mut bytes, tensor.numel()).map_err(TowersError::from)?;
        contents.push((name.to_owned(), tensor.size().iter().map(|&size| size as usize).collect(), bytes));
    }
    let cannot =
        |why: safetensors::SafeTensorError| TaskError::panic(format!("weights cannot be written: {why}"));
    let views = contents
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(cannot)?))
        })
        .collect::<Result<Vec<_>, TaskError>>()?;
    safetensors::serialize(views, None).map_err(cannot)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn parameters_keep_their_names_shapes_and_values() {
        let weight = Tensor::from_slice(&[1f32, 2., 3., 4., 5., 6.]).view([3, 2]);
        let bytes = encode([("item.weight", &weight)].into_iter()).unwrap();
        let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let view = read.tensor("item.weight").unwrap();
        assert_eq!(view.shape(), [3, 2]);
        assert_eq!(view.data()[..4], 1f32.to_le_bytes());
    }
}
