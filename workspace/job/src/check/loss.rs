//! Negatives and temperature.

use super::Findings;
use crate::code::Code;
use crate::spec::{JobSpec, LogQ, NegativesMode};

const MODE: &[&str] = &["loss.negatives.mode"];

pub(super) fn check(spec: &JobSpec, found: &mut Findings) {
    negatives(spec, found);
    let temperature = &spec.loss.temperature;
    if temperature.learned && temperature.min > temperature.initial {
        let what = format!("{} is above the initial temperature ({})", temperature.min, temperature.initial);
        found
            .add(
                Code::Combination,
                "loss.temperature.min",
                what,
                format!("use {} or less", temperature.initial),
            )
            .with(&["loss.temperature"]);
    }
}

fn negatives(spec: &JobSpec, found: &mut Findings) {
    let loss = &spec.loss;
    let negatives = &loss.negatives;
    let (name, in_batch, random) = match negatives.mode {
        NegativesMode::MixedSum => ("mixed_sum", true, true),
        NegativesMode::MixedConcat => ("mixed_concat", true, true),
        NegativesMode::InBatch => ("in_batch", true, false),
        NegativesMode::Random => ("random", false, true),
        NegativesMode::Full => ("full", false, false),
    };
    if random && negatives.random == 0 {
        let remedy = if in_batch { "use 8192, or `mode: in_batch`" } else { "use 8192, or another mode" };
        found
            .add(Code::Combination, "loss.negatives.random", format!("{name} needs random negatives"), remedy)
            .with(MODE);
    }
    if !random && negatives.random > 0 {
        let what = format!("{name} uses no random negatives");
        found
            .add(
                Code::Combination,
                "loss.negatives.random",
                what,
                "leave it out, or use `mode: mixed_concat`",
            )
            .with(MODE);
    }
    if !in_batch && negatives.max_in_batch > 0 {
        let what = format!("{name} uses no in-batch negatives");
        found
            .add(
                Code::Combination,
                "loss.negatives.max_in_batch",
                what,
                "leave it out, or use `mode: mixed_concat`",
            )
            .with(MODE);
    }
    if in_batch && spec.train.global_batch < 2 {
        found
            .add(
                Code::Combination,
                "train.global_batch",
                format!("a batch of {} has no other rows to take negatives from", spec.train.global_batch),
                "use a larger batch, or `loss.negatives.mode: random`",
            )
            .because(format!("`loss.negatives.mode` is {name}"))
            .with(MODE);
    }
    if negatives.mode == NegativesMode::Full && loss.logq != LogQ::Off {
        found
            .add(
                Code::Combination,
                "loss.logq",
                "`full` samples no negatives to correct",
                "leave it out, or use `off`",
            )
            .with(MODE);
    }
}
