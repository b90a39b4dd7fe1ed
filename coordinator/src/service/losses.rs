//! The loss of a job's training from its beginning to now, in bounded space.

/// Points kept of a job.
const MOST: usize = 512;

/// The loss after a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossPoint {
    /// The step.
    pub step: u64,
    /// Its loss.
    pub loss: f64,
}

/// A curve that is thinned as it grows: always from the first step seen to the last.
#[derive(Debug, Default)]
pub(super) struct Losses {
    points: Vec<LossPoint>,
    /// Steps between two points that are kept.
    gap: u64,
    /// The newest, which may not be one to keep.
    newest: Option<LossPoint>,
}

impl Losses {
    /// Takes in the loss after a step. Training that goes on from an earlier step takes back what
    /// came after it.
    pub(super) fn push(&mut self, step: u64, loss: f64) {
        if !loss.is_finite() {
            return;
        }
        let point = LossPoint { step, loss };
        let keep = self.points.partition_point(|earlier| earlier.step < step);
        self.points.truncate(keep);
        self.newest = Some(point);
        if self.points.last().is_none_or(|last| step - last.step >= self.gap) {
            self.points.push(point);
        }
        if self.points.len() >= MOST {
            self.thin();
        }
    }

    /// The curve.
    pub(super) fn points(&self) -> Vec<LossPoint> {
        let mut points = self.points.clone();
        let last = points.last().map(|last| last.step);
        points.extend(self.newest.filter(|newest| last.is_none_or(|last| last < newest.step)));
        points
    }

    fn thin(&mut self) {
        let mut index = 0;
        self.points.retain(|_| {
            index += 1;
            index % 2 == 1
        });
        if let (Some(first), Some(last)) = (self.points.first(), self.points.last()) {
            self.gap = (last.step - first.step) / (MOST as u64 / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_curve_is_bounded_and_goes_from_the_first_step_to_the_last(
            strides in proptest::collection::vec(1u64..50, 1..5000),
        ) {
            let mut losses = Losses::default();
            let mut step = 0;
            for stride in &strides {
                step += stride;
                losses.push(step, 1.0 / step as f64);
            }
            let points = losses.points();
            prop_assert!(points.len() <= MOST);
            prop_assert_eq!(points.first().map(|point| point.step), strides.first().copied());
            prop_assert_eq!(points.last().map(|point| point.step), Some(step));
            prop_assert!(points.is_sorted_by(|one, other| one.step < other.step));
        }
    }

    #[test]
    fn a_long_curve_keeps_some_hundreds_of_points_evenly() {
        let mut losses = Losses::default();
        (1..=100_000).for_each(|step| losses.push(step, 0.5));
        let points = losses.points();
        assert!(points.len() > MOST / 3, "{}", points.len());
        let widest = points.windows(2).map(|pair| pair[1].step - pair[0].step).max();
        assert!(widest < Some(100_000 / 100), "{widest:?}");
    }

    #[test]
    fn what_is_trained_again_replaces_what_was_lost() {
        let mut losses = Losses::default();
        (1..=10).for_each(|step| losses.push(step, 1.0));
        losses.push(7, 2.0);
        losses.push(8, f64::NAN);
        let points = losses.points();
        assert_eq!(points.len(), 7);
        assert_eq!(points.last(), Some(&LossPoint { step: 7, loss: 2.0 }));
    }
}
