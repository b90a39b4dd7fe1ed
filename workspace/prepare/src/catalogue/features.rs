//! Items with their features -> `items.parquet`, `vocabulary-*.parquet`.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Float32Builder, Int32Array, Int32Builder, Int64Array, ListBuilder, RecordBatch,
    StringArray,
};
use arrow::datatypes::{Field, Float32Type, SchemaRef};
use parquet::arrow::ArrowWriter;
use twinspire_dataset::format::{
    FeatureInfo, FileInfo, ITEMS, feature_element, items_schema, vocabulary_file, vocabulary_schema,
};
use twinspire_job::FeatureKind;

use super::collect::Catalogue;
use super::tokens::{Kind, Token, text_tokens};
use crate::PrepareError;
use crate::items::Items;
use crate::write::{CheckedFile, parquet_properties};

/// Items of a row group.
const GROUP: usize = 16_384;

/// A feature ready to be written.
enum Column {
    /// Token ids by item; `None`: missing.
    Tokens(Vec<Option<Vec<i32>>>),
    /// Read from the catalogue as it is written: so many numbers at most.
    Numbers { most: usize },
}

/// Writes the items and the vocabularies; the features and the files.
pub(crate) fn write_items(
    dir: &Path,
    items: &Items,
    catalogue: Option<&Catalogue>,
) -> Result<(Vec<FeatureInfo>, Vec<FileInfo>), PrepareError> {
    let (mut infos, mut files, mut columns) = (Vec::new(), Vec::new(), Vec::new());
    let features = catalogue.map(|catalogue| catalogue.spec.features.as_slice()).unwrap_or_default();
    for (index, feature) in features.iter().enumerate() {
        let Some(catalogue) = catalogue else { break };
        let (column, vocabulary) = match &feature.kind {
            FeatureKind::Vector { dim } => (Column::Numbers { most: *dim as usize }, None),
            FeatureKind::Vectors { dim, max } => {
                (Column::Numbers { most: *dim as usize * *max as usize }, None)
            }
            kind => {
                let (ids, vocabulary) = tokens(kind, catalogue, index, &items.codes);
                (Column::Tokens(ids), Some(vocabulary))
            }
        };
        let tokens = vocabulary.as_ref().map_or(0, Vec::len) as u64;
        infos.push(FeatureInfo { name: feature.name.clone(), kind: feature.kind.clone(), tokens });
        if let Some(vocabulary) = vocabulary {
            files.push(write_vocabulary(dir, &feature.name, vocabulary)?);
        }
        columns.push(column);
    }
    let schema: SchemaRef = Arc::new(items_schema(&infos));
    let groups = (0..items.codes.len()).step_by(GROUP).map(|start| {
        let rows = start..(start + GROUP).min(items.codes.len());
        let codes = &items.codes[rows.clone()];
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(&items.ids[rows.clone()])),
            Arc::new(Int64Array::from_iter_values(codes.iter().map(|code| items.count(*code)))),
            Arc::new(Int64Array::from_iter_values(codes.iter().map(|code| items.positives(*code)))),
        ];
        for (index, column) in columns.iter().enumerate() {
            let element = Field::new_list_field(feature_element(&infos[index].kind), false);
            arrays.push(match (column, catalogue) {
                (Column::Tokens(ids), _) => token_lists(&ids[rows.clone()], element),
                (Column::Numbers { most }, Some(catalogue)) => {
                    number_lists(catalogue, index, codes, *most, element)
                }
                (Column::Numbers { .. }, None) => continue,
            });
        }
        RecordBatch::try_new(Arc::clone(&schema), arrays)
    });
    files.push(write_parquet(dir, ITEMS, &schema, groups)?);
    Ok((infos, files))
}

