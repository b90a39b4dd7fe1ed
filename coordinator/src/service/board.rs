//! What people see: every job's present state, its progress and its history.
//!
//! The engine writes, requests read, and nobody waits for the engine to be shown something.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use twinspire_control::{Job, JobName, Notice, Phase, Progress, Spent, Started, TaskResult, Time, Validated};
use twinspire_job::JobSpec;

use super::losses::{LossPoint, Losses};
use crate::display::in_words;

/// Events kept of a job.
pub(super) const EVENTS: usize = 1000;

/// Something that happened to a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happening {
    /// Counts up from 1.
    pub sequence: u64,
    /// When.
    pub at: Time,
    /// What kind of thing.
    pub kind: String,
    /// In words.
    pub message: String,
    /// How long it took, of what takes time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
}

/// A job, as people see it.
#[derive(Clone, Debug)]
pub struct View {
    /// What was decided about it.
    pub job: Arc<Job>,
    /// What it was submitted with.
    pub spec: Arc<JobSpec>,
    /// How far its task is.
    pub progress: Option<Progress>,
    /// Where training began, and when.
    pub started: Option<(Time, Started)>,
    /// When this coordinator first heard of a step of the present training, and of which: what is
    /// left is reckoned from there.
    pub paced: Option<(Time, u64)>,
    /// Its last evaluation during training.
    pub validated: Option<Validated>,
    /// Where the time of its training went.
    pub spent: Option<Spent>,
    /// Since when checkpoints cannot be written, and why.
    pub trouble: Option<(Time, String)>,
    /// What its stages came to, the newest of each.
    pub results: Vec<TaskResult>,
    /// What the last evaluation came to that was asked for when it was over.
    pub asked_for: Option<TaskResult>,
}

impl View {
    /// Somebody paused it, and it has stopped.
    pub fn is_paused(&self) -> bool {
        self.job.phase == Phase::Paused
    }
}

struct Entry {
    view: View,
    happened: VecDeque<Happening>,
    losses: Losses,
    changes: watch::Sender<u64>,
}

/// Who wants to hear of everything.
type Listener = mpsc::UnboundedSender<(JobName, Notice)>;

/// What people see.
#[derive(Default)]
pub struct Board {
    entries: Mutex<BTreeMap<JobName, Entry>>,
    listeners: Mutex<Vec<Listener>>,
}

impl Board {
    /// A job.
    pub fn job(&self, name: &JobName) -> Option<View> {
        self.with(|entries| entries.get(name).map(|entry| entry.view.clone()))
    }

    /// All jobs, in the order they were submitted.
    pub fn jobs(&self) -> Vec<View> {
        let mut jobs: Vec<View> =
            self.with(|entries| entries.values().map(|entry| entry.view.clone()).collect());
        jobs.sort_by_key(|view| view.job.sequence);
        jobs
    }

    /// What happened to a job after the event of this number.
    pub fn events(&self, name: &JobName, after: u64) -> Option<Vec<Happening>> {
        self.with(|entries| {
            let happened = &entries.get(name)?.happened;
            Some(happened.iter().filter(|event| event.sequence > after).cloned().collect())
        })
    }

    /// The loss of a job's training, as far as this coordinator has seen it.
    pub fn losses(&self, name: &JobName) -> Option<Vec<LossPoint>> {
        self.with(|entries| Some(entries.get(name)?.losses.points()))
    }

    /// Pending jobs that go before this one.
    pub fn ahead_of(&self, job: &Job) -> Vec<JobName> {
        if job.phase != Phase::Pending {
            return Vec::new();
        }
        let pending = self.jobs().into_iter().map(|view| view.job).filter(|job| job.phase == Phase::Pending);
        let mut ahead: Vec<Arc<Job>> = pending.filter(|other| other.rank() < job.rank()).collect();
        ahead.sort_by_key(|job| job.rank());
        ahead.iter().map(|job| job.name().clone()).collect()
    }

    /// Changes of a job: the value counts them.
    pub fn changes(&self, name: &JobName) -> Option<watch::Receiver<u64>> {
        self.with(|entries| entries.get(name).map(|entry| entry.changes.subscribe()))
    }

    /// Waits until a job is as wanted; `None` when it is deleted first.
    pub async fn until(&self, name: &JobName, wanted: impl Fn(&View) -> bool) -> Option<View> {
        let mut changes = self.changes(name)?;
        loop {
            changes.borrow_and_update();
            let view = self.job(name)?;
            if wanted(&view) {
                return Some(view);
            }
            changes.changed().await.ok()?;
        }
    }

    /// Every notice from now on.
    pub fn listen(&self) -> mpsc::UnboundedReceiver<(JobName, Notice)> {
        let (listener, notices) = mpsc::unbounded_channel();
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
        notices
    }

    /// Puts a job up, or what was decided about it since.
    pub(super) fn put(&self, job: &Job, spec: &Arc<JobSpec>) {
        self.with(|entries| match entries.get_mut(job.name()) {
            Some(entry) => {
                entry.view.job = Arc::new(job.clone());
                if !job.phase.is_active() {
                    entry.view.progress = None;
                    entry.view.trouble = None;
                }
                entry.changes.send_modify(|count| *count += 1);
            }
            None => {
                let view = View {
                    job: Arc::new(job.clone()),
                    spec: Arc::clone(spec),
                    progress: None,
                    started: None,
                    paced: None,
                    validated: None,
                    spent: None,
                    trouble: None,
                    results: Vec::new(),
                    asked_for: None,
                };
                let entry = Entry {
                    view,
                    happened: VecDeque::new(),
                    losses: Losses::default(),
                    changes: watch::channel(0).0,
                };
                entries.insert(job.name().clone(), entry);
            }
        });
    }

