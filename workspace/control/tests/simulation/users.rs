//! People: they submit, change their minds, and ask again when no answer comes.

use std::collections::BTreeMap;

use rand::{Rng, seq::IndexedRandom};
use twinspire_control::{Generation, JobName, Phase, Request, Split, Stage, Verb, Wish, WorkerName};

use crate::{agenda::Happening, promises::Promised, world::World};

/// How long an answer is waited for.
const PATIENCE: u64 = 3000;

/// A request, under the number of its latest try.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    pub(crate) number: u64,
    pub(crate) verb: Verb,
}

/// Somebody with a job in mind; the first one has the workers in mind.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) job: JobName,
    request: Option<Request>,
    keys: u64,
    /// What was asked and not answered.
    pub(crate) op: Option<Op>,
    tries: u64,
    idle_until: u64,
    /// What was answered, and so must hold.
    pub(crate) promised: Promised,
    /// Workers that must get no newer tasks than these.
    pub(crate) drained: BTreeMap<WorkerName, Generation>,
    /// When faults are over, it goes on with a paused job.
    resumes: bool,
}

impl User {
    pub(crate) fn new(number: usize, world: &mut World) -> User {
        User {
            job: JobName::from(format!("job-{number}")),
            request: None,
            keys: 0,
            op: None,
            tries: 0,
            idle_until: 0,
            promised: Promised::default(),
            drained: BTreeMap::new(),
            resumes: world.one_in(2),
        }
    }
}

impl World {
    /// A user asks for something, asks again, or waits.
    pub(crate) fn think(&mut self, user: usize) {
        if self.users[user].op.is_none() {
            if self.now < self.users[user].idle_until && self.healed.is_none() {
                let then = self.users[user].idle_until.min(self.now + PATIENCE);
                return self.at(then, Happening::User(user));
            }
            let verb = if self.healed.is_some() { self.last_wish(user) } else { self.idea(user) };
            if let Some(verb) = verb {
                self.note(|_| format!("user {user} wants {verb:?}"));
                self.users[user].about_to_ask(&verb);
                self.users[user].op = Some(Op { number: 0, verb });
            }
        }
        let User { op, tries, .. } = &mut self.users[user];
        if let Some(op) = op {
            // The one before has given up waiting.
            *tries += 1;
            op.number = *tries;
            let op = op.clone();
            if !self.chance(0.05) {
                self.within(50, Happening::Asked(user, op));
            }
        }
        self.after(PATIENCE, Happening::User(user));
    }

    pub(crate) fn answered(&mut self, user: usize, number: u64, answer: Result<(), String>) {
        let asked = &mut self.users[user];
        let Some(op) = asked.op.take_if(|op| op.number == number) else { return };
        let idle = self.draw(0, self.climate.idle_user.saturating_mul(2));
        let asked = &mut self.users[user];
        asked.idle_until = self.now.saturating_add(idle);
        asked.was_answered(op.verb, answer);
    }

    fn phase(&self, user: usize) -> Option<(Phase, Wish)> {
        let coordinator = self.coordinator.as_ref()?;
        let job = coordinator.state.job(&self.users[user].job)?;
        Some((job.phase, job.wish))
    }

    fn idea(&mut self, user: usize) -> Option<Verb> {
        if user == 0 {
            if self.climate.idle_user == u64::MAX {
                return None;
            }
            let host = self.rng.random_range(0..self.climate.hosts.len());
            let worker = WorkerName::from(format!("host-{host}"));
            return Some(if self.one_in(2) { Verb::Drain(worker) } else { Verb::Undrain(worker) });
        }
        let job = self.users[user].job.clone();
        if self.users[user].promised.exists != Some(true) {
            return Some(self.submission(user));
        }
        let steps = [Stage::Export { step: None }, Stage::Evaluate { split: Split::Validation, step: None }];
        let extra = *steps.choose(&mut self.rng).unwrap_or(&steps[0]);
        let likely: Vec<Verb> = match self.phase(user) {
            Some((Phase::Paused, _)) => vec![Verb::Resume(job.clone()), Verb::Delete(job.clone())],
            Some((Phase::Failed | Phase::Cancelled, _)) => {
                vec![Verb::Retry(job.clone()), Verb::Delete(job.clone()), Verb::Also(job.clone(), extra)]
            }
            Some((Phase::Succeeded, _)) => vec![Verb::Also(job.clone(), extra), Verb::Delete(job.clone())],
            _ => vec![Verb::Pause(job.clone()), Verb::Cancel(job.clone())],
        };
        let anything = [
            Verb::Pause(job.clone()),
            Verb::Cancel(job.clone()),
            Verb::Resume(job.clone()),
            Verb::Retry(job.clone()),
            Verb::Delete(job.clone()),
            Verb::Also(job.clone(), extra),
            Verb::Prioritise(job, self.rng.random_range(-2..=2)),
        ];
        let from = if self.one_in(4) { &anything[..] } else { &likely[..] };
        from.choose(&mut self.rng).cloned()
    }

    /// The same request as long as it is not answered; another one of that name later.
    fn submission(&mut self, user: usize) -> Verb {
        let asking = &mut self.users[user];
        asking.keys += 1;
        let (name, key) = (asking.job.to_string(), asking.keys);
        let mut request = self.climate.request(&name, key, &mut self.rng);
        let visible = self.storage.get(&request.name).and_then(|visible| visible.last().copied());
        if let Some((generation, step)) = visible {
            request.generation = request.generation.max(generation);
            request.checkpoint = Some(step);
        }
        self.users[user].request = Some(request.clone());
        Verb::Submit(Box::new(request))
    }

    /// What a user still wants when faults are over: that everything can come to an end.
    pub(crate) fn last_wish(&self, user: usize) -> Option<Verb> {
        let there = &self.users[user];
        if user == 0 {
            let drained = &self.coordinator.as_ref()?.state;
            let hosts = (0..self.climate.hosts.len()).map(|host| WorkerName::from(format!("host-{host}")));
            return hosts.into_iter().find(|worker| drained.is_drained(worker)).map(Verb::Undrain);
        }
        let (phase, wish) = self.phase(user)?;
        let request = there.request.as_ref()?;
        let suits = |stage: Stage| {
            let kinds = request.device.kinds(stage);
            let (min, _) = stage.workers(request.min_workers, request.max_workers);
            let there = |kind| self.hosts().filter(|device| *device == kind).count() as u32;
            kinds.iter().any(|kind| there(*kind) >= min)
        };
        if !phase.is_final() && wish != Wish::Cancel && !request.plan.iter().copied().all(suits) {
            return Some(Verb::Cancel(there.job.clone()));
        }
        (phase == Phase::Paused && there.resumes).then(|| Verb::Resume(there.job.clone()))
    }
}
