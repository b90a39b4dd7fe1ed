use tch::{Device, Kind, Tensor};
use twinspire_dataset::{FeatureColumn, ItemTable};

/// The catalogue's features, ready to be gathered for any set of items.
pub struct ItemFeatures {
    items: i64,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    data: Data,
}

enum Data {
    /// Ragged token ids by item.
    Tokens { vocabulary: i64, offsets: Vec<i64>, ids: Vec<i32> },
    /// `[items, max, dim]`, zero where absent, and `[items, max]` which are present.
    Vectors { values: Tensor, present: Tensor },
}

/// Features of the items of one lane.
pub struct ItemInputs {
    /// Item indices `[n]`.
    pub items: Tensor,
    /// By feature.
    pub features: Vec<FeatureInput>,
}

/// One feature of the items of one lane.
pub enum FeatureInput {
    /// Ragged tokens.
    Tokens {
        /// Token ids `[tokens]`.
        ids: Tensor,
        /// Where each item's begin `[n + 1]`.
        offsets: Tensor,
        /// Items that have any `[n, 1]`.
        present: Tensor,
    },
    /// Dense vectors.
    Vectors {
        /// `[n, max, dim]`.
        values: Tensor,
        /// `[n, max]`.
        present: Tensor,
    },
}

impl ItemFeatures {
    /// Takes the features named in `wanted` (all, when `None`) from the dataset's items.
    pub fn new(table: &ItemTable, wanted: Option<&[String]>, device: Device) -> Self {
        let columns = table
            .features
            .iter()
            .filter(|column| wanted.is_none_or(|names| names.iter().any(|name| name == column.name())))
            .map(|column| Column { name: column.name().to_string(), data: Data::new(column, device) })
            .collect();
        ItemFeatures { items: table.ids.len() as i64, columns }
    }

    /// Number of items.
    pub fn items(&self) -> i64 {
        self.items
    }

    /// Name and kind of each feature, in order.
    pub fn kinds(&self) -> Vec<(&str, FeatureWidth)> {
        self.columns
            .iter()
            .map(|column| {
                let width = match &column.data {
                    Data::Tokens { vocabulary, .. } => FeatureWidth::Tokens { vocabulary: *vocabulary },
                    Data::Vectors { values, .. } => {
                        FeatureWidth::Vectors { max: values.size()[1], dim: values.size()[2] }
                    }
                };
                (column.name.as_str(), width)
            })
            .collect()
    }

    /// The first vector feature, `[items, dim]`, for `item_vector: frozen`.
    pub fn first_vector(&self) -> Option<Tensor> {
        self.columns.iter().find_map(|column| match &column.data {
            Data::Vectors { values, .. } if values.size()[1] == 1 => Some(values.squeeze_dim(1)),
            _ => None,
        })
    }

    /// Features of items `[n]`.
    pub fn gather(&self, items: &Tensor) -> ItemInputs {
        let on_host: Vec<i64> = if self.columns.iter().any(|c| matches!(c.data, Data::Tokens { .. })) {
            host(items)
        } else {
            Vec::new()
        };
        let features = self.columns.iter().map(|column| column.data.gather(items, &on_host)).collect();
        ItemInputs { items: items.shallow_clone(), features }
    }
}

impl FeatureInput {
    /// Ragged tokens `[tokens]` whose items begin at `offsets` `[n + 1]`.
    pub(crate) fn tokens(ids: Tensor, offsets: Tensor) -> Self {
        let present = offsets.slice(0, 1, None, 1).gt_tensor(&offsets.slice(0, None, -1, 1)).unsqueeze(1);
        FeatureInput::Tokens { ids, offsets, present }
    }
}

/// Size of one feature.
#[derive(Clone, Copy, Debug)]
pub enum FeatureWidth {
    /// Tokens of a vocabulary.
    Tokens {
        /// Its size.
        vocabulary: i64,
    },
    /// Dense vectors.
    Vectors {
        /// At most so many an item.
        max: i64,
        /// Length of each.
        dim: i64,
    },
}

impl Data {
    fn new(column: &FeatureColumn, device: Device) -> Self {
        match column {
            FeatureColumn::Tokens { vocabulary, offsets, ids, .. } => {
                Data::Tokens { vocabulary: *vocabulary as i64, offsets: offsets.clone(), ids: ids.clone() }
            }
            FeatureColumn::Vectors { dim, max, offsets, values, .. } => {
                let (dim, max, items) = (*dim, (*max).max(1), offsets.len() - 1);
                let mut grid = vec![0f32; items * max * dim];
                let mut present = vec![false; items * max];
                for item in 0..items {
                    let (from, to) = (offsets[item] as usize, offsets[item + 1] as usize);
                    let count = (to - from).min(max);
                    grid[item * max * dim..][..count * dim]
                        .copy_from_slice(&values[from * dim..][..count * dim]);
                    present[item * max..][..count].fill(true);
                }
                let shape = [items as i64, max as i64];
                Data::Vectors {
                    values: Tensor::from_slice(&grid)
                        .view([shape[0], shape[1], dim as i64])
                        .to_device(device),
                    present: Tensor::from_slice(&present).view(shape).to_device(device),
                }
            }
        }
    }

    fn gather(&self, items: &Tensor, on_host: &[i64]) -> FeatureInput {
        match self {
            Data::Vectors { values, present } => FeatureInput::Vectors {
                values: values.index_select(0, items),
                present: present.index_select(0, items),
            },
            Data::Tokens { offsets, ids, .. } => {
                let mut gathered = Vec::new();
                let mut bounds = Vec::with_capacity(on_host.len() + 1);
                bounds.push(0i64);
                for &item in on_host {
                    let (from, to) = (offsets[item as usize] as usize, offsets[item as usize + 1] as usize);
                    gathered.extend(ids[from..to].iter().map(|&id| i64::from(id)));
                    bounds.push(gathered.len() as i64);
                }
                let device = items.device();
                let offsets = Tensor::from_slice(&bounds).to_device(device);
                FeatureInput::tokens(Tensor::from_slice(&gathered).to_device(device), offsets)
            }
        }
    }
}

/// A tensor of ids as a vector on the host.
pub(crate) fn host(ids: &Tensor) -> Vec<i64> {
    let mut out = vec![0i64; ids.numel()];
    ids.to_device(Device::Cpu).to_kind(Kind::Int64).contiguous().copy_data(&mut out, ids.numel());
    out
}
