//! One user's actions.

use std::ops::Range;

/// One user's actions in time order, borrowed from the shard that holds them.
///
/// `[0, train_end)` is trained on, `[train_end, validation_end)` validates, the rest tests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timeline<'a> {
    /// Row id of the user.
    pub row: u64,
    /// Id of the user; empty unless it was asked for.
    pub user_id: &'a str,
    /// Item index of each action.
    pub items: &'a [i32],
    /// Kind of each action.
    pub actions: &'a [u8],
    /// Milliseconds since 1970; empty when the log has no time.
    pub timestamps: &'a [i64],
    /// Surface of each action; empty when the log has none.
    pub surfaces: &'a [u8],
    /// Seconds; empty when the log has no durations.
    pub durations: &'a [f32],
    /// Where the training part ends.
    pub train_end: usize,
    /// Where the validation part ends.
    pub validation_end: usize,
}

/// Where a user's history ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryEnd {
    /// After the training part: what validation may know.
    Train,
    /// After the validation part: what the test may know.
    Validation,
    /// After the last action: what serving knows.
    All,
}

/// A part of every timeline that is held out of training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldOut {
    /// `[train_end, validation_end)`.
    Validation,
    /// `[validation_end, len)`.
    Test,
}

impl HeldOut {
    /// What may be known when it is predicted.
    pub fn history_end(self) -> HistoryEnd {
        match self {
            HeldOut::Validation => HistoryEnd::Train,
            HeldOut::Test => HistoryEnd::Validation,
        }
    }
}

impl Timeline<'_> {
    /// Number of actions.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Index after the last action of a history.
    pub fn end(&self, end: HistoryEnd) -> usize {
        match end {
            HistoryEnd::Train => self.train_end,
            HistoryEnd::Validation => self.validation_end,
            HistoryEnd::All => self.len(),
        }
    }

    /// Actions of a held-out part.
    pub fn held_out(&self, part: HeldOut) -> Range<usize> {
        match part {
            HeldOut::Validation => self.train_end..self.validation_end,
            HeldOut::Test => self.validation_end..self.len(),
        }
    }
}
