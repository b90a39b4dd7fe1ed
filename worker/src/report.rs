//! The towers' evaluation in the words of reports, metrics files and checkpoints.

use std::collections::BTreeMap;

use twinspire_proto::v1;
use twinspire_report::{EvaluationReport, Metrics, Split};
use twinspire_towers::evaluate::Evaluation;

use crate::evaluate::Measured;

/// The report of an evaluation.
pub(crate) fn evaluation(split: v1::Split, step: u64, measured: &Measured) -> EvaluationReport {
    let Measured { evaluation, without_history } = measured;
    EvaluationReport {
        split: match split {
            v1::Split::Validation => Split::Validation,
            v1::Split::Test | v1::Split::Unspecified => Split::Test,
        },
        step,
        users: evaluation.users,
        without_history: *without_history,
        items: evaluation.items,
        k: evaluation.k.clone(),
        model: metrics(&evaluation.k, &evaluation.model),
        popularity: metrics(&evaluation.k, &evaluation.popularity),
    }
}

/// All metrics of the model by name: `validation.ndcg@10`.
pub(crate) fn named(prefix: &str, evaluation: &Evaluation) -> BTreeMap<String, f64> {
    let named = metrics(&evaluation.k, &evaluation.model).named();
    named.into_iter().map(|(name, value)| (format!("{prefix}.{name}"), value)).collect()
}

fn metrics(k: &[u32], of: &twinspire_towers::evaluate::Metrics) -> Metrics {
    let by_k =
        |values: &[f64]| -> BTreeMap<u32, f64> { k.iter().copied().zip(values.iter().copied()).collect() };
    Metrics {
        hr: by_k(&of.hit_rate),
        recall: by_k(&of.recall),
        ndcg: by_k(&of.ndcg),
        mrr: of.mrr,
        coverage: by_k(&of.coverage),
    }
}
