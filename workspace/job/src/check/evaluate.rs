//! Prepare, evaluation, checkpoints, export.

use super::{Findings, uri};
use crate::code::Code;
use crate::resolve::has_no_validation;
use crate::spec::{BestMetric, JobSpec};
use crate::units::ByteSize;

/// A sort needs room for a few batches of rows.
const LEAST_MEMORY: ByteSize = ByteSize(1_000_000);

pub(super) fn check(spec: &JobSpec, found: &mut Findings) {
    if spec.prepare.memory < LEAST_MEMORY {
        let what = format!("{} is too little to sort with", spec.prepare.memory);
        found.add(Code::Range, "prepare.memory", what, format!("use {LEAST_MEMORY} or more"));
    }
    cutoffs(&spec.evaluate.k, found);
    validation(spec, found);
    checkpoint(spec, found);
    if let Some(uri) = &spec.export.uri {
        uri::check(uri, "export.uri", found);
    }
}

fn cutoffs(k: &[u32], found: &mut Findings) {
    let mut sorted = k.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if k.is_empty() {
        found.add(Code::Form, "evaluate.k", "no cut-off is given", "write [10, 20]");
    } else if sorted != k {
        found.add(
            Code::Form,
            "evaluate.k",
            "the cut-offs must ascend, each given once",
            format!("write {sorted:?}"),
        );
    }
}

fn validation(spec: &JobSpec, found: &mut Findings) {
    let evaluate = &spec.evaluate;
    let no_rows = has_no_validation(&spec.split);
    if no_rows && evaluate.best != BestMetric::Last {
        found
            .add(
                Code::Combination,
                "evaluate.best",
                "there are no validation rows to choose the best checkpoint by",
                "name them in split.validation, or use `last`",
            )
            .with(&["split"]);
    }
    if no_rows && (evaluate.every_epochs > 0 || evaluate.every_steps > 0) {
        let path = if evaluate.every_steps > 0 { "evaluate.every_steps" } else { "evaluate.every_epochs" };
        found
            .add(
                Code::Combination,
                path,
                "there are no validation rows to evaluate during training",
                "name them in split.validation, or use 0",
            )
            .with(&["split"]);
    }
    if evaluate.patience == 0 {
        return;
    }
    if evaluate.best == BestMetric::Last {
        found
            .add(
                Code::Combination,
                "evaluate.patience",
                "`best: last` compares no evaluations",
                "set `best` to ndcg, recall or mrr, or patience to 0",
            )
            .with(&["evaluate.best", "split"]);
    } else if evaluate.every_epochs == 0 && evaluate.every_steps == 0 {
        found
            .add(
                Code::Combination,
                "evaluate.patience",
                "nothing is evaluated during training",
                "set every_epochs or every_steps, or patience to 0",
            )
            .with(&["evaluate.every_epochs", "evaluate.every_steps"]);
    }
}

fn checkpoint(spec: &JobSpec, found: &mut Findings) {
    let checkpoint = &spec.checkpoint;
    if let Some(uri) = &checkpoint.uri {
        uri::check(uri, "checkpoint.uri", found);
    }
    if checkpoint.every_steps == 0 && checkpoint.every.0.is_zero() {
        found
            .add(
                Code::Combination,
                "checkpoint.every",
                "checkpoints are written neither by time nor by steps",
                "use 60s, or set checkpoint.every_steps",
            )
            .with(&["checkpoint.every_steps"]);
    }
    if checkpoint.keep_every_steps > 0 && checkpoint.every_steps == 0 {
        found
            .add(
                Code::Combination,
                "checkpoint.keep_every_steps",
                "checkpoints by time fall on a multiple of it only by luck",
                format!("set checkpoint.every_steps to {} or a part of it", checkpoint.keep_every_steps),
            )
            .with(&["checkpoint.every_steps"]);
    }
}
