//! How good the towers are, beside the popularity baseline of the same split.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};

/// What was evaluated on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Held out to choose among checkpoints.
    Validation,
    /// Held out to the end.
    Test,
}

/// Retrieval over the full catalogue. By k: each map has one entry a cut-off.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Share of users with at least one held-out item among the first k.
    pub hr: BTreeMap<u32, f64>,
    /// Share of a user's held-out items among the first k, mean over users.
    pub recall: BTreeMap<u32, f64>,
    /// Normalised discounted cumulative gain of the first k, mean over users.
    pub ndcg: BTreeMap<u32, f64>,
    /// Mean over users of 1 / rank of the best-ranked held-out item.
    pub mrr: f64,
    /// Share of the catalogue that is among anybody's first k.
    pub coverage: BTreeMap<u32, f64>,
}

/// An evaluation's outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationReport {
    /// What was evaluated on.
    pub split: Split,
    /// The towers are those after so many steps.
    pub step: u64,
    /// Users evaluated.
    pub users: u64,
    /// Users with held-out actions but none before them, whom no figure is about.
    #[serde(default)]
    pub without_history: u64,
    /// Items ranked.
    pub items: u64,
    /// The cut-offs.
    pub k: Vec<u32>,
    /// The towers.
    pub model: Metrics,
    /// Every user is given the items most frequent in training.
    pub popularity: Metrics,
}

impl Metrics {
    /// All of them by name, in the order people read them: `hr@10`, `hr@20`, `recall@10`, …, `mrr`.
    pub fn named(&self) -> Vec<(String, f64)> {
        let by_k = |name: &'static str, values: &BTreeMap<u32, f64>| -> Vec<(String, f64)> {
            values.iter().map(|(k, value)| (format!("{name}@{k}"), *value)).collect()
        };
        let mut named = by_k("hr", &self.hr);
        named.extend(by_k("recall", &self.recall));
        named.extend(by_k("ndcg", &self.ndcg));
        named.push(("mrr".into(), self.mrr));
        named.extend(by_k("coverage", &self.coverage));
        named
    }
}

impl EvaluationReport {
    /// `metric | model | popularity | lift`; the lift is how many times popularity's value the
    /// model has.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::ASCII_MARKDOWN);
        table.set_header(["metric", "model", "popularity", "lift"]);
        let popularity: BTreeMap<String, f64> = self.popularity.named().into_iter().collect();
        for (name, model) in self.model.named() {
            let baseline = popularity.get(&name).copied();
            let lift = baseline.filter(|value| *value > 0.0).map(|value| format!("{:.2}x", model / value));
            table.add_row([
                name,
                format!("{model:.4}"),
                baseline.map_or("-".into(), |value| format!("{value:.4}")),
                lift.unwrap_or_else(|| "-".into()),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.to_string()
    }

    /// The report as a JSON file's content.
    ///
    /// # Errors
    /// None that a report's fields can cause.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn report() -> EvaluationReport {
        let metrics = |scale: f64| Metrics {
            hr: [(10, 0.08 * scale), (20, 0.12 * scale)].into(),
            recall: [(10, 0.08 * scale), (20, 0.12 * scale)].into(),
            ndcg: [(10, 0.05 * scale), (20, 0.06 * scale)].into(),
            mrr: 0.04 * scale,
            coverage: [(10, 0.5), (20, 0.0)].into(),
        };
        let popularity = Metrics { coverage: [(10, 0.001), (20, 0.0)].into(), ..metrics(0.25) };
        EvaluationReport {
            split: Split::Test,
            step: 1200,
            users: 22363,
            without_history: 12,
            items: 12101,
            k: vec![10, 20],
            model: metrics(1.0),
            popularity,
        }
    }

    #[test]
    fn the_table_has_a_row_a_metric_with_its_lift() {
        let table = report().table();
        let lines: Vec<&str> = table.lines().collect();
        let header: Vec<&str> = lines[0].split('|').map(str::trim).collect();
        assert_eq!(header, ["", "metric", "model", "popularity", "lift", ""]);
        assert_eq!(lines.len(), 2 + 9, "{table}");
        let row = |name: &str| {
            let line = lines.iter().find(|line| line.contains(name)).unwrap();
            line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(row("ndcg@10"), "ndcg@10 0.0500 0.0125 4.00x");
        assert_eq!(row("mrr"), "mrr 0.0400 0.0100 4.00x");
        assert_eq!(row("coverage@20"), "coverage@20 0.0000 0.0000 -");
    }

    #[test]
    fn json_is_read_back_and_keyed_by_k() {
        let text = report().to_json().unwrap();
        assert_eq!(serde_json::from_str::<EvaluationReport>(&text).unwrap(), report());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["model"]["ndcg"]["10"], 0.05);
        assert_eq!(value["split"], "test");
    }
}
