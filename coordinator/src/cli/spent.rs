//! Where the time of a training went, for people and programs.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use twinspire_proto::v1::TimeSpent;

use crate::display::duration;

/// What training spends time on, in the order of the table.
fn parts(spent: &TimeSpent) -> [(&'static str, f64); 6] {
    [
        ("compute", spent.compute),
        ("waiting for data", spent.data),
        ("communication, and waiting for other workers", spent.communication),
        ("copying state for checkpoints", spent.checkpoint),
        ("evaluation", spent.evaluation),
        ("starting and recovery", spent.starting),
    ]
}

/// A line a part, with its share.
pub(super) fn table(spent: &TimeSpent) -> Table {
    let parts = parts(spent);
    let whole: f64 = parts.iter().map(|(_, seconds)| seconds).sum();
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["TIME SPENT ON", "", "SHARE"]);
    for (name, seconds) in parts {
        let share = format!("{:.1}%", 100.0 * seconds / whole.max(f64::MIN_POSITIVE));
        table.add_row([name.to_owned(), duration(Duration::from_secs_f64(seconds.max(0.0))), share]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Seconds by name.
pub(super) fn json(spent: &TimeSpent) -> Value {
    json!({
        "compute": spent.compute,
        "data": spent.data,
        "communication": spent.communication,
        "checkpoint": spent.checkpoint,
        "evaluation": spent.evaluation,
        "starting": spent.starting,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_whole() {
        let spent = TimeSpent { compute: 90.0, data: 30.0, ..TimeSpent::default() };
        let table = table(&spent).to_string();
        assert!(table.contains("1m 30s") && table.contains("75.0%") && table.contains("25.0%"), "{table}");
    }

    #[test]
    fn nothing_spent_is_no_share() {
        assert!(table(&TimeSpent::default()).to_string().contains("0.0%"));
    }
}
