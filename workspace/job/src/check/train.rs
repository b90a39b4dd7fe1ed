//! Batch, length, warm-up.

use super::Findings;
use crate::code::Code;
use crate::spec::JobSpec;

pub(super) fn check(spec: &JobSpec, found: &mut Findings) {
    let train = &spec.train;
    let (batch, lanes) = (train.global_batch, spec.lanes);
    if !batch.is_multiple_of(lanes) {
        let below = batch - batch % lanes;
        let remedy = match below {
            0 => format!("use {lanes} or a multiple of it"),
            _ => format!("use {below} or {}", below.saturating_add(lanes)),
        };
        found
            .add(
                Code::Combination,
                "train.global_batch",
                format!("{batch} is not a multiple of lanes ({lanes})"),
                remedy,
            )
            .with(&["lanes"]);
    }
    match (train.epochs, train.steps) {
        (Some(_), Some(_)) => {
            found
                .add(
                    Code::Combination,
                    "train.steps",
                    "both steps and epochs are given",
                    "leave one of them out",
                )
                .because("each of them alone decides how long training goes on")
                .with(&["train.epochs"]);
        }
        (None, Some(steps)) if train.warmup_steps > steps => {
            let what = format!("{} steps of warm-up are more than all {steps} steps", train.warmup_steps);
            found
                .add(
                    Code::Combination,
                    "train.warmup_steps",
                    what,
                    format!("use {} or fewer", steps.div_ceil(10)),
                )
                .with(&["train.steps"]);
        }
        _ => {}
    }
}
