//! All that is on the screen.

use std::collections::VecDeque;

use twinspire_proto::v1;

use crate::ControlError;

/// Events kept of the selected job.
const EVENTS: usize = 200;

/// All that is on the screen.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) jobs: Vec<v1::Job>,
    pub(super) workers: Vec<v1::Worker>,
    /// The name of the job that is looked at.
    pub(super) selected: Option<String>,
    /// Of the selected job.
    pub(super) losses: Vec<v1::LossPoint>,
    /// Of the selected job, the newest last.
    pub(super) events: VecDeque<v1::JobEvent>,
    /// The job that is to be cancelled, if the answer is yes.
    pub(super) asking: Option<String>,
    /// What came of the last request.
    pub(super) said: Option<String>,
    /// Why what is shown is old: the coordinator does not answer.
    pub(super) lost: Option<String>,
    pub(super) now_ms: u64,
}

/// What comes from the coordinator.
#[derive(Debug)]
pub(super) enum News {
    /// Everything, as it is now.
    Look(Box<Look>),
    /// Nobody answers, and why.
    Lost(String),
    /// What came of a request.
    Said(String),
    /// It cannot go on.
    Failed(ControlError),
}

/// Everything, as it is now.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) jobs: Vec<v1::Job>,
    pub(super) workers: Vec<v1::Worker>,
    /// More about the job that was selected.
    pub(super) detail: Option<Detail>,
}

/// More about a job.
#[derive(Debug, Default)]
pub(super) struct Detail {
    pub(super) job: String,
    pub(super) losses: Vec<v1::LossPoint>,
    /// Those that happened since the last look.
    pub(super) events: Vec<v1::JobEvent>,
}

impl State {
    /// Takes in what came from the coordinator.
    pub(super) fn take(&mut self, news: News) -> Result<(), ControlError> {
        match news {
            News::Look(look) => self.look(*look),
            News::Lost(why) => self.lost = Some(why),
            News::Said(what) => self.said = Some(what),
            News::Failed(why) => return Err(why),
        }
        Ok(())
    }

    fn look(&mut self, look: Look) {
        self.lost = None;
        self.jobs = look.jobs;
        self.workers = look.workers;
        if self.job().is_none() {
            self.select(self.jobs.first().map(|job| job.name.clone()));
        }
        // Another one may have been selected meanwhile.
        if let Some(detail) = look.detail.filter(|detail| Some(&detail.job) == self.selected.as_ref()) {
            self.losses = detail.losses;
            let seen = self.events.back().map_or(0, |last| last.sequence);
            self.events.extend(detail.events.into_iter().filter(|event| event.sequence > seen));
            let surplus = self.events.len().saturating_sub(EVENTS);
            self.events.drain(..surplus);
        }
    }

    /// The selected job.
    pub(super) fn job(&self) -> Option<&v1::Job> {
        self.index().and_then(|index| self.jobs.get(index))
    }

    /// Its place in the list.
    pub(super) fn index(&self) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        self.jobs.iter().position(|job| job.name == *selected)
    }

    /// Selects the job so many places further down.
    pub(super) fn step(&mut self, by: isize) {
        let Some(last) = self.jobs.len().checked_sub(1) else { return };
        let index = self.index().map_or(0, |index| index.saturating_add_signed(by)).min(last);
        self.select(self.jobs.get(index).map(|job| job.name.clone()));
    }

    fn select(&mut self, name: Option<String>) {
        if self.selected != name {
            self.selected = name;
            self.losses.clear();
            self.events.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(names: &[&str], detail: Option<Detail>) -> News {
        let jobs = names.iter().map(|name| v1::Job { name: (*name).into(), ..Default::default() });
        News::Look(Box::new(Look { jobs: jobs.collect(), workers: Vec::new(), detail }))
    }

    fn event(sequence: u64) -> v1::JobEvent {
        v1::JobEvent { sequence, ..Default::default() }
    }

    #[test]
    fn a_selected_job_stays_selected_where_it_goes_and_is_left_when_it_is_gone() {
        let mut state = State::default();
        assert!(state.take(look(&["a", "b", "c"], None)).is_ok());
        assert_eq!(state.selected.as_deref(), Some("a"));
        state.step(1);
        assert!(state.take(look(&["b", "c"], None)).is_ok());
        assert_eq!((state.selected.as_deref(), state.index()), (Some("b"), Some(0)));
        state.step(9);
        assert_eq!(state.selected.as_deref(), Some("c"));
        assert!(state.take(look(&["b"], None)).is_ok());
        assert_eq!(state.selected.as_deref(), Some("b"));
    }

    #[test]
    fn details_of_a_job_that_was_left_are_not_shown_and_events_come_once() {
        let mut state = State::default();
        let of = |job: &str, sequences: &[u64]| {
            let events = sequences.iter().map(|sequence| event(*sequence)).collect();
            look(&["a", "b"], Some(Detail { job: job.into(), losses: Vec::new(), events }))
        };
        assert!(state.take(of("b", &[1, 2])).is_ok());
        assert!(state.events.is_empty());
        assert!(state.take(of("a", &[1, 2])).is_ok());
        assert!(state.take(of("a", &[2, 3])).is_ok());
        assert_eq!(state.events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    }
}
