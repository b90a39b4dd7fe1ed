//! A job run from this process, from its spec to its results.

use twinspire_job::JobSpec;

use crate::{
    ControlError,
    core::{Generation, Notice, Outcome, Setup, Split, Stage, TaskResult, Timeouts},
    display::Screen,
    shell::{Engine, Keep, Places, Processes},
};

/// What to do with a job.
pub(crate) struct Run<'a> {
    pub(crate) spec: &'a JobSpec,
    pub(crate) workers: u32,
    pub(crate) plan: Vec<Stage>,
    pub(crate) generation: Generation,
    pub(crate) checkpoint_step: Option<u64>,
    pub(crate) split: Split,
    pub(crate) keep: Keep,
}

/// What came of it.
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    pub(crate) results: Vec<TaskResult>,
}

impl Run<'_> {
    /// Runs the plan to its end and shows how it goes on standard error.
    pub(crate) async fn run(self) -> Result<Ran, ControlError> {
        let Run { spec, workers, plan, generation, checkpoint_step, split, keep } = self;
        let places = Places::of(spec);
        let setup = Setup {
            job: spec.name.clone(),
            lanes: spec.lanes,
            workers,
            plan,
            generation,
            checkpoint_step,
            split,
            timeouts: Timeouts::from_recovery_target(spec.recovery_target.0),
        };
        // A spec is numbers, texts and lists: this cannot fail.
        let spec_json = serde_json::to_string(spec).unwrap_or_default();
        let mut screen = Screen::new(&spec.name, places.logs());
        let mut results = Vec::new();
        let mut show = |notice: &Notice| {
            if let Notice::Done(result) = notice {
                results.push(result.clone());
            }
            screen.show(notice);
        };
        let engine =
            Engine::new(Processes::worker_program()?, setup, spec_json, places, keep, &mut show).await?;
        let ended = engine.run().await;
        screen.close();
        let outcome = ended?;
        if let Outcome::Failed(failure) = &outcome {
            screen.failed(failure);
        }
        Ok(Ran { outcome, results })
    }
}

/// The number of workers: as asked for, or as the job says; at most one a lane.
pub(crate) fn workers(spec: &JobSpec, asked: Option<u32>) -> Result<u32, ControlError> {
    let workers = asked.unwrap_or(spec.workers.max()).max(1);
    if workers > spec.lanes {
        return Err(ControlError::TooManyWorkers { workers, lanes: spec.lanes });
    }
    Ok(workers)
}
