//! A job file for what was generated.

use std::path::Path;

use crate::output;
use crate::user::ACTIONS;

/// A job file that trains on the log and catalogue in `out`: text, categories and vectors in the
/// item tower, leave-one-out.
pub fn job_yaml(out: &Path) -> String {
    let dir = out.display();
    let dim = output::spec_of(out).unwrap_or_default().vector_dim;
    let actions: String =
        ACTIONS.iter().map(|(name, positive)| format!("    {name}: {{positive: {positive}}}\n")).collect();
    format!(
        "\
# Written by `generate` for the log beside it.
name: generated
log:
  uri: \"{dir}/events-*.parquet\"
  columns: {{user: user_id, item: item_id, action: action, timestamp: timestamp, surface: surface, duration: duration}}
  actions:
{actions}catalogue:
  uri: \"{dir}/items.parquet\"
  id: item_id
  features:
    - {{name: title, type: text}}
    - {{name: categories, type: categorical}}
    - {{name: image_vectors, type: vectors, dim: {dim}, max: 3}}
split: {{kind: leave_one_out}}
"
    )
}
