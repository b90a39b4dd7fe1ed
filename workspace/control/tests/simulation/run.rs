//! What a generation truly does: its ranks meet, step together, write checkpoints and end; or lose
//! one of them.

use std::collections::{BTreeMap, BTreeSet};

use twinspire_control::{
    Failure, FailureKind, FromWorker, Generation, JobName, Membership, Rank, Stage, Started,
};

use crate::{
    agenda::Happening,
    process::{Deed, Doing, Kept, Task},
    world::World,
};

/// A generation at work.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) job: JobName,
    pub(crate) stage: Stage,
    pub(crate) world: u32,
    /// Its processes.
    pub(crate) ranks: BTreeMap<Rank, usize>,
    pub(crate) joined: BTreeSet<Rank>,
    pub(crate) step: u64,
    pub(crate) total: u64,
    every: u64,
    /// It is to end after the step, with a checkpoint or without.
    stop: Option<bool>,
    /// It went on from what its processes had in memory.
    pub(crate) kept: bool,
    /// It has made its last step, and writes its last checkpoint.
    pub(crate) finishing: Option<u64>,
    /// Who wrote which part.
    pub(crate) written: BTreeMap<u64, BTreeSet<Rank>>,
    /// Steps somebody's part of which could not be written.
    pub(crate) unwritten: BTreeSet<u64>,
    over: bool,
    stuck_since: Option<u64>,
}

/// How one rank is, as far as the others can tell.
#[derive(PartialEq)]
enum Health {
    Fine,
    Silent,
    Gone,
}

/// Steps of a job's training; units of its other stages.
fn total(job: &JobName, stage: Stage) -> u64 {
    let salt: u64 = job.as_str().bytes().map(u64::from).sum();
    if stage == Stage::Train { 5 + salt * 7 % 40 } else { 2 + salt * 3 % 8 }
}

impl World {
    /// A process takes its part.
    pub(crate) fn join_run(&mut self, process: usize, task: &Task) {
        let run = self.runs.entry(task.generation).or_insert_with(|| Run {
            job: task.job.clone(),
            stage: task.stage,
            world: task.world,
            ranks: BTreeMap::new(),
            joined: BTreeSet::new(),
            step: 0,
            total: total(&task.job, task.stage),
            every: 3 + task.generation.0 % 7,
            stop: None,
            kept: false,
            finishing: None,
            written: BTreeMap::new(),
            unwritten: BTreeSet::new(),
            over: false,
            stuck_since: None,
        });
        assert_eq!(
            (&run.job, run.stage, run.world),
            (&task.job, task.stage, task.world),
            "A: one generation"
        );
        let earlier = run.ranks.insert(task.rank, process);
        assert!(earlier.is_none_or(|earlier| earlier == process), "B: two processes are rank {}", task.rank);
    }

    pub(crate) fn stop_run(&mut self, generation: Generation, checkpoint: bool) {
        if let Some(run) = self.runs.get_mut(&generation) {
            run.stop = Some(checkpoint || run.stop == Some(true));
        }
    }

    /// The highest step that a process of the run has in memory, unless a newer checkpoint is known.
    fn highest_in_memory(&self, generation: Generation) -> Option<u64> {
        let of = |process: &usize| {
            let there = &self.processes[*process];
            let task = there.task.as_ref().filter(|task| task.generation == generation)?;
            let kept = there.kept.as_ref().filter(|kept| kept.is_of(&task.job, task.submitted))?;
            (kept.step >= task.newest_checkpoint.unwrap_or(0)).then_some(kept.step)
        };
        self.runs[&generation].ranks.values().filter_map(of).max()
    }

    /// All processes of a run have made the same steps; one that has lost a peer may not have made the last one.
    fn remember(&mut self, generation: Generation, step: u64, behind: bool) {
        for process in self.runs[&generation].ranks.values().copied().collect::<Vec<_>>() {
            let step = step.saturating_sub(u64::from(behind && self.one_in(2)));
            let there = &mut self.processes[process];
            let Some(task) = there.task.as_ref().filter(|task| task.generation == generation) else {
                continue;
            };
            let part = Membership { job: task.job.clone(), generation };
            there.kept = Some(Kept { part, submitted: task.submitted, step });
        }
    }

    pub(crate) fn meet(&mut self, process: usize, generation: Generation) {
        let Some(task) = &mut self.processes[process].task else { return };
        task.doing = Doing::Working;
        let Some(run) = self.runs.get_mut(&generation) else { return };
        run.joined.insert(task.rank);
        if (run.joined.len() as u32) < run.world || run.over {
            return;
        }
        if run.stage == Stage::Train {
            let highest = self.highest_in_memory(generation);
            let Some(run) = self.runs.get_mut(&generation) else { return };
            let visible = self.storage.get(&run.job).and_then(|visible| visible.last().copied());
            run.step = highest.unwrap_or(visible.map_or(0, |(_, step)| step));
            run.kept = highest.is_some();
            let (step, total_steps, kept, first) = (run.step, run.total, run.kept, run.ranks[&Rank(0)]);
            let started = FromWorker::Started(Started { step, total_steps, kept, ..Started::default() });
            self.remember(generation, step, false);
            let task = self.processes[first].task.as_mut();
            // Whoever comes last may find that rank 0 has left, and does something else by now.
            let is_at_it = |task: &&mut Task| task.generation == generation && task.doing == Doing::Working;
            if let Some(task) = task.filter(is_at_it) {
                task.said.started = Some(started.clone());
                self.say(first, generation, started);
            }
        }
        self.after(self.climate.step, Happening::Step(generation));
    }