    /// What happened to a job before this coordinator.
    pub(super) fn remember(&self, name: &JobName, happened: Vec<Happening>) {
        self.with(|entries| {
            if let Some(entry) = entries.get_mut(name) {
                entry.happened = happened.into();
            }
        });
    }

    /// Results of a job from before this coordinator; newer ones stay.
    pub(super) fn found(&self, name: &JobName, results: Vec<TaskResult>) {
        self.with(|entries| {
            let Some(entry) = entries.get_mut(name) else { return };
            let present = &mut entry.view.results;
            let missing =
                results.into_iter().filter(|found| !present.iter().any(|one| is_same_kind(one, found)));
            let missing: Vec<TaskResult> = missing.collect();
            // Before those that have come since: the newest is last.
            present.splice(..0, missing);
        });
    }

    /// Takes a job down.
    pub(super) fn remove(&self, name: &JobName) {
        self.with(|entries| entries.remove(name));
    }

    /// One more stage of a job that was over came to this.
    pub(super) fn also_came_to(&self, name: &JobName, result: &TaskResult) {
        self.with(|entries| {
            if let Some(entry) = entries.get_mut(name) {
                entry.also_came_to(result);
            }
        });
    }

    /// A stage of a job came to this.
    pub(super) fn came_to(&self, name: &JobName, result: &TaskResult) {
        self.with(|entries| {
            if let Some(entry) = entries.get_mut(name) {
                entry.came_to(result);
            }
        });
    }

    /// What is to be remembered of a notice, before anybody hears of it: a number that somebody has seen is never
    /// another event's, whoever leads next.
    pub(super) fn to_remember(&self, name: &JobName, notice: &Notice, now: Time) -> Option<Happening> {
        self.with(|entries| {
            let entry = entries.get(name)?;
            // Workers tell the next coordinator again what they told the last.
            let again = match notice {
                Notice::Started(_) => entry.began().is_some(),
                // It is tried again and again, and so are those after it.
                Notice::CheckpointDelayed { .. } | Notice::CheckpointFailed { .. } => {
                    entry.view.trouble.is_some()
                }
                _ => false,
            };
            let (kind, message) = in_words(notice).filter(|_| !again)?;
            let sequence = entry.happened.back().map_or(0, |last| last.sequence) + 1;
            let took_ms = match notice {
                Notice::WentOn { after, .. } => Some(after.as_millis() as u64),
                _ => None,
            };
            Some(Happening { sequence, at: now, kind: kind.to_owned(), message, took_ms })
        })
    }

    /// Something happened, and this was remembered of it.
    pub(super) fn tell(&self, name: &JobName, notice: Notice, happening: Option<Happening>, now: Time) {
        self.with(|entries| {
            let Some(entry) = entries.get_mut(name) else { return };
            entry.take_in(&notice, now);
            entry.happened.extend(happening);
            if entry.happened.len() > EVENTS {
                entry.happened.pop_front();
            }
            entry.changes.send_modify(|count| *count += 1);
        });
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.send((name.clone(), notice.clone())).is_ok());
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<JobName, Entry>) -> T) -> T {
        // A panic elsewhere leaves plain data behind: it is still good to show.
        act(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Entry {
    /// When training began, if it was said to have begun since workers were last assigned.
    fn began(&self) -> Option<Time> {
        let mut since = self.happened.iter().rev().take_while(|event| event.kind != "assigned");
        since.find(|event| event.kind == "started").map(|event| event.at)
    }

    fn came_to(&mut self, result: &TaskResult) {
        self.view.results.retain(|earlier| !is_same_kind(earlier, result));
        self.view.results.push(result.clone());
    }

    /// An evaluation that was asked for later stands beside the job's own.
    fn also_came_to(&mut self, result: &TaskResult) {
        match result {
            TaskResult::Evaluated { .. } => self.view.asked_for = Some(result.clone()),
            _ => self.came_to(result),
        }
    }

    fn take_in(&mut self, notice: &Notice, now: Time) {
        let view = &mut self.view;
        match notice {
            Notice::Progress(progress) => {
                // Training is where it was while it evaluates.
                let training =
                    progress.training.or(view.progress.as_ref().and_then(|before| before.training));
                view.spent = training.map(|training| training.spent).or(view.spent);
                view.progress = Some(Progress { training, ..progress.clone() });
                if let Some(training) = &progress.training {
                    self.losses.push(training.step, training.loss);
                    view.paced.get_or_insert((now, training.step));
                }
            }
            Notice::Started(started) => {
                self.view.started = Some((self.began().unwrap_or(now), started.clone()));
            }
            Notice::Validated(validated) => view.validated = Some(validated.clone()),
            Notice::CheckpointDelayed { message, .. } | Notice::CheckpointFailed { message, .. } => {
                let since = view.trouble.as_ref().map_or(now, |(since, _)| *since);
                view.trouble = Some((since, message.clone()));
            }
            Notice::Committed { .. } => view.trouble = None,
            Notice::Done(result) => self.came_to(result),
            Notice::AlsoDone(result) => self.also_came_to(result),
            Notice::Assigned { .. } => {
                view.progress = None;
                view.started = None;
                view.paced = None;
            }
            _ => {}
        }
    }
}

fn is_same_kind(a: &TaskResult, b: &TaskResult) -> bool {
    match (a, b) {
        (TaskResult::Evaluated { split: a, .. }, TaskResult::Evaluated { split: b, .. }) => a == b,
        _ => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}
