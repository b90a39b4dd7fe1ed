//! Arrow schemas of the Parquet files.
//!
//! Writers produce exactly these. Readers find columns by name and check their types, but do not
//! mind nullability or what the fields inside lists are called, so that other engines (Spark,
//! DuckDB, …) can write datasets too.

use arrow::datatypes::{DataType, Field, Fields, Schema};
use twinspire_job::FeatureKind;

use super::manifest::{FeatureInfo, Manifest};
use super::names::{items, timelines, vocabulary};

/// Schema of the timelines files. Columns that the log has nothing for are absent.
pub fn timelines_schema(manifest: &Manifest) -> Schema {
    timelines_schema_of(manifest.has_time, manifest.has_surfaces(), manifest.has_durations)
}

/// [`timelines_schema`], for a writer that has no manifest yet.
pub fn timelines_schema_of(has_time: bool, has_surfaces: bool, has_durations: bool) -> Schema {
    let mut fields = vec![
        Field::new(timelines::USER_ID, DataType::Utf8, false),
        list(timelines::ITEMS, DataType::Int32, false),
        list(timelines::ACTIONS, DataType::UInt8, false),
    ];
    if has_time {
        fields.push(list(timelines::TIMESTAMPS, DataType::Int64, false));
    }
    if has_surfaces {
        fields.push(list(timelines::SURFACES, DataType::UInt8, false));
    }
    if has_durations {
        fields.push(list(timelines::DURATIONS, DataType::Float32, false));
    }
    fields.push(Field::new(timelines::TRAIN_END, DataType::Int32, false));
    fields.push(Field::new(timelines::VALIDATION_END, DataType::Int32, false));
    Schema::new(Fields::from(fields))
}

/// Schema of the items file: id, counts, then one column a feature.
pub fn items_schema(features: &[FeatureInfo]) -> Schema {
    let mut fields = vec![
        Field::new(items::ITEM_ID, DataType::Utf8, false),
        Field::new(items::COUNT, DataType::Int64, false),
        Field::new(items::POSITIVES, DataType::Int64, false),
    ];
    fields.extend(features.iter().map(|feature| list(&feature.name, feature_element(&feature.kind), true)));
    Schema::new(Fields::from(fields))
}

/// Schema of a vocabulary file.
pub fn vocabulary_schema() -> Schema {
    Schema::new(vec![
        Field::new(vocabulary::TOKEN, DataType::Utf8, false),
        Field::new(vocabulary::ID, DataType::Int32, false),
        Field::new(vocabulary::COUNT, DataType::Int64, false),
    ])
}

/// What the lists of a feature's column hold: token ids or numbers.
pub fn feature_element(kind: &FeatureKind) -> DataType {
    match kind {
        FeatureKind::Text { .. } | FeatureKind::Categorical { .. } => DataType::Int32,
        FeatureKind::Vector { .. } | FeatureKind::Vectors { .. } => DataType::Float32,
    }
}

fn list(name: &str, element: DataType, nullable: bool) -> Field {
    Field::new_list(name, Field::new_list_field(element, false), nullable)
}
