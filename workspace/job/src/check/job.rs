//! Name, workers, lanes, recovery target.

use super::{Findings, uri};
use crate::code::Code;
use crate::spec::{JobSpec, Workers};
use crate::text::slug;
use crate::timeouts::Timeouts;

const LONGEST_NAME: usize = 63;

pub(super) fn check(spec: &JobSpec, found: &mut Findings) {
    name(&spec.name, found);
    workers(spec, found);
    let shortest = Timeouts::SHORTEST_TARGET;
    if spec.recovery_target < shortest {
        let what = format!("{} is too short", spec.recovery_target);
        found.add(Code::Range, "recovery_target", what, format!("use {shortest} or more")).because(
            "the heartbeat is a tenth of it, and below 500ms a busy worker would pass for a dead one",
        );
    }
    uri::check(&spec.runs, "runs", found);
}

fn name(name: &str, found: &mut Findings) {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let dash_at_end = name.starts_with('-') || name.ends_with('-');
    if !name.is_empty() && name.len() <= LONGEST_NAME && !dash_at_end && name.chars().all(legal) {
        return;
    }
    let remedy = match slug(name).as_str() {
        "" => "write one such as `ml-1m`".to_owned(),
        better => format!("write `{better}`"),
    };
    found.add(Code::Form, "name", format!("`{}` is not a name", name.escape_debug()), remedy).because(format!(
        "directories, metrics and Kubernetes objects are called so: up to {LONGEST_NAME} lower-case letters, \
         digits and inner dashes"
    ));
}

fn workers(spec: &JobSpec, found: &mut Findings) {
    let workers = spec.workers;
    if let Workers::Range { min, max } = workers
        && max < min
    {
        let what = format!("max is {max}, but min is {min}");
        found.add(Code::Combination, "workers", what, format!("write {{min: {max}, max: {min}}}"));
    } else if workers.max() > spec.lanes {
        let what = format!("{} lanes are fewer than {} workers", spec.lanes, workers.max());
        let remedy = format!("set lanes to {} or more, or use at most {} workers", workers.max(), spec.lanes);
        found
            .add(Code::Combination, "lanes", what, remedy)
            .because("every worker needs a lane of its own")
            .with(&["workers"]);
    }
}
