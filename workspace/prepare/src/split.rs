//! Which of a user's actions train, validate and test: pure decisions.

use twinspire_job::{SplitSpec, parse_instant};

use crate::PrepareError;
use crate::event::Event;

/// A split, ready to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Split {
    /// A user's last positive tests, the one before it validates.
    LeaveOneOut,
    /// Milliseconds since 1970 at which validation and test begin.
    ByTime { validation: i64, test: i64 },
    /// By the file an action is in.
    Files,
}

/// What becomes of a user's actions: `[0, train_end)` train, `[train_end, validation_end)`
/// validate, `[validation_end, len)` test, what is after `len` is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) len: usize,
    pub(crate) train_end: usize,
    pub(crate) validation_end: usize,
}

impl Split {
    pub(crate) fn of(spec: &SplitSpec, has_time: bool) -> Result<Split, PrepareError> {
        match spec {
            SplitSpec::LeaveOneOut => Ok(Split::LeaveOneOut),
            SplitSpec::Files { .. } => Ok(Split::Files),
            SplitSpec::ByTime { .. } if !has_time => Err(PrepareError::BadSplit {
                field: "kind",
                why: "by_time needs a log with timestamps: set log.columns.timestamp, or split by leave_one_out"
                    .into(),
            }),
            SplitSpec::ByTime { validation, test } => {
                let instant = |field, text: &String| {
                    parse_instant(text).map_err(|_| PrepareError::BadSplit {
                        field,
                        why: format!("`{text}` is no date or time: write 2024-03-01 or 2024-03-01T12:00:00Z"),
                    })
                };
                let (validation, test) = (instant("validation", validation)?, instant("test", test)?);
                if validation > test {
                    return Err(PrepareError::BadSplit {
                        field: "test",
                        why: "it is before split.validation; validation comes first".into(),
                    });
                }
                Ok(Split::ByTime { validation, test })
            }
        }
    }

    /// Cuts a user's actions, which are in their order. `positive` by action.
    pub(crate) fn cut(&self, events: &[Event], positive: &[bool]) -> Cut {
        let len = events.len();
        match *self {
            Split::LeaveOneOut => {
                let is_positive =
                    |event: &Event| positive.get(event.action as usize).copied().unwrap_or(false);
                let mut last = events.iter().enumerate().rev().filter(|(_, event)| is_positive(event));
                match (last.next(), last.next(), last.next()) {
                    (Some((test, _)), Some((validation, _)), Some(_)) => {
                        Cut { len: test + 1, train_end: validation, validation_end: test }
                    }
                    _ => Cut { len, train_end: len, validation_end: len },
                }
            }
            Split::ByTime { validation, test } => Cut {
                len,
                train_end: events.partition_point(|event| event.time < validation),
                validation_end: events.partition_point(|event| event.time < test),
            },
            Split::Files => Cut {
                len,
                train_end: events.partition_point(|event| event.part() < 1),
                validation_end: events.partition_point(|event| event.part() < 2),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::event::TimeKind;
    use crate::input::Part;

    fn event(time: i64, action: u8) -> Event {
        Event::new(time, TimeKind::Milliseconds, 0, 0, 0.0, action, 0, Part::Train)
    }

    fn actions(codes: &[u8]) -> Vec<Event> {
        codes.iter().enumerate().map(|(i, code)| event(i as i64, *code)).collect()
    }

    #[test]
    fn leave_one_out_holds_out_the_last_two_positives() {
        // 1 is positive, 0 is not.
        let cut = Split::LeaveOneOut.cut(&actions(&[1, 0, 1, 0, 1, 0, 1, 0]), &[false, true]);
        assert_eq!(cut, Cut { len: 7, train_end: 4, validation_end: 6 });
    }

    #[test]
    fn users_with_fewer_than_three_positives_only_train() {
        let cut = Split::LeaveOneOut.cut(&actions(&[1, 0, 1, 0]), &[false, true]);
        assert_eq!(cut, Cut { len: 4, train_end: 4, validation_end: 4 });
    }

    #[test]
    fn by_time_an_action_at_the_boundary_belongs_to_the_later_part() {
        let split = SplitSpec::ByTime {
            validation: "1970-01-01T00:00:00.002Z".into(),
            test: "1970-01-01T00:00:00.004Z".into(),
        };
        let cut = Split::of(&split, true).unwrap().cut(&actions(&[0; 6]), &[true]);
        assert_eq!(cut, Cut { len: 6, train_end: 2, validation_end: 4 });
    }

    #[test]
    fn a_split_that_cannot_be_applied_is_refused() {
        let by_time = |validation: &str, test: &str| SplitSpec::ByTime {
            validation: validation.into(),
            test: test.into(),
        };
        for (split, has_time) in [
            (by_time("2024-01-01", "2024-02-01"), false),
            (by_time("soon", "2024-02-01"), true),
            (by_time("2024-02-01", "2024-01-01"), true),
        ] {
            assert_eq!(Split::of(&split, has_time).unwrap_err().code(), "TW2016");
        }
    }

    proptest! {
        #[test]
        fn parts_never_overlap_and_leave_one_out_drops_only_what_follows_the_last_positive(
            codes in proptest::collection::vec(0u8..3, 0..40)
        ) {
            let positive = [false, true, true];
            let events = actions(&codes);
            for split in [Split::LeaveOneOut, Split::ByTime { validation: 5, test: 9 }, Split::Files] {
                let cut = split.cut(&events, &positive);
                prop_assert!(cut.train_end <= cut.validation_end && cut.validation_end <= cut.len);
                prop_assert!(cut.len <= events.len());
                prop_assert!(codes[cut.len..].iter().all(|code| !positive[*code as usize]));
            }
        }
    }
}
