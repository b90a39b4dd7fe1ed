//! How ranks come to be at the same step.
//!
//! ```text
//! every rank has    nothing            ─► the newest checkpoint, or the start
//!                   the same step      ─► go on
//!                   different steps    ─► the highest is committed: those behind get it from who has it
//! ```
//!
//! A step that any rank has committed is one that all ranks had computed, so the highest one is right; and training
//! is a function of (seed, step, lane), so nobody's state is another one than it would be without the fault.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use twinspire_collective::Collective;
use twinspire_dataset::audit::Witness;

use super::{
    kept::{Kept, Towers},
    ledger::Ledger,
    standing::Standing,
};
use crate::{
    model::Wanted,
    task::{Task, TaskError},
};

/// Where training begins.
pub(super) struct Beginning {
    /// When the checkpoint was written.
    pub(super) resumed_unix_ms: Option<u64>,
    /// Newer ones that were damaged.
    pub(super) passed_over: Vec<String>,
    /// It goes on from memory.
    pub(super) kept: bool,
}

/// What goes with a state besides its tensors.
#[derive(Default, Serialize, Deserialize)]
struct Luggage {
    standing: serde_json::Value,
    measured: Option<(u64, BTreeMap<String, f64>)>,
    witnesses: Vec<Witness>,
}

impl Kept {
    /// Brings this rank to the step at which all ranks go on.
    pub(super) fn begin(&mut self, task: &Task) -> Result<Beginning, TaskError> {
        let steps = self.steps_of_all()?;
        let highest = steps.iter().flatten().copied().max();
        let newest = task.assign.newest_checkpoint.unwrap_or(0);
        if self.towers == Towers::AsBuilt {
            self.towers = Towers::BetweenStates;
        }
        let beginning = match highest.filter(|highest| *highest >= newest) {
            Some(highest) => self.go_on(task, &steps, highest)?,
            None => {
                let had_state = std::mem::replace(&mut self.towers, Towers::BetweenStates) == Towers::Trained;
                self.restore(task, had_state)?
            }
        };
        self.towers = Towers::Trained;
        Ok(beginning)
    }

    /// The step every rank has in memory, by rank.
    fn steps_of_all(&self) -> Result<Vec<Option<u64>>, TaskError> {
        let mine = if self.towers == Towers::Trained { self.loaded.trainer.step_number() as i64 } else { -1 };
        let all = self.loaded.collective.all_gather(&Tensor::from_slice(&[mine]))?;
        Ok(all.iter().map(|step| u64::try_from(step.int64_value(&[0])).ok()).collect())
    }

    fn go_on(&mut self, task: &Task, steps: &[Option<u64>], highest: u64) -> Result<Beginning, TaskError> {
        let root = steps.iter().position(|step| *step == Some(highest)).unwrap_or(0);
        // What rank 0 alone kept count of may have been another one's job before.
        let mine = Luggage {
            standing: self.standing.to_json(),
            measured: self.standing.last().cloned(),
            witnesses: self.ledger.witnesses().to_vec(),
        };
        // Numbers and texts: this cannot fail.
        let bytes = serde_json::to_vec(&mine).unwrap_or_default();
        let bytes = broadcast(self.loaded.collective.as_ref(), bytes, root)?;
        let luggage: Luggage =
            serde_json::from_slice(&bytes).map_err(|why| TaskError::protocol("state", why))?;
        // Last of what can fail: a state and what is known of its steps change together or not at all.
        if steps.iter().any(|step| *step != Some(highest)) {
            tracing::info!(step = highest, from = root, "those behind get the state");
            self.loaded.trainer.share_state(root, highest)?;
        }
        self.standing = Standing::from_json(&luggage.standing).with_last(luggage.measured);
        self.standing.forget_lost_best(highest, task.assign.newest_checkpoint);
        self.ledger = Ledger::of(luggage.witnesses);
        Ok(Beginning { resumed_unix_ms: None, passed_over: Vec::new(), kept: true })
    }

    fn restore(&mut self, task: &Task, had_state: bool) -> Result<Beginning, TaskError> {
        let found = self.loaded.restore(task, Wanted::Newest)?;
        self.ledger = Ledger::default();
        let Some(found) = found else {
            // There was a newer checkpoint than what this rank has kept, and it is gone.
            if had_state {
                return Err(TaskError::no_checkpoint(&task.places.checkpoints, None));
            }
            self.standing = Standing::default();
            return Ok(Beginning { resumed_unix_ms: None, passed_over: Vec::new(), kept: false });
        };
        self.standing = Standing::from_json(&found.manifest.extra);
        let resumed_unix_ms = Some(found.manifest.created_ms);
        Ok(Beginning { resumed_unix_ms, passed_over: found.passed_over, kept: false })
    }
}

/// Every rank gets the bytes of rank `root`.
fn broadcast(collective: &dyn Collective, bytes: Vec<u8>, root: usize) -> Result<Vec<u8>, TaskError> {
    let mut length = Tensor::from_slice(&[bytes.len() as i64]);
    collective.broadcast(&mut length, root)?;
    let length = length.int64_value(&[0]) as usize;
    let mut tensor = if collective.rank() == root {
        Tensor::from_slice(&bytes)
    } else {
        Tensor::zeros([length as i64], (Kind::Uint8, tch::Device::Cpu))
    };
    collective.broadcast(&mut tensor, root)?;
    let mut bytes = vec![0; length];
    tensor.copy_data(&mut bytes, length);
    Ok(bytes)
}
