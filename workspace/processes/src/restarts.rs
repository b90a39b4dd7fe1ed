//! Whether, and when, a process that ended is started again.

use std::time::Duration;

/// The exit code of a process that wants to be started again at once: it has something it cannot
/// let go of in any other way. (EX_TEMPFAIL of sysexits.h.)
pub const RESTART: i32 = 75;

/// The exit code of wrong arguments: starting it again would change nothing.
const USAGE: i32 = 2;

/// A process that ended sooner than this did not get far.
const SHORT_LIFE: Duration = Duration::from_secs(10);

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is known of a child's earlier lives.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    /// Short lives in a row that ended in a crash.
    crashes: u32,
}

impl Restarts {
    /// When it is started again after this end; none: not at all. The first crash costs no pause,
    /// those that follow at once longer and longer ones.
    pub(crate) fn after(&mut self, code: i32, lived: Duration) -> Option<Duration> {
        match code {
            0 | USAGE => None,
            RESTART => Some(Duration::ZERO),
            _ if lived >= SHORT_LIFE => {
                self.crashes = 0;
                Some(Duration::ZERO)
            }
            _ => {
                self.crashes += 1;
                let doublings = self.crashes.saturating_sub(2).min(16);
                let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
                Some(if self.crashes == 1 { Duration::ZERO } else { pause })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn crashes_that_follow_at_once_are_paused_for_longer_and_longer() {
        let mut restarts = Restarts::default();
        let pauses: Vec<u64> =
            (0..9).filter_map(|_| restarts.after(1, SHORT)).map(|pause| pause.as_secs()).collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(restarts.after(137, LONG), Some(Duration::ZERO), "that one got somewhere");
        assert_eq!(restarts.after(1, SHORT), Some(Duration::ZERO));
    }

    #[test]
    fn who_asks_for_it_is_started_again_at_once() {
        let mut restarts = Restarts::default();
        assert!((0..100).all(|_| restarts.after(RESTART, SHORT) == Some(Duration::ZERO)));
    }

    #[test]
    fn who_ended_in_good_order_or_was_started_wrongly_is_not_started_again() {
        assert_eq!(Restarts::default().after(0, SHORT), None);
        assert_eq!(Restarts::default().after(2, SHORT), None);
    }
}
