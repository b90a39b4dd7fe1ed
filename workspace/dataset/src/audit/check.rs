//! Counting what was trained.

use std::collections::HashMap;

use bytes::Bytes;
use serde::Serialize;
use twinspire_storage::Location;

use super::record::{Encoded, read_part};
use crate::error::DatasetError;
use crate::plan::Plan;

/// Recorded steps, to be checked.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// By step and lane: the records of the latest generation. More than one only if a generation
    /// recorded two different things for the same lane-step, and then all of them count.
    latest: HashMap<(u64, u32), Vec<Encoded>>,
}

/// What was trained, row by row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Steps committed.
    pub steps: u64,
    /// Rows that were due, over all epochs.
    pub expected: u64,
    /// Those of them that were trained.
    pub trained: u64,
    /// Rows trained more than once in an epoch.
    pub twice: u64,
    /// Rows that were due but not trained.
    pub never: u64,
    /// Rows trained that were not due, or are not in the dataset.
    pub unexpected: u64,
    /// The same by epoch.
    pub epochs: Vec<EpochAudit>,
}

/// What was trained in an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EpochAudit {
    /// The epoch, from 0.
    pub epoch: u32,
    /// Whether all of its steps are committed.
    pub complete: bool,
    /// Rows that were due.
    pub expected: u64,
    /// Those of them that were trained.
    pub trained: u64,
    /// Rows trained more than once.
    pub twice: u64,
    /// Rows that were due but not trained.
    pub never: u64,
    /// Rows trained that were not due, or are not in the dataset.
    pub unexpected: u64,
}

impl AuditReport {
    /// Whether every row that was due was trained exactly once, and nothing else.
    pub fn passed(&self) -> bool {
        self.trained == self.expected && self.twice == 0 && self.never == 0 && self.unexpected == 0
    }
}

impl Audit {
    /// Reads all parts under `audit/` of a run's directory.
    pub async fn load(run: &Location) -> Result<Audit, DatasetError> {
        let directory = run.join("audit");
        let mut audit = Audit::default();
        for entry in directory.list("").await? {
            let bytes = directory.get(&entry.name).await?;
            audit.add_part(&entry.name, &bytes)?;
        }
        Ok(audit)
    }

    /// Adds the records of a part. `file` is its name, for errors.
    pub fn add_part(&mut self, file: &str, bytes: &Bytes) -> Result<(), DatasetError> {
        for record in read_part(file, bytes)? {
            let known = self.latest.entry((record.step, record.lane)).or_default();
            match known.first().map(|known| known.generation) {
                Some(generation) if generation > record.generation => {}
                Some(generation) if generation == record.generation => {
                    // The same part stored twice is one recording.
                    if !known.contains(&record) {
                        known.push(record);
                    }
                }
                _ => *known = vec![record],
            }
        }
        Ok(())
    }

    /// Holds the records of the first `committed` steps against the plan.
    ///
    /// Takes a byte a row of the dataset, and the encoded records.
    pub fn check(&self, plan: &Plan, committed: u64) -> AuditReport {
        let mut report = AuditReport { steps: committed, ..AuditReport::default() };
        let mut by_epoch: Vec<Vec<&Encoded>> = Vec::new();
        for (&(step, _), records) in self.latest.iter().filter(|((step, _), _)| *step < committed) {
            let epoch = plan.cursor(step).epoch as usize;
            if by_epoch.len() <= epoch {
                by_epoch.resize(epoch + 1, Vec::new());
            }
            by_epoch[epoch].extend(records);
        }
        let epochs = committed.div_ceil(plan.steps_per_epoch()) as usize;
        by_epoch.resize(epochs, Vec::new());
        for (epoch, records) in by_epoch.iter().enumerate() {
            let found = check_epoch(plan, epoch as u32, committed, records);
            report.expected += found.expected;
            report.trained += found.trained;
            report.twice += found.twice;
            report.never += found.never;
            report.unexpected += found.unexpected;
            report.epochs.push(found);
        }
        report
    }
}

/// A row of an epoch: how often it was trained (saturating), and whether it was due.
#[derive(Clone, Copy, Default)]
struct Row(u8);

impl Row {
    const DUE: u8 = 0x80;

    fn due(&mut self) {
        self.0 |= Row::DUE;
    }

    fn train(&mut self) {
        let times = (self.0 & !Row::DUE).saturating_add(1).min(!Row::DUE);
        self.0 = (self.0 & Row::DUE) | times;
    }
}

fn check_epoch(plan: &Plan, epoch: u32, committed: u64, records: &[&Encoded]) -> EpochAudit {
    let steps = (committed - plan.first_step(epoch)).min(plan.steps_per_epoch());
    let mut found = EpochAudit { epoch, complete: steps == plan.steps_per_epoch(), ..EpochAudit::default() };
    let mut rows = vec![Row::default(); plan.rows() as usize];
    if found.complete {
        rows.iter_mut().for_each(Row::due);
    } else {
        let epoch_plan = plan.epoch(epoch);
        for lane in 0..plan.settings().lanes {
            for row in epoch_plan.lane(lane).rows_of_first(steps) {
                rows[row as usize].due();
            }
        }
    }
    for row in records.iter().flat_map(|record| record.rows()) {
        match rows.get_mut(row as usize) {
            Some(row) => row.train(),
            None => found.unexpected += 1,
        }
    }
    for Row(row) in rows {
        let (due, times) = (row & Row::DUE != 0, row & !Row::DUE);
        found.expected += u64::from(due);
        found.trained += u64::from(due && times > 0);
        found.never += u64::from(due && times == 0);
        found.unexpected += u64::from(!due && times > 0);
        found.twice += u64::from(times > 1);
    }
    found
}