    fn health(&self, run: &Run, generation: Generation) -> Health {
        let of = |process: &usize| {
            let there = &self.processes[*process];
            match there.task.as_ref().filter(|task| there.alive && task.generation == generation) {
                None => Health::Gone,
                Some(task) => match (task.doing, &task.said.result) {
                    (Doing::Over, Some(FromWorker::Done(_))) => Health::Fine,
                    (Doing::Over | Doing::Aborting, _) => Health::Gone,
                    _ if there.frozen_until > self.now || there.isolated => Health::Silent,
                    _ => Health::Fine,
                },
            }
        };
        let all: Vec<Health> = run.ranks.values().map(of).collect();
        [Health::Gone, Health::Silent].into_iter().find(|bad| all.contains(bad)).unwrap_or(Health::Fine)
    }

    /// The next step of all ranks together.
    pub(crate) fn step(&mut self, generation: Generation) {
        let Some(run) = self.runs.get(&generation).filter(|run| !run.over) else { return };
        let health = self.health(run, generation);
        let slowest = run.ranks.values().map(|process| self.processes[*process].slowness).max().unwrap_or(1);
        let (fails, culprit) = (self.chance(self.climate.failure), self.draw(0, 1000));
        let Some(run) = self.runs.get_mut(&generation) else { return };
        let mut pause = self.climate.step * slowest;
        match health {
            Health::Gone => return self.bereave(generation),
            Health::Silent => {
                let since = *run.stuck_since.get_or_insert(self.now);
                if self.now - since > self.climate.timeouts.collective.as_millis() as u64 {
                    return self.bereave(generation);
                }
                pause = 250;
            }
            Health::Fine if fails => {
                let kinds = [
                    FailureKind::Storage,
                    FailureKind::Storage,
                    FailureKind::BadInput,
                    FailureKind::Internal,
                ];
                let kind = kinds[culprit as usize % kinds.len()];
                let process =
                    run.ranks.values().copied().nth(culprit as usize % run.ranks.len()).unwrap_or(0);
                self.soon(process, generation, 10, Deed::Fail(failure(kind, "it broke")));
            }
            Health::Fine if run.finishing.is_some() => run.stuck_since = None,
            Health::Fine => {
                run.stuck_since = None;
                let is_last = run.stop.is_some() || run.step >= run.total;
                if run.stage == Stage::Train && is_last || run.step >= run.total {
                    self.finish(generation);
                } else {
                    run.step += 1;
                    let (step, is_due) = (run.step, run.step.is_multiple_of(run.every));
                    if run.stage == Stage::Train {
                        self.remember(generation, step, false);
                        if is_due {
                            self.all_ranks(generation, 300, &Deed::Write(step));
                        }
                    }
                }
            }
        }
        self.after(pause, Happening::Step(generation));
    }

    fn finish(&mut self, generation: Generation) {
        let Some(run) = self.runs.get_mut(&generation) else { return };
        let step = run.step;
        run.finishing = Some(step);
        let visible =
            self.storage.get(&run.job).is_some_and(|visible| visible.iter().any(|(_, s)| *s == step));
        let is_kept = run.stop == Some(false) && step < run.total;
        if run.stage != Stage::Train || visible || is_kept || step == 0 {
            self.all_ranks(generation, 200, &Deed::Finish);
        } else if run.unwritten.contains(&step) {
            let lost = failure(FailureKind::Storage, "no space left");
            self.all_ranks(generation, 200, &Deed::Fail(lost));
        } else if !run.written.contains_key(&step) {
            self.all_ranks(generation, 500, &Deed::Write(step));
        }
    }

    pub(crate) fn all_ranks(&mut self, generation: Generation, span: u64, deed: &Deed) {
        let Some(run) = self.runs.get(&generation) else { return };
        for process in run.ranks.values().copied().collect::<Vec<_>>() {
            self.soon(process, generation, span, deed.clone());
        }
    }

    /// Whoever is left notices that somebody is missing.
    fn bereave(&mut self, generation: Generation) {
        let Some(run) = self.runs.get_mut(&generation) else { return };
        run.over = true;
        if run.stage == Stage::Train && run.step > 0 {
            let step = run.step;
            self.remember(generation, step, true);
        }
        let lost = failure(FailureKind::LostPeer, "connection closed by peer");
        self.all_ranks(generation, 800, &Deed::Fail(lost));
    }
}

pub(crate) fn failure(kind: FailureKind, message: &str) -> Failure {
    Failure { code: "TW4001".into(), message: message.into(), kind, worker: None }
}

#[test]
fn what_a_generation_began_with_is_not_said_of_another_task_of_its_rank_0() {
    let mut world = World::new(0, false);
    let task = |job: &str, generation: u64, rank: u32| Task {
        job: job.into(),
        generation: Generation(generation),
        stage: Stage::Train,
        rank: Rank(rank),
        world: 2,
        submitted: Default::default(),
        newest_checkpoint: None,
        doing: Doing::Waiting,
        said: Default::default(),
    };
    for rank in 0..2 {
        world.start_another(rank);
        let task = task("a", 1, rank as u32);
        world.join_run(rank, &task);
        world.processes[rank].task = Some(task);
    }
    world.meet(0, Generation(1));
    world.processes[0].task = Some(Task { doing: Doing::Working, ..task("b", 2, 0) });
    world.meet(1, Generation(1));
    let said = world.processes[0].task.as_ref().map(|task| task.said.started.is_some());
    assert_eq!(said, Some(false), "where a began is said of b");
}
