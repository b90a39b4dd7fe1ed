//! How long a rank spends meeting the others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tch::Tensor;

use crate::{Collective, CollectiveError};

/// A group that adds up the time of its operations: moving data, and waiting for the slowest rank.
pub struct Timed {
    group: Arc<dyn Collective>,
    nanoseconds: AtomicU64,
}

impl Timed {
    /// Times the operations of `group`.
    pub fn new(group: Arc<dyn Collective>) -> Timed {
        Timed { group, nanoseconds: AtomicU64::new(0) }
    }

    /// Time spent in operations so far.
    pub fn spent(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Relaxed))
    }

    fn time<T>(&self, operation: impl FnOnce(&dyn Collective) -> T) -> T {
        let begun = Instant::now();
        let result = operation(self.group.as_ref());
        self.nanoseconds.fetch_add(begun.elapsed().as_nanos() as u64, Relaxed);
        result
    }
}

impl Collective for Timed {
    fn rank(&self) -> usize {
        self.group.rank()
    }

    fn size(&self) -> usize {
        self.group.size()
    }

    fn all_reduce_sum(&self, tensor: &mut Tensor) -> Result<(), CollectiveError> {
        self.time(|group| group.all_reduce_sum(tensor))
    }

    fn all_gather(&self, tensor: &Tensor) -> Result<Vec<Tensor>, CollectiveError> {
        self.time(|group| group.all_gather(tensor))
    }

    fn reduce_scatter_sum(&self, parts: &[Tensor]) -> Result<Tensor, CollectiveError> {
        self.time(|group| group.reduce_scatter_sum(parts))
    }

    fn broadcast(&self, tensor: &mut Tensor, root: usize) -> Result<(), CollectiveError> {
        self.time(|group| group.broadcast(tensor, root))
    }

    fn barrier(&self) -> Result<(), CollectiveError> {
        self.time(|group| group.barrier())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Solo;

    /// A group whose barrier takes a while.
    struct Slow;

    const WHILE: Duration = Duration::from_millis(20);

    impl Collective for Slow {
        fn rank(&self) -> usize {
            Solo.rank()
        }

        fn size(&self) -> usize {
            Solo.size()
        }

        fn all_reduce_sum(&self, tensor: &mut Tensor) -> Result<(), CollectiveError> {
            Solo.all_reduce_sum(tensor)
        }

        fn all_gather(&self, tensor: &Tensor) -> Result<Vec<Tensor>, CollectiveError> {
            Solo.all_gather(tensor)
        }

        fn reduce_scatter_sum(&self, parts: &[Tensor]) -> Result<Tensor, CollectiveError> {
            Solo.reduce_scatter_sum(parts)
        }

        fn broadcast(&self, tensor: &mut Tensor, root: usize) -> Result<(), CollectiveError> {
            Solo.broadcast(tensor, root)
        }

        fn barrier(&self) -> Result<(), CollectiveError> {
            std::thread::sleep(WHILE);
            Ok(())
        }
    }

    #[test]
    fn operations_are_timed_and_nothing_else_is() {
        let group = Timed::new(Arc::new(Slow));
        std::thread::sleep(WHILE);
        assert_eq!(group.spent(), Duration::ZERO);
        assert!(group.barrier().is_ok() && group.barrier().is_ok());
        assert!(group.spent() >= 2 * WHILE);
    }
}
