//! The reference page, `docs/job-file.md`, generated from the shape.

use std::fmt::Write;

use serde_json::Value as Json;

use crate::code::CODES;
use crate::explain::text;
use crate::shape::{Field, JOB, Kind, Shape};

const INTRODUCTION: &str = "\
# The job file

<!-- Generated from the types in workspace/job by `cargo run -p twinspire-job --example reference > docs/job-file.md`. -->

A job is one YAML file: which logs, which towers, how to train, what to keep. The smallest one names itself and a log;
everything else has a default:

```yaml
name: my-job
log: {uri: events.parquet}          # user_id, item_id, timestamp
```

Without a `catalogue` the item tower is an embedding of each item's id.

- `coordinator validate job.yaml` reports everything that is wrong with a file, each mistake with its line, column,
  field, reason and remedy; `--explain` prints the job with every default filled in.
- `--set FIELD=VALUE` changes a field on any command: `--set train.steps=100`, `--set 'towers.item.features=[title]'`,
  `--set 'catalogue.features[0].dim=64'`, `--set 'log.filter=rating >= 4'`. Where a field is text the value is taken as it
  stands. Setting one of `train.steps` and `train.epochs` replaces the other.
- Times are written with a unit (`500ms`, `10s`, `15m`, `28d`), sizes with one (`512MB`, `2GiB`) or in bytes.
- Files are local (`logs/*.parquet`, `file:///data/log`) or in any S3-compatible store (`s3://bucket/prefix/*.parquet`;
  region, endpoint and credentials come from `AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, …).
- A section with nothing below it (`train:`) is a section with its defaults.
";

/// What a section is about is best said by one that does something: all of these are checked.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "log",
        "log:
  uri: [s3://logs/2024-*/*.parquet, s3://logs/2025-*/*.parquet]
  columns: {user: uid, item: pin, action: kind, timestamp: at, surface: place, duration: seconds}
  timestamp_unit: ms
  filter: country = 'DE' and seconds < 3600
  actions:
    save: {weight: 1.5}
    click: {}
    view: {positive: false}
  min_user_actions: 5
",
    ),
    (
        "catalogue",
        "catalogue:
  uri: items.parquet
  id: item_id
  features:
    - {name: title, type: text}
    - {name: brand, type: categorical, vocabulary: 20000}
    - {name: graph, type: vector, dim: 256}
    - {name: images, column: image_embeddings, type: vectors, dim: 64, max: 5}
",
    ),
    ("split", "split: {kind: by_time, validation: 2024-09-01, test: 2024-10-01}\n"),
    ("prepare", "prepare: {memory: 8GB, shard_actions: 2000000}\n"),
    (
        "towers",
        "towers:
  dim: 128
  item: {features: [title, brand], id_embedding: hash, d_model: 256}
  user: {max_actions: 128, objective: dense_all_action, window: 14d, d_model: 256, layers: 2, heads: 4}
",
    ),
    (
        "loss",
        "loss:
  negatives: {mode: mixed_concat, random: 4096}
  temperature: {initial: 0.05, learned: false}
  logq: exact
",
    ),
    (
        "train",
        "train:
  global_batch: 512
  steps: 20000
  optimizer: {kind: adamw, lr: 5e-4}
  table_optimizer: {kind: adagrad, lr: 0.05}
  schedule: cosine
  warmup_steps: 500
  clip_norm: 1.0
",
    ),
    ("evaluate", "evaluate: {every_steps: 1000, k: [10, 50], best: recall, patience: 5}\n"),
    (
        "checkpoint",
        "checkpoint: {uri: s3://models/beauty, every: 5m, every_steps: 1000, keep_last: 3, keep_every_steps: 10000}\n",
    ),
    ("export", "export: {uri: s3://models/beauty/latest, user_embeddings: false}\n"),
];

const RESOLVED: &str = "\
## Defaults that depend on other fields

Where a field is not given and its usual default cannot work, it follows from the rest of the file. What you give is never
changed: if it cannot be, you are told.

| field | when | then |
|---|---|---|
| `towers.item.encoder` | there is no `catalogue` | `id` |
| `towers.item.id_embedding` | `encoder` is `id` | `table` |
| `towers.user.time.*`, `towers.user.window` | `log.columns.timestamp` is null | off; `0s`: no window |
| `towers.user.surface_dim`, `.duration`, `.action_dim` | the log has no such column | not read |
| `towers.item.ffn`, `towers.user.ffn` | always | 4 x `d_model` |
| `loss.negatives.random` | `mode` is `in_batch` or `full` | 0 |
| `loss.logq` | `mode` is `full` | `off` |
| `train.epochs` | `train.steps` is not given either | 10 |
| `train.optimizer.beta1`, `train.table_optimizer.beta1` | `kind` is `sgd` | 0 |
| `evaluate.every_epochs` | `evaluate.every_steps` is given | 0 |
| `evaluate.best`, `evaluate.every_epochs` | the split has no validation rows | `last`, 0 |

## Time-outs

`recovery_target` derives all of them: a worker sends a heartbeat every tenth of it, at least every 2s, and is taken for
dead after three tenths. What is left is for the others to let go of what they wait for, to meet anew, and to commit a
step; a step must take less than half of it. It is at least 5s. A worker whose process ends is missed at once. When no
coordinator is there to say who is lost, a collective operation gives up after four times the target, at least 60s.

## Going on with a run

A run is resumed only by the job it was begun with. These may change: `device`, `workers`, `recovery_target`,
`stragglers`, `chaos`, `runs`, `evaluate`, `checkpoint`, `export`, `log.max_bad_rows`, `prepare.memory`,
`prepare.threads`, `loss.tile_rows`, `loss.tile_columns`, `train.graphs`, `train.log_every`, `train.threads`; and
`train.epochs` or `train.steps` may grow.
";

/// The page, as Markdown.
pub fn reference() -> String {
    let mut page = String::from(INTRODUCTION);
    let Kind::Section(fields) = &JOB.kind else { return page };
    let (sections, plain): (Vec<&Field>, Vec<&Field>) =
        fields.iter().partition(|field| is_section(&field.shape));

    page.push_str("\n## The job itself\n\n");
    page.push_str(
        "```yaml\nname: beauty\nseed: 1\nworkers: {min: 2, max: 8}\nlanes: 8\nrecovery_target: 20s\n",
    );
    page.push_str("runs: s3://models/runs\n```\n\n");
    table(&mut page, &plain, "");
    for field in sections {
        let _ = write!(page, "\n## {}\n\n{}\n\n", field.name, field.doc);
        if let Some((_, example)) = EXAMPLES.iter().find(|(name, _)| *name == field.name) {
            let _ = write!(page, "```yaml\n{example}```\n\n");
        }
        section(&mut page, &field.shape, &field.name);
    }
    let _ = write!(page, "\n{RESOLVED}");
    page.push_str("\n## Codes\n\n| code | meaning |\n|---|---|\n");
    for (code, meaning) in CODES {
        let _ = writeln!(page, "| {code} | {meaning} |");
    }
    page
}

