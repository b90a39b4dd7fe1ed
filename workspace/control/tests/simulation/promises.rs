//! What was answered must hold, whatever becomes of coordinators.

use twinspire_control::{Generation, Job, Phase, Verb, Wish};

use crate::{users::User, world::World};

/// What a user may rely on.
#[derive(Debug, Default)]
pub(crate) struct Promised {
    pub(crate) exists: Option<bool>,
    wish: Option<Wish>,
    /// Cancelled or paused, it has no newer attempt than this.
    generation: Generation,
    priority: Option<i32>,
    /// The generation when the answer was given.
    pub(crate) at_answer: Generation,
}

impl User {
    /// What is asked may come true before it is answered: nothing of it can be relied on till then.
    pub(crate) fn about_to_ask(&mut self, verb: &Verb) {
        match verb {
            Verb::Prioritise(..) => self.promised.priority = None,
            Verb::Undrain(worker) => drop(self.drained.remove(worker)),
            Verb::Drain(_) => {}
            Verb::Submit(_) | Verb::Delete(_) => self.promised = Promised::default(),
            _ => self.promised.wish = None,
        }
    }

    pub(crate) fn was_answered(&mut self, verb: Verb, answer: Result<(), String>) {
        let promised = &mut self.promised;
        promised.generation = promised.at_answer;
        match (verb, answer) {
            (Verb::Submit(_), Err(why)) => panic!("F: a submission is refused: {why}"),
            (Verb::Submit(_), Ok(())) => promised.exists = Some(true),
            (Verb::Delete(_), Ok(())) => promised.exists = Some(false),
            (Verb::Delete(_), Err(why)) if why.starts_with("NoJob") => promised.exists = Some(false),
            (Verb::Delete(_), Err(_)) => promised.exists = Some(true),
            (Verb::Drain(worker), Ok(())) => drop(self.drained.insert(worker, promised.at_answer)),
            (Verb::Cancel(_), Ok(())) => promised.wish = Some(Wish::Cancel),
            (Verb::Pause(_), Ok(())) => promised.wish = Some(Wish::Pause),
            (Verb::Resume(_) | Verb::Retry(_) | Verb::Also(..), Ok(())) => promised.wish = Some(Wish::Run),
            (Verb::Prioritise(_, priority), Ok(())) => promised.priority = Some(priority),
            (Verb::Drain(_) | Verb::Undrain(_), Err(_)) => {}
            (_, Err(why)) => assert!(!why.starts_with("NoJob"), "F: a job is forgotten: {why}"),
            _ => {}
        }
    }

    fn check(&self, job: Option<&Job>) {
        let Promised { exists, wish, generation, priority, .. } = &self.promised;
        let name = &self.job;
        assert!(exists.is_none_or(|exists| exists == job.is_some()), "F: {name} exists: {exists:?}?");
        let Some(job) = job else { return };
        let kept = match wish {
            None => true,
            Some(Wish::Run) => job.wish == Wish::Run || job.phase.is_final(),
            Some(Wish::Cancel) => {
                (job.wish == Wish::Cancel || job.phase.is_final()) && job.generation == *generation
            }
            Some(Wish::Pause) => {
                (job.wish == Wish::Pause || job.phase == Phase::Paused || job.phase.is_final())
                    && job.generation == *generation
            }
        };
        assert!(kept, "F: {name} was promised to {wish:?} at {generation}: {job:?}");
        assert!(priority.is_none_or(|priority| priority == job.request.priority), "F: priority of {name}");
    }
}

impl World {
    pub(crate) fn check_promises(&self) {
        let Some(coordinator) = &self.coordinator else { return };
        for user in &self.users[1..] {
            user.check(coordinator.state.job(&user.job));
        }
        for worker in self.users[0].drained.keys() {
            assert!(coordinator.state.is_drained(worker), "F: {worker} was drained");
        }
    }
}
