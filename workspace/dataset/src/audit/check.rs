//! Counting what was trained.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use serde::Serialize;
use twinspire_storage::Location;

use super::RowDigest;
use super::record::{Encoded, read_part};
use super::witness::{WITNESSES, Witness, decode_witnesses};
use crate::error::DatasetError;
use crate::plan::Plan;

/// Recorded steps, to be checked.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// By step and lane: the records of the latest generation. More than one only if a generation
    /// recorded two different things for the same lane-step, and then all of them count.
    latest: HashMap<(u64, u32), Vec<Encoded>>,
    /// By step and lane: the generation and digest of the latest that was witnessed.
    witnessed: HashMap<(u64, u32), (u64, RowDigest)>,
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
            match entry.name.ends_with(WITNESSES) {
                true => audit.add_witnesses(decode_witnesses(&entry.name, &bytes)?),
                false => audit.add_part(&entry.name, &bytes)?,
            }
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

    /// Adds what ranks know of other ranks' lanes.
    pub fn add_witnesses(&mut self, witnesses: impl IntoIterator<Item = Witness>) {
        for Witness { step, generation, lanes } in witnesses {
            for (lane, digest) in lanes.into_iter().enumerate() {
                let known = self.witnessed.entry((step, lane as u32)).or_insert((generation, digest));
                if generation > known.0 {
                    *known = (generation, digest);
                }
            }
        }
    }

    /// The rows of a lane-step: as recorded, or of the plan, when all that is left of the latest record is a witness
    /// who saw just these.
    fn rows_of(&self, plan: &Plan, step: u64, lane: u32) -> Vec<u64> {
        let records = self.latest.get(&(step, lane)).map(Vec::as_slice).unwrap_or_default();
        let recorded = records.first().map(|record| record.generation);
        match self.witnessed.get(&(step, lane)) {
            Some((generation, digest)) if recorded.is_none_or(|recorded| recorded < *generation) => {
                let rows = plan.rows_of(lane, step);
                if RowDigest::of(rows.iter().copied()) == *digest {
                    rows
                } else {
                    // Whatever was trained, it was not what was due: as many rows that are in no dataset.
                    vec![u64::MAX; digest.count as usize]
                }
            }
            _ => records.iter().flat_map(|record| record.rows().collect::<Vec<_>>()).collect(),
        }
    }

    /// Holds the records of the first `committed` steps against the plan.
    ///
    /// Takes a byte a row of the dataset, and the encoded records.
    pub fn check(&self, plan: &Plan, committed: u64) -> AuditReport {
        let mut report = AuditReport { steps: committed, ..AuditReport::default() };
        let mut by_epoch: BTreeMap<u32, BTreeSet<(u64, u32)>> = BTreeMap::new();
        for &(step, lane) in self.latest.keys().chain(self.witnessed.keys()) {
            if step < committed {
                by_epoch.entry(plan.cursor(step).epoch).or_default().insert((step, lane));
            }
        }
        let epochs = committed.div_ceil(plan.steps_per_epoch()) as u32;
        for epoch in 0..epochs {
            let lane_steps = by_epoch.remove(&epoch).unwrap_or_default();
            let rows = lane_steps.into_iter().flat_map(|(step, lane)| self.rows_of(plan, step, lane));
            let found = check_epoch(plan, epoch, committed, rows);
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

fn check_epoch(plan: &Plan, epoch: u32, committed: u64, trained: impl Iterator<Item = u64>) -> EpochAudit {
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
    for row in trained {
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
