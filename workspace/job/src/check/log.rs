//! The engagement log.

use std::collections::BTreeMap;

use super::{Findings, uri};
use crate::code::Code;
use crate::spec::{LogSpec, TimestampUnit};

/// Actions are stored in a byte.
const MOST_ACTIONS: usize = 256;

pub(super) fn check(log: &LogSpec, found: &mut Findings) {
    uri::check_all(&log.uri, "log.uri", found);
    columns(log, found);
    actions(log, found);
    if log.filter.as_deref().is_some_and(|filter| filter.trim().is_empty()) {
        let remedy = "write an SQL condition such as `rating >= 4`, or leave it out";
        found.add(Code::Form, "log.filter", "the condition is empty", remedy);
    }
    if log.columns.timestamp.is_none() && log.timestamp_unit != TimestampUnit::Auto {
        found
            .add(Code::Combination, "log.timestamp_unit", "the log has no timestamps", "leave it out")
            .because("`log.columns.timestamp` is null")
            .with(&["log.columns.timestamp"]);
    }
}

fn columns(log: &LogSpec, found: &mut Findings) {
    let columns = &log.columns;
    let roles = [
        ("user", Some(&columns.user)),
        ("item", Some(&columns.item)),
        ("action", columns.action.as_ref()),
        ("timestamp", columns.timestamp.as_ref()),
        ("order", columns.order.as_ref()),
        ("surface", columns.surface.as_ref()),
        ("duration", columns.duration.as_ref()),
    ];
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for (role, column) in roles {
        let Some(column) = column else { continue };
        let path = format!("log.columns.{role}");
        if column.is_empty() {
            found.add(Code::Form, path, "the column's name is empty", "name a column of the log");
        } else if let Some(other) = taken.get(column.as_str()) {
            let what = format!("column `{column}` is the {other} already");
            found.add(Code::Duplicate, path, what, "name another column, or leave one of the two out");
        } else {
            taken.insert(column, role);
        }
    }
}

fn actions(log: &LogSpec, found: &mut Findings) {
    let actions = &log.actions;
    if actions.is_empty() {
        return;
    }
    if log.columns.action.is_none() && !actions.keys().eq(["engage"]) {
        found
            .add(
                Code::Combination,
                "log.actions",
                "the log has no action column",
                "set log.columns.action, or leave the actions out",
            )
            .because("without one every row is an `engage`")
            .with(&["log.columns.action"]);
    }
    if actions.len() > MOST_ACTIONS {
        let what = format!("{} actions are declared", actions.len());
        let remedy = format!("keep {MOST_ACTIONS} at most; `log.filter` can drop or join the rare ones");
        found.add(Code::Range, "log.actions", what, remedy);
    }
    if actions.values().all(|action| !action.positive || action.weight == 0.0) {
        found
            .add(
                Code::Combination,
                "log.actions",
                "no action is positive with a weight above 0",
                "make one of them `positive: true`",
            )
            .because("there is nothing to predict");
    }
}
