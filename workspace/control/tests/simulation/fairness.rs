//! G and H: who gets workers, as it can be seen from outside.

use std::{collections::BTreeMap, time::Duration};

use twinspire_control::{Command, Device, Event, Job, Notice, Phase, State, Wish, Worker, WorkerName};

use crate::world::World;

/// Workers by kind.
type Counts = BTreeMap<Device, u32>;

fn count(state: &State, which: impl Fn(&WorkerName, &Worker) -> bool) -> Counts {
    let mut counts = Counts::new();
    for (_, worker) in state.workers().filter(|(name, worker)| worker.serves() && which(name, worker)) {
        *counts.entry(worker.device).or_default() += 1;
    }
    counts
}

fn of(counts: &Counts, kind: Device) -> u32 {
    counts.get(&kind).copied().unwrap_or(0)
}

/// A job that waits, and what for.
struct Waiting<'a> {
    job: &'a Job,
    /// Free workers that it can use.
    free: Counts,
    /// All that it could.
    all: Counts,
    min: u32,
    kinds: &'static [Device],
    /// It waits a moment for more workers, or for those who have its state.
    gathers: bool,
    /// What it holds meanwhile.
    gathered: Option<(Device, u32)>,
    /// It is out of patience, and these are the only workers that will do: they are held for it.
    holds: Option<Device>,
}

impl World {
    pub(crate) fn check_fairness(&self, event: &Event, commands: &[Command]) {
        let begins =
            |command: &Command| matches!(command, Command::Tell { notice: Notice::Assigned { .. }, .. });
        let has_begun = commands.iter().any(begins);
        let Some(coordinator) = self.coordinator.as_ref().filter(|_| has_begun || *event == Event::Tick)
        else {
            return;
        };
        let state = &coordinator.state;
        let waiting = self.waiting(state);
        check_nobody_waits_in_vain(&waiting);
        for command in commands {
            if let Command::Tell { job, notice: Notice::Assigned { workers, .. } } = command
                && let Some(begun) = state.job(job)
                && let Some(attempt) = &begun.attempt
            {
                let given = state.workers().filter(|(name, _)| workers.contains(name)).collect::<Vec<_>>();
                check_nobody_was_passed_over(&waiting, begun, attempt.device, &given);
            }
        }
    }

    fn waiting<'a>(&self, state: &'a State) -> Vec<Waiting<'a>> {
        let (now, reconnect) = (self.clock(), self.climate.policy.reconnect);
        let begun = self.coordinator.as_ref().map_or(0, |coordinator| coordinator.begun);
        let is_young = Duration::from_millis(self.now - begun) < reconnect;
        let waits = |job: &&Job| {
            let is_due = job.not_before.is_none_or(|then| then <= now);
            job.phase == Phase::Pending && job.wish == Wish::Run && is_due
        };
        let mut jobs: Vec<&Job> = state.jobs().filter(waits).collect();
        jobs.sort_by_key(|job| job.rank());
        let mut somebody_gathers = false;
        let waiting = jobs.into_iter().map(|job| {
            let stage = *job.remaining.front().expect("G: a job waits for nothing");
            let (min, max) = stage.workers(job.request.min_workers, job.request.max_workers);
            let kinds = job.request.device.kinds(stage);
            let all = count(state, |name, worker| !job.excludes(name, worker));
            let free = count(state, |name, worker| worker.is_free() && !job.excludes(name, worker));
            // Fewer than it takes may be left by those who gather before it.
            let leaves_fewer = |kind: Device| of(&free, kind) < max || somebody_gathers;
            let some = kinds.iter().any(|kind| of(&all, *kind) >= min && leaves_fewer(*kind));
            let comes_back =
                |worker: &Worker| worker.serves() && worker.returning && worker.cut_off.is_none();
            // By the newest state: that somebody has it who comes back, and nobody who is free.
            let newest = |which: &dyn Fn(&Worker) -> bool| {
                let has = |(_, worker): (_, &Worker)| worker.state_of(job).filter(|_| which(worker));
                state.workers().filter_map(has).max()
            };
            let (comes, there) = (newest(&comes_back), newest(&Worker::is_free));
            let state_comes_back = job.interrupted.is_some() && comes.is_some() && comes >= there;
            let waited = now.since(job.since);
            let gathers = ((some || state_comes_back) && waited < reconnect)
                || (some && is_young)
                || (state_comes_back && comes > there && waited < job.request.timeouts.let_go);
            let enough: Vec<Device> = kinds.iter().copied().filter(|kind| of(&all, *kind) >= min).collect();
            let patient = now.since(job.since) > self.climate.policy.patience;
            let holds = enough.first().copied().filter(|_| patient && !gathers && enough.len() == 1);
            let has_state = |(_, worker): &(_, &Worker)| worker.state_of(job) == comes.max(there);
            let of_state = state.workers().find(has_state).map(|(_, worker)| worker.device);
            let begins_on = of_state
                .filter(|_| state_comes_back)
                .or_else(|| kinds.iter().copied().find(|kind| of(&free, *kind) >= min));
            somebody_gathers |= gathers;
            let gathered = begins_on.filter(|_| gathers).map(|kind| (kind, max));
            Waiting { job, free, all, min, kinds, gathers, gathered, holds }
        });
        waiting.collect()
    }
}

/// G: whoever waits could not begin, but for workers held for somebody before it.
fn check_nobody_waits_in_vain(waiting: &[Waiting<'_>]) {
    let mut held: Vec<Device> = Vec::new();
    for Waiting { job, free, all, min, kinds, gathers, .. } in waiting {
        for kind in kinds.iter().copied() {
            let free = of(free, kind);
            let waits = held.contains(&kind) || *gathers || free < *min;
            assert!(waits, "G: {} waits for {min} of {free}: {}", job.name(), job.reason);
            if of(all, kind) >= *min {
                held.push(kind);
            }
        }
    }
}

/// H: what a job begins with, and what is left, could not have served one before it.
fn check_nobody_was_passed_over(
    waiting: &[Waiting<'_>],
    begun: &Job,
    kind: Device,
    given: &[(&WorkerName, &Worker)],
) {
    // What one before both holds is for neither.
    let mut kept = 0;
    for Waiting { job, free, min, kinds, gathers, gathered, holds, .. } in
        waiting.iter().filter(|one| one.job.rank() < begun.rank())
    {
        let of_use = given.iter().filter(|(name, worker)| !job.excludes(name, worker)).count() as u32;
        let given = (of(free, kind) + of_use).saturating_sub(kept);
        let could = kinds.contains(&kind) && given >= *min;
        let (name, before) = (begun.name(), job.name());
        assert!(*holds != Some(kind), "H: {name} began with {given} that were held for {before}");
        assert!(!could || *gathers, "H: {name} began with {given} that {before} could have had");
        kept += gathered.filter(|(held, _)| *held == kind).map_or(0, |(_, most)| most);
    }
}