/// Token ids of every item, and the vocabulary.
fn tokens(
    kind: &FeatureKind,
    catalogue: &Catalogue,
    feature: usize,
    codes: &[u32],
) -> (Vec<Option<Vec<i32>>>, Vec<Token>) {
    let sizes = match kind {
        FeatureKind::Text { tokens } => [tokens.unigrams, tokens.bigrams, tokens.trigrams],
        FeatureKind::Categorical { vocabulary } => [*vocabulary, 0, 0],
        FeatureKind::Vector { .. } | FeatureKind::Vectors { .. } => [0; 3],
    };
    let mut kinds = [Kind::default(), Kind::default(), Kind::default()];
    let mut present = Vec::with_capacity(codes.len());
    for code in codes {
        let value = catalogue.value(feature, *code);
        present.push(value.is_some());
        let lists = match (value, kind) {
            (Some((column, row)), FeatureKind::Text { tokens }) => {
                text_tokens(column.as_string::<i32>().value(row), *tokens)
            }
            (Some((column, row)), _) => {
                let values = column.as_list::<i32>().value(row);
                let values = values.as_string::<i32>().iter().flatten().filter(|value| !value.is_empty());
                [values.map(str::to_owned).collect(), Vec::new(), Vec::new()]
            }
            (None, _) => [Vec::new(), Vec::new(), Vec::new()],
        };
        kinds.iter_mut().zip(lists).for_each(|(kind, tokens)| kind.item(tokens));
    }
    let mut vocabulary = Vec::new();
    let mut ids: Vec<Option<Vec<i32>>> = present.into_iter().map(|present| present.then(Vec::new)).collect();
    for (kind, size) in kinds.into_iter().zip(sizes) {
        let (tokens, items) = kind.finish(size, vocabulary.len());
        vocabulary.extend(tokens);
        for (all, more) in ids.iter_mut().zip(items) {
            if let Some(all) = all {
                all.extend(more);
            }
        }
    }
    (ids, vocabulary)
}

fn token_lists(ids: &[Option<Vec<i32>>], element: Field) -> ArrayRef {
    let mut lists = ListBuilder::new(Int32Builder::new()).with_field(element);
    for ids in ids {
        if let Some(ids) = ids {
            lists.values().append_slice(ids);
        }
        lists.append(ids.is_some());
    }
    Arc::new(lists.finish())
}

fn number_lists(
    catalogue: &Catalogue,
    feature: usize,
    codes: &[u32],
    most: usize,
    element: Field,
) -> ArrayRef {
    let mut lists = ListBuilder::new(Float32Builder::new()).with_field(element);
    for code in codes {
        let value = catalogue.value(feature, *code);
        if let Some((column, row)) = value {
            let numbers = column.as_list::<i32>().value(row);
            let numbers = numbers.as_primitive::<Float32Type>();
            lists.values().append_slice(&numbers.values()[..numbers.len().min(most)]);
        }
        lists.append(value.is_some());
    }
    Arc::new(lists.finish())
}

fn write_vocabulary(dir: &Path, feature: &str, vocabulary: Vec<Token>) -> Result<FileInfo, PrepareError> {
    let schema: SchemaRef = Arc::new(vocabulary_schema());
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        vec![
            Arc::new(StringArray::from_iter_values(vocabulary.iter().map(|token| &token.text))),
            Arc::new(Int32Array::from_iter_values(0..vocabulary.len() as i32)),
            Arc::new(Int64Array::from_iter_values(vocabulary.iter().map(|token| token.count as i64))),
        ],
    );
    write_parquet(dir, &vocabulary_file(feature), &schema, [batch])
}

fn write_parquet(
    dir: &Path,
    name: &str,
    schema: &SchemaRef,
    groups: impl IntoIterator<Item = Result<RecordBatch, arrow::error::ArrowError>>,
) -> Result<FileInfo, PrepareError> {
    let file = CheckedFile::create(dir, name)?;
    let failed = |why: parquet::errors::ParquetError| PrepareError::local(dir.join(name), why);
    let properties = parquet_properties().set_max_row_group_row_count(Some(GROUP)).build();
    let mut writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties)).map_err(failed)?;
    for group in groups {
        writer.write(&group.map_err(|why| failed(why.into()))?).map_err(failed)?;
    }
    writer.into_inner().map_err(failed)?.finish()
}
