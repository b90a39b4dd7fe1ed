//! The JSON Schema of a job file, for editors.

use schemars::schema_for;
use serde_json::Value;

use crate::spec::JobSpec;

/// JSON Schema (2020-12) of job files, generated from [`JobSpec`]. A quantity with a unit carries
/// `x-quantity: bytes | time`.
///
/// An editor with a YAML language server checks a job file against it when its first line is
/// `# yaml-language-server: $schema=job.schema.json`.
pub fn schema() -> Value {
    let mut schema = schema_for!(JobSpec);
    schema.insert("title".into(), "Twinspire job".into());
    schema.to_value()
}
