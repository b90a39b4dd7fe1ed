//! The item catalogue: features to token ids and vectors.

mod collect;
mod features;
mod tokens;
mod values;

pub(crate) use collect::{Catalogue, Collector};
pub(crate) use features::write_items;

use twinspire_dataset::format::items;
use twinspire_job::{CatalogueSpec, FeatureKind};

use crate::PrepareError;
use crate::source::{OpenFile, ReadAs, Request, Wanted};

/// What to read of a catalogue: the id, then the features.
pub(crate) fn request(spec: &CatalogueSpec) -> Result<Request, PrepareError> {
    let mut columns =
        vec![Wanted { field: "catalogue.id".into(), column: spec.id.clone(), read: ReadAs::Text }];
    for (index, feature) in spec.features.iter().enumerate() {
        let bad = |why: &str| PrepareError::FeatureName { name: feature.name.clone(), why: why.into() };
        if [items::ITEM_ID, items::COUNT, items::POSITIVES].contains(&feature.name.as_str()) {
            return Err(bad(
                "the dataset has a column of that name; give the feature another name and set `column`",
            ));
        }
        if feature.name.is_empty() || feature.name.contains(['/', '\\', '\0']) {
            return Err(bad("it becomes part of a file name: leave out slashes and set `column` instead"));
        }
        if spec.features[..index].iter().any(|other| other.name.eq_ignore_ascii_case(&feature.name)) {
            return Err(bad("another feature has it"));
        }
        let read = match feature.kind {
            FeatureKind::Text { .. } | FeatureKind::Categorical { .. } => ReadAs::Text,
            FeatureKind::Vector { .. } | FeatureKind::Vectors { .. } => ReadAs::Numbers,
        };
        let field = format!("catalogue.features.{}", feature.name);
        columns.push(Wanted { field, column: feature.column().into(), read });
    }
    Ok(Request { columns, filter: None })
}

/// Refuses columns whose type cannot be the feature they are said to be.
pub(crate) fn check(spec: &CatalogueSpec, file: &OpenFile, request: &Request) -> Result<(), PrepareError> {
    for (index, feature) in spec.features.iter().enumerate() {
        let place = index + 1;
        let found = file.data_type(place);
        let Some((expected, remedy)) = values::misfit(&feature.kind, found) else { continue };
        return Err(PrepareError::WrongType {
            file: file.file.uri().into(),
            field: request.columns[place].field.clone(),
            column: request.columns[place].column.clone(),
            found: found.to_string(),
            expected,
            remedy: remedy.into(),
        });
    }
    Ok(())
}