fn is_section(shape: &Shape) -> bool {
    matches!(shape.kind, Kind::Section(_) | Kind::Tagged { .. })
}

/// The fields of a section that hold values, then the sections within it.
fn section(page: &mut String, shape: &Shape, path: &str) {
    match &shape.kind {
        Kind::Section(fields) => {
            let (sections, plain): (Vec<&Field>, Vec<&Field>) =
                fields.iter().partition(|field| has_fields(&field.shape));
            if !plain.is_empty() {
                table(page, &plain, path);
            }
            for field in sections {
                let at = format!("{path}.{}", field.name);
                let (at, shape) = match &field.shape.kind {
                    Kind::Map(entry) => (format!("{at}.NAME"), entry.as_ref()),
                    Kind::List(entry) => (format!("{at}[]"), entry.as_ref()),
                    _ => (at, &field.shape),
                };
                let null = if field.shape.nullable && !path.is_empty() { " Null by default." } else { "" };
                let _ = write!(page, "\n### {at}\n\n{}{null}\n\n", field.doc);
                section(page, shape, &at);
            }
        }
        Kind::Tagged { tag, variants } => {
            let _ = write!(page, "`{tag}` is one of:\n\n");
            for variant in variants {
                let _ = writeln!(page, "- `{}`: {}", variant.name, variant.doc);
            }
            for variant in variants.iter().filter(|variant| !variant.fields.is_empty()) {
                let _ = write!(page, "\nWith `{tag}: {}`:\n\n", variant.name);
                let fields: Vec<&Field> = variant.fields.iter().collect();
                table(page, &fields, path);
            }
        }
        _ => {}
    }
}

fn has_fields(shape: &Shape) -> bool {
    match &shape.kind {
        Kind::Map(entry) | Kind::List(entry) => is_section(entry),
        _ => is_section(shape),
    }
}

fn table(page: &mut String, fields: &[&Field], path: &str) {
    page.push_str("| field | type | default | meaning |\n|---|---|---|---|\n");
    for field in fields {
        rows(page, field, path);
    }
}

/// A row for a field; small sections inside a table are spread out over rows of their own.
fn rows(page: &mut String, field: &Field, path: &str) {
    let name = if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
    if let Kind::Section(fields) = &field.shape.kind {
        fields.iter().for_each(|inner| rows(page, inner, &name));
        return;
    }
    let default = match &field.default {
        _ if field.required => "required".to_owned(),
        Some(default) => format!("`{}`", value(default)),
        None => String::new(),
    };
    let mut doc = field.doc.clone();
    if let Kind::Choice(choices) = &field.shape.kind {
        for choice in choices {
            let _ = write!(doc, "<br>`{}`: {}", choice.name, choice.doc);
        }
    }
    let kind = field.shape.describe();
    let _ = writeln!(page, "| `{name}` | {} | {default} | {} |", cell(&kind), cell(&doc));
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn value(json: &Json) -> String {
    match json {
        Json::String(value) => text(value),
        other => other.to_string().replace(',', ", "),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::file::JobFile;

    #[test]
    fn every_section_has_an_example_and_every_example_is_a_job() {
        let Kind::Section(fields) = &JOB.kind else { panic!("a job is a section") };
        for field in fields.iter().filter(|field| is_section(&field.shape)) {
            let (_, example) = EXAMPLES.iter().find(|(name, _)| *name == field.name).unwrap();
            let mut text = format!("name: demo\n{example}");
            for (name, needed) in [
                ("log", "log: {uri: a.parquet}\n"),
                (
                    "catalogue",
                    "catalogue: {uri: i.parquet, features: [{name: title, type: text}, {name: brand, type: categorical}]}\n",
                ),
            ] {
                if name != field.name {
                    text.push_str(needed);
                }
            }
            JobFile::parse(&text, &field.name, &[]).unwrap();
        }
    }

    #[test]
    fn the_introductory_job_is_a_job() {
        let yaml = INTRODUCTION.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
        JobFile::parse(yaml, "introduction", &[]).unwrap();
    }
}
