//! job.yaml -> validated [`JobSpec`].

mod spec;
mod units;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

pub use spec::*;
pub use units::{ByteSize, Span};

/// One text or a list of them.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "its shape is read by schemars, its values by `one_or_many`")]
pub(crate) enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

pub(crate) fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(text) => vec![text],
        OneOrMany::Many(list) => list,
    })
}
