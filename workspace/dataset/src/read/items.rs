//! The items, whole, in memory.

use arrow::datatypes::{ArrowNativeType, Float32Type, Int32Type, Int64Type};
use twinspire_job::FeatureKind;

use super::columns::{Columns, Lists};
use crate::error::DatasetError;
use crate::format::{FeatureInfo, ITEMS, items};

/// The items: entry i of every column is item index i.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemTable {
    /// Ids, as in the log.
    pub ids: Vec<String>,
    /// Rows in the training part.
    pub counts: Vec<i64>,
    /// Those of them with a positive action.
    pub positives: Vec<i64>,
    /// Features, as the manifest lists them.
    pub features: Vec<FeatureColumn>,
}

/// A feature of every item, as compressed sparse rows.
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureColumn {
    /// Text or categorical: item i has the tokens `ids[offsets[i]..offsets[i + 1]]`.
    Tokens {
        /// Name of the feature.
        name: String,
        /// Tokens there are; ids are below it.
        vocabulary: usize,
        /// `[items + 1]`.
        offsets: Vec<i64>,
        /// Token ids.
        ids: Vec<i32>,
    },
    /// Dense vectors: item i has the vectors `offsets[i]..offsets[i + 1]`, vector v being
    /// `values[v * dim..(v + 1) * dim]`. None when it is missing.
    Vectors {
        /// Name of the feature.
        name: String,
        /// Length of a vector.
        dim: usize,
        /// Vectors of an item at most.
        max: usize,
        /// `[items + 1]`, counted in vectors.
        offsets: Vec<i64>,
        /// All numbers.
        values: Vec<f32>,
    },
}

impl ItemTable {
    /// Number of items.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// A table without rows.
    pub(super) fn new(features: &[FeatureInfo]) -> ItemTable {
        ItemTable { features: features.iter().map(FeatureColumn::new).collect(), ..ItemTable::default() }
    }

    /// Appends rows of the items file.
    pub(super) fn append(&mut self, columns: &Columns<'_>) -> Result<(), DatasetError> {
        let before = self.len();
        self.ids.extend(columns.texts(items::ITEM_ID)?.iter().flatten().map(str::to_owned));
        self.counts.extend_from_slice(&columns.numbers::<Int64Type>(items::COUNT)?);
        self.positives.extend_from_slice(&columns.numbers::<Int64Type>(items::POSITIVES)?);
        self.features.iter_mut().try_for_each(|feature| feature.append(columns, before))
    }
}

impl FeatureColumn {
    /// Name of the feature.
    pub fn name(&self) -> &str {
        match self {
            FeatureColumn::Tokens { name, .. } | FeatureColumn::Vectors { name, .. } => name,
        }
    }

    fn new(info: &FeatureInfo) -> FeatureColumn {
        let name = info.name.clone();
        let vectors = |dim: u32, max: u32| FeatureColumn::Vectors {
            name: name.clone(),
            dim: dim as usize,
            max: max as usize,
            offsets: vec![0],
            values: Vec::new(),
        };
        match info.kind {
            FeatureKind::Vector { dim } => vectors(dim, 1),
            FeatureKind::Vectors { dim, max } => vectors(dim, max),
            FeatureKind::Text { .. } | FeatureKind::Categorical { .. } => FeatureColumn::Tokens {
                name,
                vocabulary: info.tokens as usize,
                offsets: vec![0],
                ids: Vec::new(),
            },
        }
    }

    fn append(&mut self, columns: &Columns<'_>, before: usize) -> Result<(), DatasetError> {
        let bad = |name: &str, row: usize, why: String| DatasetError::BadRow {
            file: ITEMS.into(),
            row: (before + row) as u64,
            why: format!("`{name}` {why}"),
        };
        match self {
            FeatureColumn::Tokens { name, vocabulary, offsets, ids } => {
                let lists = columns.nullable_lists::<Int32Type>(name)?;
                append_rows(&lists, offsets, ids, 1);
                let added = &ids[ids.len() - total(&lists)..];
                if let Some(token) = added.iter().find(|&&token| token < 0 || token as usize >= *vocabulary) {
                    return Err(bad(name, 0, format!("has token {token} here or later, of {vocabulary}")));
                }
            }
            FeatureColumn::Vectors { name, dim, max, offsets, values } => {
                let lists = columns.nullable_lists::<Float32Type>(name)?;
                for row in 0..lists.rows() {
                    let len = lists.row(row).len();
                    if !len.is_multiple_of(*dim) || len / *dim > *max {
                        return Err(bad(
                            name,
                            row,
                            format!("has {len} numbers: not up to {max} vectors of {dim}"),
                        ));
                    }
                }
                append_rows(&lists, offsets, values, *dim);
            }
        }
        Ok(())
    }
}

fn total<N: ArrowNativeType>(lists: &Lists<N>) -> usize {
    (0..lists.rows()).map(|row| lists.row(row).len()).sum()
}

/// Appends lists to compressed sparse rows, whose offsets count in units of `unit` values.
fn append_rows<N: ArrowNativeType>(
    lists: &Lists<N>,
    offsets: &mut Vec<i64>,
    values: &mut Vec<N>,
    unit: usize,
) {
    for row in 0..lists.rows() {
        values.extend_from_slice(lists.row(row));
        offsets.push((values.len() / unit) as i64);
    }
}
