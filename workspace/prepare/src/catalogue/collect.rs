//! Catalogue rows of the items that exist, held until the items have their indices.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::Float32Type;
use twinspire_job::{CatalogueSpec, FeatureKind, ItemScope};

use super::values::{canonical, fault};
use crate::PrepareError;
use crate::clean::Ids;
use crate::dictionary::SharedDictionary;
use crate::source::{OpenFile, Sink};

/// Takes batches of the catalogue: id, then the features.
pub(crate) struct Collector {
    pub(crate) spec: CatalogueSpec,
    pub(crate) items: Arc<SharedDictionary>,
    /// By code: items with rows in the log.
    pub(crate) engaged: Vec<bool>,
    pub(crate) kept: Mutex<Kept>,
}

#[derive(Default)]
pub(crate) struct Kept {
    /// The features' columns, batch by batch.
    batches: Vec<Vec<ArrayRef>>,
    /// Item code, batch, row.
    rows: Vec<(u32, u32, u32)>,
    without_id: u64,
    /// The faulty value whose item comes first, so that the same one is named on every run.
    fault: Option<Fault>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    item: String,
    feature: String,
    why: String,
    file: String,
}

impl Fault {
    fn first(a: Option<Fault>, b: Option<Fault>) -> Option<Fault> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

impl Sink for Collector {
    fn take(&self, file: &OpenFile, batch: &RecordBatch, _: Option<&Int64Array>) -> Result<(), PrepareError> {
        let failed = |why: arrow::error::ArrowError| file.unreadable(why);
        let ids = Ids::new(batch.column(0)).map_err(failed)?;
        let mut buffer = itoa::Buffer::new();
        let (mut codes, mut indices, mut without_id) = (Vec::new(), Vec::new(), 0);
        for index in 0..batch.num_rows() {
            let Some(id) = ids.get(index, &mut buffer) else {
                without_id += 1;
                continue;
            };
            let code = match self.spec.items {
                ItemScope::All => Some(self.items.insert(id).0),
                ItemScope::Engaged => self.items.find(id).filter(|code| self.engaged[*code as usize]),
            };
            if let Some(code) = code {
                codes.push(code);
                indices.push(index as u32);
            }
        }
        let indices = UInt32Array::from(indices);
        let mut columns = Vec::new();
        let mut found = None;
        for (feature, column) in self.spec.features.iter().zip(&batch.columns()[1..]) {
            let column = take(column, &indices, None).and_then(|column| canonical(&feature.kind, &column));
            let column = column.map_err(failed)?;
            if let Some((row, why)) = first_fault(&feature.kind, &column) {
                let item = self.items.text(codes[row]);
                let fault = Fault { item, feature: feature.name.clone(), why, file: file.file.uri().into() };
                found = Fault::first(found, Some(fault));
            }
            columns.push(column);
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.without_id += without_id;
        kept.fault = Fault::first(kept.fault.take(), found);
        let number = kept.batches.len() as u32;
        kept.rows.extend(codes.into_iter().enumerate().map(|(row, code)| (code, number, row as u32)));
        kept.batches.push(columns);
        Ok(())
    }
}

fn first_fault(kind: &FeatureKind, column: &ArrayRef) -> Option<(usize, String)> {
    if !matches!(kind, FeatureKind::Vector { .. } | FeatureKind::Vectors { .. }) {
        return None;
    }
    let lists = column.as_list::<i32>();
    (0..lists.len()).filter(|row| lists.is_valid(*row) && lists.value_length(*row) > 0).find_map(|row| {
        let numbers = lists.value(row);
        fault(kind, numbers.as_primitive::<Float32Type>()).map(|why| (row, why))
    })
}

/// The catalogue's rows by item.
pub(crate) struct Catalogue {
    pub(crate) spec: CatalogueSpec,
    batches: Vec<Vec<ArrayRef>>,
    /// By code: batch and row.
    places: Vec<Option<(u32, u32)>>,
    /// Rows that said again what another had said.
    pub(crate) repeated: u64,
    /// Rows without an id.
    pub(crate) without_id: u64,
}

impl Catalogue {
    /// Puts together what was collected; an error for the first faulty value or contradiction.
    pub(crate) fn new(collector: Collector) -> Result<Catalogue, PrepareError> {
        let Collector { spec, items, kept, .. } = collector;
        let Kept { batches, mut rows, without_id, fault } =
            kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(Fault { item, feature, why, file }) = fault {
            return Err(PrepareError::BadFeature { file, item, feature, why });
        }
        rows.sort_unstable();
        let mut places = vec![None; items.codes()];
        let (mut repeated, mut contradictions) = (0, Vec::new());
        for same in rows.chunk_by(|a, b| a.0 == b.0) {
            let (code, batch, row) = same[0];
            places[code as usize] = Some((batch, row));
            for (_, other_batch, other_row) in &same[1..] {
                let differs = spec.features.iter().enumerate().find(|(index, _)| {
                    let one = batches[batch as usize][*index].slice(row as usize, 1);
                    let other = batches[*other_batch as usize][*index].slice(*other_row as usize, 1);
                    one.to_data() != other.to_data()
                });
                match differs {
                    Some((_, feature)) => contradictions.push((items.text(code), feature.name.clone())),
                    None => repeated += 1,
                }
            }
        }
        contradictions.sort_unstable();
        contradictions.dedup_by(|a, b| a.0 == b.0);
        match contradictions.first() {
            Some((item, feature)) => Err(PrepareError::ContradictoryItem {
                item: item.clone(),
                feature: feature.clone(),
                more: contradictions.len() as u64 - 1,
            }),
            None => Ok(Catalogue { spec, batches, places, repeated, without_id }),
        }
    }

    /// Whether there is a row for the item of this code.
    pub(crate) fn has(&self, code: u32) -> bool {
        self.place(code).is_some()
    }

    /// The feature's column and row for an item; `None` when the item has no row or no value.
    pub(super) fn value(&self, feature: usize, code: u32) -> Option<(&ArrayRef, usize)> {
        let (batch, row) = self.place(code)?;
        let column = &self.batches[batch as usize][feature];
        column.is_valid(row as usize).then_some((column, row as usize))
    }

    fn place(&self, code: u32) -> Option<(u32, u32)> {
        self.places.get(code as usize).copied().flatten()
    }
}
