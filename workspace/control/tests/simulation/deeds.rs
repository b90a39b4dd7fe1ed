//! What a process does about its task, and says of it.

use twinspire_control::{Failure, FailureKind, FromWorker, Generation, Rank, Split, Stage, TaskResult};

use crate::{
    process::{Deed, Doing},
    run::{Run, failure},
    world::World,
};

impl World {
    /// A process does something about its task, if that is still its task.
    pub(crate) fn perform(&mut self, process: usize, generation: Generation, deed: Deed) {
        self.note(|_| format!("process {process}, {generation}: {deed:?}"));
        let there = &mut self.processes[process];
        let name = there.name.to_string();
        let Some(task) = there.task.as_mut().filter(|task| there.alive && task.generation == generation)
        else {
            return;
        };
        let (doing, rank) = (task.doing, task.rank);
        let is_at_it = matches!(doing, Doing::Waiting | Doing::Working);
        match deed {
            Deed::Listen if doing == Doing::Waiting => {
                let ready = FromWorker::RendezvousReady { host: name, port: generation.0 as u32 };
                task.said.ready = Some(ready.clone());
                self.say(process, generation, ready);
                self.meet(process, generation);
            }
            Deed::Join if doing == Doing::Waiting => self.meet(process, generation),
            Deed::GiveUpMeeting if is_at_it => {
                let run = &self.runs[&generation];
                if (run.joined.len() as u32) < run.world {
                    self.fail(process, failure(FailureKind::LostPeer, "not everybody came"));
                }
            }
            Deed::Write(step) if doing == Doing::Working => self.write(process, generation, rank, step),
            Deed::Commit(step) if doing == Doing::Working => self.commit(process, generation, step),
            Deed::Finish if doing == Doing::Working => {
                let done = FromWorker::Done(self.result(generation));
                self.over(process, done);
            }
            Deed::Fail(failure) if is_at_it => self.fail(process, failure),
            Deed::LetGo if doing == Doing::Aborting => self.let_go(process, generation),
            _ => {}
        }
    }

    fn write(&mut self, process: usize, generation: Generation, rank: Rank, step: u64) {
        if self.chance(self.climate.unwritable) {
            let message = "no space left".to_owned();
            self.say(process, generation, FromWorker::CheckpointFailed { step, message });
            let Some(run) = self.runs.get_mut(&generation) else { return };
            run.unwritten.insert(step);
            if run.finishing == Some(step) {
                self.fail(process, failure(FailureKind::Storage, "no space left"));
            }
            return;
        }
        if let Some(run) = self.runs.get_mut(&generation) {
            run.written.entry(step).or_default().insert(rank);
        }
        let part = FromWorker::CheckpointPart { step, part: format!("{generation}/{step}/{rank}") };
        if let Some(task) = &mut self.processes[process].task {
            let newest = task.said.part.as_ref().map_or(0, step_of);
            if step >= newest {
                task.said.part = Some(part.clone());
            }
        }
        self.say(process, generation, part);
    }

    fn commit(&mut self, process: usize, generation: Generation, step: u64) {
        let run = &self.runs[&generation];
        let is_last = run.finishing == Some(step);
        self.storage.entry(run.job.clone()).or_default().insert((generation, step));
        let committed = FromWorker::CheckpointCommitted { step };
        if let Some(task) = &mut self.processes[process].task {
            let newest = task.said.committed.as_ref().map_or(0, step_of);
            if step >= newest {
                task.said.committed = Some(committed.clone());
            }
        }
        self.say(process, generation, committed);
        if is_last {
            self.all_ranks(generation, 200, &Deed::Finish);
        }
    }

    fn result(&self, generation: Generation) -> TaskResult {
        let Run { job, stage, step, total, .. } = &self.runs[&generation];
        let (step, total_steps) = (*step, *total);
        match stage {
            Stage::Prepare => TaskResult::Prepared {
                dataset_uri: format!("datasets/{job}"),
                fingerprint: String::new(),
                reused: false,
                warnings: Vec::new(),
            },
            Stage::Train => TaskResult::Trained {
                step,
                total_steps,
                stopped: step < total_steps,
                ended_early: String::new(),
            },
            Stage::Evaluate { .. } => TaskResult::Evaluated { step, split: Split::Test, report: "{}".into() },
            Stage::Export { .. } => TaskResult::Exported { step, files: Vec::new() },
        }
    }

    fn fail(&mut self, process: usize, failure: Failure) {
        if !failure.kind.spares_the_state() {
            self.processes[process].kept = None;
        }
        self.over(process, FromWorker::Failed(failure));
    }

    fn over(&mut self, process: usize, result: FromWorker) {
        if let Some(task) = &mut self.processes[process].task {
            task.doing = Doing::Over;
            task.said.result = Some(result.clone());
            let generation = task.generation;
            self.say(process, generation, result);
        }
    }
}

/// Of a part, or of a visible checkpoint. Small ones may be done before large ones.
fn step_of(what: &FromWorker) -> u64 {
    match what {
        FromWorker::CheckpointPart { step, .. } | FromWorker::CheckpointCommitted { step } => *step,
        _ => 0,
    }
}
