use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::log::LogFormat;

/// The item catalogue: one row an item with its features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CatalogueSpec {
    /// File, directory, glob or `s3://…`; one or a list.
    #[serde(deserialize_with = "crate::lists::one_or_many")]
    #[schemars(with = "crate::lists::OneOrMany")]
    pub uri: Vec<String>,
    /// `auto` goes by the file name.
    #[serde(default)]
    pub format: LogFormat,
    /// Column of the item's id, as in the log.
    #[serde(default = "item_id")]
    pub id: String,
    /// Which items exist for training, evaluation and export: those engaged with in the log, or
    /// every item of the catalogue too.
    #[serde(default)]
    pub items: ItemScope,
    /// The features the item tower reads. Columns not named here are not read.
    #[serde(default)]
    pub features: Vec<FeatureSpec>,
}

/// Which items exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemScope {
    /// Items with at least one row in the log (after its filter).
    #[default]
    Engaged,
    /// Those, and every other item of the catalogue.
    All,
}

/// One feature of an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "FeatureForm", into = "FeatureForm")]
pub struct FeatureSpec {
    /// Name of the feature.
    pub name: String,
    /// Its column in the catalogue; the name, when not given.
    pub column: Option<String>,
    /// What it is.
    pub kind: FeatureKind,
}

impl FeatureSpec {
    /// The catalogue column this feature is read from.
    pub fn column(&self) -> &str {
        self.column.as_deref().unwrap_or(&self.name)
    }
}

/// A [`FeatureSpec`] as it is written: name, column and the kind's own fields side by side.
///
/// `#[serde(flatten)]` would do for reading, but refuses to go with `deny_unknown_fields`; this
/// form denies them and gives the schema one closed section a kind.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "Feature")]
enum FeatureForm {
    /// Text, as hashed word and character n-grams (ItemSage, arXiv 2205.11728).
    Text {
        /// Name of the feature: letters, digits, `_`, `-` and `.`.
        name: String,
        /// Its column in the catalogue; null = the name.
        #[serde(default)]
        column: Option<String>,
        /// Vocabulary sizes by token kind, kept by frequency.
        #[serde(default)]
        tokens: TokenSpec,
    },
    /// One value or a list of values from a vocabulary kept by frequency.
    Categorical {
        /// Name of the feature: letters, digits, `_`, `-` and `.`.
        name: String,
        /// Its column in the catalogue; null = the name.
        #[serde(default)]
        column: Option<String>,
        /// Most frequent values kept; the rest are dropped.
        #[serde(default = "vocabulary")]
        #[schemars(range(min = 1))]
        vocabulary: u32,
    },
    /// One dense vector.
    Vector {
        /// Name of the feature: letters, digits, `_`, `-` and `.`.
        name: String,
        /// Its column in the catalogue; null = the name.
        #[serde(default)]
        column: Option<String>,
        /// Its length.
        #[schemars(range(min = 1))]
        dim: u32,
    },
    /// A list of dense vectors, e.g. one an image.
    Vectors {
        /// Name of the feature: letters, digits, `_`, `-` and `.`.
        name: String,
        /// Its column in the catalogue; null = the name.
        #[serde(default)]
        column: Option<String>,
        /// Length of each.
        #[schemars(range(min = 1))]
        dim: u32,
        /// At most this many are read; the rest are dropped.
        #[serde(default = "max_vectors")]
        #[schemars(range(min = 1))]
        max: u32,
    },
}

impl From<FeatureForm> for FeatureSpec {
    fn from(form: FeatureForm) -> Self {
        let (name, column, kind) = match form {
            FeatureForm::Text { name, column, tokens } => (name, column, FeatureKind::Text { tokens }),
            FeatureForm::Categorical { name, column, vocabulary } => {
                (name, column, FeatureKind::Categorical { vocabulary })
            }
            FeatureForm::Vector { name, column, dim } => (name, column, FeatureKind::Vector { dim }),
            FeatureForm::Vectors { name, column, dim, max } => {
                (name, column, FeatureKind::Vectors { dim, max })
            }
        };
        FeatureSpec { name, column, kind }
    }
}

impl From<FeatureSpec> for FeatureForm {
    fn from(FeatureSpec { name, column, kind }: FeatureSpec) -> Self {
        match kind {
            FeatureKind::Text { tokens } => FeatureForm::Text { name, column, tokens },
            FeatureKind::Categorical { vocabulary } => FeatureForm::Categorical { name, column, vocabulary },
            FeatureKind::Vector { dim } => FeatureForm::Vector { name, column, dim },
            FeatureKind::Vectors { dim, max } => FeatureForm::Vectors { name, column, dim, max },
        }
    }
}

/// Kinds of features. A missing value is a null (or an empty list) and is masked out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FeatureKind {
    /// Text, as hashed word and character n-grams (ItemSage, arXiv 2205.11728).
    Text {
        /// Vocabulary sizes by token kind, kept by frequency.
        #[serde(default)]
        tokens: TokenSpec,
    },
    /// One value or a list of values from a vocabulary kept by frequency.
    Categorical {
        /// Most frequent values kept; the rest are dropped.
        #[serde(default = "vocabulary")]
        vocabulary: u32,
    },
    /// One dense vector.
    Vector {
        /// Its length.
        dim: u32,
    },
    /// A list of dense vectors, e.g. one an image.
    Vectors {
        /// Length of each.
        dim: u32,
        /// At most this many are read; the rest are dropped.
        #[serde(default = "max_vectors")]
        max: u32,
    },
}

/// Vocabulary sizes of a text feature; 0 switches a token kind off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSpec {
    /// Word unigrams.
    pub unigrams: u32,
    /// Word bigrams.
    pub bigrams: u32,
    /// Character trigrams.
    pub trigrams: u32,
}

impl Default for TokenSpec {
    fn default() -> Self {
        TokenSpec { unigrams: 200_000, bigrams: 1_000_000, trigrams: 64_000 }
    }
}

fn item_id() -> String {
    "item_id".into()
}

fn vocabulary() -> u32 {
    100_000
}

fn max_vectors() -> u32 {
    20
}
