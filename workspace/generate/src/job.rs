//! A job file for what was generated.

use std::path::Path;

use crate::output;
use crate::user::ACTIONS;

/// A job file that trains on the log and catalogue in `out`: text, categories and vectors in the
/// item tower, leave-one-out. It is called as `out` is, and its towers are of a size that processor
/// cores can train.
pub fn job_yaml(out: &Path) -> String {
    let dir = out.display();
    let name = name_of(out);
    let dim = output::spec_of(out).unwrap_or_default().vector_dim;
    let actions: String =
        ACTIONS.iter().map(|(name, positive)| format!("    {name}: {{positive: {positive}}}\n")).collect();
    format!(
        "\
# Written by `generate` for the log beside it.
name: {name}
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
towers:
  dim: 64
  item: {{encoder: transformer, id_embedding: table, d_model: 64, layers: 1, heads: 2, ffn: 256}}
  user: {{max_actions: 50, dense_positions: 16, action_dim: 16, d_model: 64, layers: 2, heads: 2}}
loss: {{negatives: {{mode: mixed_concat, random: 1024}}}}
train: {{global_batch: 128, epochs: 6, optimizer: {{lr: 0.005}}, warmup_steps: 20}}
"
    )
}

/// The last part of a directory's path, as a job may be called; `generated` when nothing is left.
fn name_of(out: &Path) -> String {
    let last = out.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let dashed: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name: String = dashed.trim_matches('-').chars().take(63).collect();
    if name.is_empty() { "generated".into() } else { name }
}
