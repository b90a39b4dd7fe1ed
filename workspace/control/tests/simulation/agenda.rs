//! What happens next.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use twinspire_control::{Failure, Generation, JobName, Order, Time};

use crate::{network::Message, process::Deed, users::Op};

/// What happens at some time.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// The coordinator of this number looks at its clock.
    Tick(u64),
    /// A message reaches the coordinator.
    Arrive(usize, Box<Message>),
    /// An order reaches a process.
    Deliver(usize, Generation, Box<Order>),
    /// A process finds its connection ended.
    Closed(usize),
    /// A process was seen to end.
    Seen(u64, usize),
    /// A user's request reaches the coordinator; its answer reaches the user.
    Asked(usize, Op),
    Answered(usize, u64, Result<(), String>),
    /// A user thinks of something.
    User(usize),
    /// A process is due to say that it lives; to connect; to do something about its task.
    Beat(usize),
    Connect(usize),
    Do(usize, Generation, Deed),
    /// A process is ready for a training, or could not get so.
    GotReady(usize, JobName, Time, Option<Failure>),
    /// A generation is due for its next step.
    Step(Generation),
    /// Something goes wrong.
    Fault,
    /// A process is started on a host; is killed because it did not end in time.
    Start(usize),
    Kill(usize),
    /// A partition ends.
    Rejoin(usize),
    /// A coordinator begins.
    Elect,
    /// Faults stop.
    Heal,
}

/// Something to happen. What was added first happens first, of what happens at the same time.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) at: u64,
    number: u64,
    pub(crate) happening: Happening,
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Due) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// Everything that is to happen.
#[derive(Default)]
pub(crate) struct Agenda {
    due: BinaryHeap<Reverse<Due>>,
    pub(crate) events: u64,
}

impl Agenda {
    pub(crate) fn add(&mut self, at: u64, happening: Happening) {
        self.events += 1;
        self.due.push(Reverse(Due { at, number: self.events, happening }));
    }

    pub(crate) fn next(&mut self) -> Option<Due> {
        self.due.pop().map(|Reverse(due)| due)
    }

    /// Later, but still before what was added after it.
    pub(crate) fn put_off(&mut self, due: Due, at: u64) {
        self.due.push(Reverse(Due { at, ..due }));
    }
}
