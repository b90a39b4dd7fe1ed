//! Checkpoints of rank 0 that are begun and not committed.

use std::{collections::BTreeMap, time::Duration};

/// Checkpoints that may wait for the order to commit: with more of them, the oldest is given up.
/// Workers say which parts they wrote of the newest two only, when they connect again.
const MOST_WAITING: usize = 4;

/// A checkpoint waits so long for the order, counting only time with a coordinator: twice as long
/// as another rank tries to write its part.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// Checkpoints by step: `D` is what they are committed with.
#[derive(Debug)]
pub(super) struct Pending<D> {
    waiting: BTreeMap<u64, Waiting<D>>,
    ordered: BTreeMap<u64, (D, Vec<String>)>,
    /// The newest that was begun.
    newest: Option<u64>,
    /// The newest that is visible.
    visible: Option<u64>,
}

#[derive(Debug)]
struct Waiting<D> {
    draft: D,
    waited: Duration,
}

/// What became of an order to commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ordered {
    /// It is to be committed.
    Yes,
    /// One of this step, or a newer one, is visible: coordinators repeat themselves.
    Visible(u64),
    /// It is being committed, or was given up.
    Decided,
    /// There was never such a checkpoint.
    Unknown,
}

impl<D> Pending<D> {
    pub(super) fn new() -> Pending<D> {
        Pending { waiting: BTreeMap::new(), ordered: BTreeMap::new(), newest: None, visible: None }
    }

    /// One is begun; those that are given up for it.
    pub(super) fn begin(&mut self, step: u64, draft: D) -> Vec<u64> {
        self.waiting.insert(step, Waiting { draft, waited: Duration::ZERO });
        self.newest = self.newest.max(Some(step));
        let too_many = self.waiting.len().saturating_sub(MOST_WAITING);
        std::iter::from_fn(|| self.waiting.pop_first()).take(too_many).map(|(step, _)| step).collect()
    }

    /// All parts of one are written.
    pub(super) fn order(&mut self, step: u64, parts: Vec<String>) -> Ordered {
        match self.waiting.remove(&step) {
            Some(Waiting { draft, .. }) => {
                self.ordered.insert(step, (draft, parts));
                Ordered::Yes
            }
            None if self.newest.is_none_or(|newest| step > newest) => Ordered::Unknown,
            None => match self.visible.filter(|visible| step <= *visible) {
                Some(visible) => Ordered::Visible(visible),
                None => Ordered::Decided,
            },
        }
    }

    /// One is visible.
    pub(super) fn committed(&mut self, step: u64) {
        self.visible = self.visible.max(Some(step));
    }

    /// The next to commit. Older ones that still wait need not any more.
    pub(super) fn next(&mut self) -> Option<(u64, D, Vec<String>)> {
        let (step, (draft, parts)) = self.ordered.pop_first()?;
        self.waiting = self.waiting.split_off(&step);
        Some((step, draft, parts))
    }

    /// More time went by; those that have waited too long.
    pub(super) fn wait(&mut self, span: Duration) -> Vec<u64> {
        let mut overdue = Vec::new();
        self.waiting.retain(|step, waiting| {
            waiting.waited += span;
            let goes_on = waiting.waited < PATIENCE;
            if !goes_on {
                overdue.push(*step);
            }
            goes_on
        });
        overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(steps: &[u64]) -> Pending<()> {
        let mut pending = Pending::new();
        for step in steps {
            assert!(pending.begin(*step, ()).is_empty());
        }
        pending
    }

    #[test]
    fn a_checkpoint_is_committed_once_however_often_that_is_ordered() {
        let mut pending = pending(&[10]);
        assert_eq!(pending.order(10, vec!["a".into()]), Ordered::Yes);
        assert_eq!(pending.order(10, Vec::new()), Ordered::Decided);
        assert_eq!(pending.next(), Some((10, (), vec!["a".into()])));
        assert_eq!(pending.order(10, Vec::new()), Ordered::Decided);
        pending.committed(10);
        assert_eq!(pending.order(10, Vec::new()), Ordered::Visible(10));
        assert_eq!(pending.next(), None);
        assert_eq!(pending.order(20, Vec::new()), Ordered::Unknown);
    }

    #[test]
    fn orders_are_carried_out_oldest_first_and_end_the_wait_of_those_before() {
        let mut pending = pending(&[10, 20, 30]);
        pending.order(30, Vec::new());
        pending.order(20, Vec::new());
        assert_eq!(pending.next().map(|next| next.0), Some(20));
        pending.committed(20);
        assert_eq!(pending.order(10, Vec::new()), Ordered::Visible(20), "a newer one is there");
        assert_eq!(pending.next().map(|next| next.0), Some(30));
    }

    #[test]
    fn of_checkpoints_nobody_orders_the_oldest_are_given_up() {
        let mut pending = pending(&[10, 20, 30, 40]);
        assert_eq!(pending.begin(50, ()), [10]);
        assert_eq!(pending.order(20, Vec::new()), Ordered::Yes);
        assert!(pending.begin(60, ()).is_empty(), "one that is ordered does not wait any more");
        assert_eq!(pending.begin(70, ()), [30]);
        assert_eq!(pending.order(30, Vec::new()), Ordered::Decided);
    }

    #[test]
    fn patience_with_a_coordinator_ends() {
        let mut pending = pending(&[10]);
        assert!(pending.wait(PATIENCE / 2).is_empty());
        assert!(pending.begin(20, ()).is_empty());
        assert_eq!(pending.wait(PATIENCE / 2), [10]);
        assert_eq!(pending.wait(PATIENCE / 2), [20]);
    }
}
