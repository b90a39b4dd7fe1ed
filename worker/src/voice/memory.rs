//! What was said about a task.

use std::collections::{BTreeMap, VecDeque};

use twinspire_proto::v1::{Membership, worker_message::Body};

/// Checkpoints whose parts are said again: the newest, and the one before, which another rank may
/// still be at.
const PARTS: usize = 2;

/// News kept while nobody listens.
pub(super) const NEWS: usize = 16;

/// What was said about a task, as far as a coordinator that knows nothing has to be told it.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) part: Membership,
    pub(super) given_up: bool,
    rendezvous: Option<Body>,
    started: Option<Body>,
    parts: BTreeMap<u64, Body>,
    committed: Option<(u64, Body)>,
    news: VecDeque<Body>,
    pub(super) end: Option<Body>,
}

impl Memory {
    pub(super) fn new(part: Membership) -> Memory {
        Memory {
            part,
            given_up: false,
            rendezvous: None,
            started: None,
            parts: BTreeMap::new(),
            committed: None,
            news: VecDeque::new(),
            end: None,
        }
    }

    pub(super) fn remember(&mut self, body: &Body, heard: bool) {
        match body {
            Body::RendezvousReady(_) => self.rendezvous = Some(body.clone()),
            Body::TrainingStarted(_) => self.started = Some(body.clone()),
            Body::CheckpointPart(part) => {
                self.parts.insert(part.step, body.clone());
                while self.parts.len() > PARTS {
                    self.parts.pop_first();
                }
            }
            Body::CheckpointCommitted(committed) => {
                self.parts.retain(|step, _| *step > committed.step);
                self.committed = Some((committed.step, body.clone()));
            }
            Body::CheckpointFailed(failed) => {
                self.parts.remove(&failed.step);
                self.keep_news(body, heard);
            }
            Body::Validated(_) => self.keep_news(body, heard),
            Body::TaskDone(_) | Body::TaskFailed(_) => self.end = Some(body.clone()),
            // Said again by itself.
            Body::Progress(_)
            | Body::CheckpointDelayed(_)
            | Body::Pace(_)
            | Body::Heartbeat(_)
            | Body::Register(_)
            | Body::Leaving(_)
            | Body::Ready(_)
            | Body::Idle(_) => {}
        }
    }

    fn keep_news(&mut self, body: &Body, heard: bool) {
        if !heard {
            self.news.push_back(body.clone());
            while self.news.len() > NEWS {
                self.news.pop_front();
            }
        }
    }

    /// What a coordinator that knows nothing of the task must be told. News are told once.
    pub(super) fn again(&mut self) -> Vec<Body> {
        let mut all: Vec<Body> = Vec::new();
        all.extend(self.rendezvous.clone());
        all.extend(self.started.clone());
        all.extend(self.parts.values().cloned());
        all.extend(self.committed.clone().map(|(_, body)| body));
        all.extend(self.news.drain(..));
        all.extend(self.end.clone());
        all
    }
}
