//! The item catalogue and its features.

use super::{Findings, uri};
use crate::code::Code;
use crate::spec::{CatalogueSpec, FeatureKind, TokenSpec};

/// Columns the dataset's item table has of its own.
const RESERVED: [&str; 3] = ["item_id", "count", "positives"];

pub(super) fn check(catalogue: &CatalogueSpec, found: &mut Findings) {
    uri::check_all(&catalogue.uri, "catalogue.uri", found);
    if catalogue.id.is_empty() {
        found.add(Code::Form, "catalogue.id", "the column's name is empty", "name the id's column");
    }
    for (index, feature) in catalogue.features.iter().enumerate() {
        let path = format!("catalogue.features[{index}]");
        name(&feature.name, &format!("{path}.name"), found);
        if catalogue.features[..index].iter().any(|other| other.name == feature.name) {
            let what = format!("`{}` is the name of an earlier feature", feature.name);
            let remedy = "give it another name (two features may read the same `column`)";
            found.add(Code::Duplicate, format!("{path}.name"), what, remedy);
        }
        if feature.column.as_deref() == Some("") {
            found.add(Code::Form, format!("{path}.column"), "the column's name is empty", "leave it out");
        }
        if let FeatureKind::Text { tokens: TokenSpec { unigrams: 0, bigrams: 0, trigrams: 0 } } = feature.kind
        {
            let remedy = "give at least one of unigrams, bigrams and trigrams a vocabulary";
            found.add(Code::Combination, format!("{path}.tokens"), "every kind of token is off", remedy);
        }
    }
}

/// A feature's name becomes a column of the item table and part of a file's name.
fn name(name: &str, path: &str, found: &mut Findings) {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(legal) {
        let what = format!("`{}` is not a feature's name", name.escape_debug());
        let remedy = "use letters, digits, `_`, `-` and `.`, and `column` for the name in the catalogue";
        found.add(Code::Form, path, what, remedy);
    } else if RESERVED.contains(&name) {
        let remedy = format!("write `name: {name}_feature, column: {name}`");
        found
            .add(Code::Duplicate, path, format!("`{name}` is taken"), remedy)
            .because("the dataset's item table has a column of that name");
    }
}
