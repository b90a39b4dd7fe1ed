//! Timestamps: text and numbers -> milliseconds, and which unit numbers are in.

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use twinspire_job::TimestampUnit;

use crate::PrepareError;
use crate::event::TimeKind;

/// 1990-01-01 and 2100-01-01 in seconds.
const EARLIEST: i64 = 631_152_000;
const LATEST: i64 = 4_102_444_800;
/// 1900-01-01 in seconds.
const ABSURD: i64 = -2_208_988_800;

/// A unit of timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeUnit {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

const UNITS: [TimeUnit; 4] =
    [TimeUnit::Seconds, TimeUnit::Milliseconds, TimeUnit::Microseconds, TimeUnit::Nanoseconds];

impl TimeUnit {
    fn per_second(self) -> i64 {
        match self {
            TimeUnit::Seconds => 1,
            TimeUnit::Milliseconds => 1_000,
            TimeUnit::Microseconds => 1_000_000,
            TimeUnit::Nanoseconds => 1_000_000_000,
        }
    }

    fn name(self) -> &'static str {
        match self {
            TimeUnit::Seconds => "s",
            TimeUnit::Milliseconds => "ms",
            TimeUnit::Microseconds => "us",
            TimeUnit::Nanoseconds => "ns",
        }
    }

    /// Milliseconds since 1970 of a time of this unit; `None` when it does not fit.
    pub(crate) fn milliseconds(self, time: i64, kind: TimeKind) -> Option<i64> {
        let scaled = match kind {
            TimeKind::Milliseconds => return Some(time),
            TimeKind::Raw => i128::from(time) * 1000,
            TimeKind::RawThousandths => i128::from(time),
        };
        i64::try_from(scaled.div_euclid(i128::from(self.per_second()))).ok()
    }
}

/// `2013-06-04`, `2013-06-04T10:00:00Z`, … as milliseconds since 1970, UTC when it does not say.
fn parse_instant(text: &str) -> Option<i64> {
    string_to_timestamp_nanos(text.trim()).ok().map(|nanos| nanos.div_euclid(1_000_000))
}

/// A time written as text: ISO 8601, or a number.
pub(super) fn parse_time(text: &str) -> Option<(i64, TimeKind)> {
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(|time| (time, TimeKind::Raw));
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        let thousandths = text.parse::<f64>().ok()? * 1000.0;
        return (thousandths.abs() < 9e18).then_some((thousandths.round() as i64, TimeKind::RawThousandths));
    }
    parse_instant(text).map(|time| (time, TimeKind::Milliseconds))
}

/// How many numeric timestamps there are of each magnitude: class 2k+1 is 1990 to 2100 in unit k,
/// the even classes lie before, between and after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimeCensus {
    counts: [u64; 9],
    /// The largest of each class, to show.
    largest: [Option<i64>; 9],
}

fn class(value: i64) -> usize {
    for (k, unit) in UNITS.iter().enumerate() {
        let value = i128::from(value);
        let scale = i128::from(unit.per_second());
        if value < i128::from(EARLIEST) * scale {
            return 2 * k;
        }
        if value < i128::from(LATEST) * scale {
            return 2 * k + 1;
        }
    }
    8
}

impl TimeCensus {
    pub(super) fn add(&mut self, time: i64, kind: TimeKind) {
        let value = match kind {
            TimeKind::Milliseconds => return,
            TimeKind::Raw => time,
            TimeKind::RawThousandths => time.div_euclid(1000),
        };
        let class = class(value);
        self.counts[class] += 1;
        self.largest[class] = self.largest[class].max(Some(value));
    }

    pub(super) fn merge(&mut self, other: &TimeCensus) {
        for class in 0..9 {
            self.counts[class] += other.counts[class];
            self.largest[class] = self.largest[class].max(other.largest[class]);
        }
    }

    /// The unit, and which values are in it.
    pub(crate) fn unit(&self, declared: TimestampUnit, column: &str) -> Result<Times, PrepareError> {
        let all: u64 = self.counts.iter().sum();
        let mut below = 0;
        let median_class = self.counts.iter().position(|count| {
            below += count;
            2 * below >= all
        });
        let class = median_class.unwrap_or_default();
        let median = self.largest[class].unwrap_or_default();
        let wrong = |unit: &str, why: &str, remedy: String| {
            let (column, unit, why) = (column.into(), unit.into(), why.into());
            Err(PrepareError::TimestampUnit { column, unit, median, why, remedy })
        };
        let seems = (class % 2 == 1).then(|| UNITS[class / 2]);
        let declared = match declared {
            TimestampUnit::Auto => None,
            TimestampUnit::S => Some(TimeUnit::Seconds),
            TimestampUnit::Ms => Some(TimeUnit::Milliseconds),
            TimestampUnit::Us => Some(TimeUnit::Microseconds),
            TimestampUnit::Ns => Some(TimeUnit::Nanoseconds),
        };
        match (declared, seems) {
            _ if all == 0 => Ok(Times { unit: TimeUnit::Milliseconds, class: None }),
            (None, Some(unit)) => Ok(Times { unit, class: Some(class) }),
            (None, None) => wrong(
                "s, ms, us or ns",
                "in none of which it lies between 1990 and 2100",
                "is it the right column? If it is, set log.timestamp_unit; if rows only have an order, name the column as log.columns.order and set log.columns.timestamp to null".into(),
            ),
            (Some(unit), Some(other)) if unit != other => wrong(
                unit.name(),
                &format!("which is a date between 1990 and 2100 in {}", other.name()),
                format!("set log.timestamp_unit: {} (or auto)", other.name()),
            ),
            (Some(unit), None)
                if class > 2 * position(unit) + 1 || median < ABSURD.saturating_mul(unit.per_second()) =>
            {
                wrong(
                    unit.name(),
                    "which is not between 1900 and 2100",
                    "is it the right column, and the right unit?".into(),
                )
            }
            (Some(unit), _) => Ok(Times { unit, class: None }),
        }
    }
}

fn position(unit: TimeUnit) -> usize {
    UNITS.iter().position(|other| *other == unit).unwrap_or_default()
}

/// What numeric timestamps are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) unit: TimeUnit,
    /// The one class of values that are in the unit; `None`: all are.
    class: Option<usize>,
}

impl Times {
    /// Milliseconds since 1970; `None` for a value out of the range.
    pub(crate) fn milliseconds(&self, time: i64, kind: TimeKind) -> Option<i64> {
        let value = match kind {
            TimeKind::Milliseconds => return Some(time),
            TimeKind::Raw => time,
            TimeKind::RawThousandths => time.div_euclid(1000),
        };
        let inside = self.class.is_none_or(|expected| class(value) == expected);
        inside.then(|| self.unit.milliseconds(time, kind)).flatten()
    }

    /// Values out of the range: how many, and the largest of each magnitude.
    pub(crate) fn outside(&self, census: &TimeCensus) -> (u64, Vec<i64>) {
        let Some(expected) = self.class else { return (0, Vec::new()) };
        let others = || (0..9).filter(|class| *class != expected);
        (
            others().map(|class| census.counts[class]).sum(),
            others().filter_map(|c| census.largest[c]).collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn census(values: &[i64]) -> TimeCensus {
        let mut census = TimeCensus::default();
        values.iter().for_each(|value| census.add(*value, TimeKind::Raw));
        census
    }

    #[test]
    fn the_unit_is_told_by_the_magnitude_of_the_median() {
        let seconds = 1_700_000_000;
        for (scale, unit) in [(1, 0), (1_000, 1), (1_000_000, 2), (1_000_000_000, 3)] {
            let times =
                census(&[seconds * scale, 0, seconds * scale + 5]).unit(TimestampUnit::Auto, "t").unwrap();
            assert_eq!(times.unit, UNITS[unit]);
            let milliseconds = times.milliseconds(seconds * scale, TimeKind::Raw);
            assert_eq!(milliseconds, Some(1_700_000_000_000));
            assert_eq!(times.milliseconds(0, TimeKind::Raw), None);
        }
    }

    #[test]
    fn numbers_that_are_dates_in_no_unit_are_refused() {
        for values in [[1, 2, 3], [20_240_101, 20_240_102, 20_240_103], [7_000_000_000, 7_000_000_001, 1]] {
            assert_eq!(census(&values).unit(TimestampUnit::Auto, "t").unwrap_err().code(), "TW2009");
        }
    }

    #[test]
    fn a_declared_unit_that_contradicts_the_numbers_is_refused_with_the_likely_one() {
        let seconds = census(&[1_700_000_000; 3]);
        let error = seconds.unit(TimestampUnit::Ms, "t").unwrap_err().to_string();
        assert!(error.contains("set log.timestamp_unit: s"), "{error}");
        assert_eq!(seconds.unit(TimestampUnit::S, "t").unwrap().unit, TimeUnit::Seconds);
        let counters = census(&[1, 2, 3]);
        assert_eq!(counters.unit(TimestampUnit::S, "t").unwrap().milliseconds(3, TimeKind::Raw), Some(3000));
    }

    #[test]
    fn text_is_a_date_a_time_or_a_number() {
        assert_eq!(parse_time("2013-06-04"), Some((1_370_304_000_000, TimeKind::Milliseconds)));
        assert_eq!(
            parse_time("2013-06-04T02:00:00+02:00"),
            Some((1_370_304_000_000, TimeKind::Milliseconds))
        );
        assert_eq!(parse_time("2013-06-04 00:00:00.5"), Some((1_370_304_000_500, TimeKind::Milliseconds)));
        assert_eq!(parse_time("978300760"), Some((978_300_760, TimeKind::Raw)));
        assert_eq!(parse_time("978300760.25"), Some((978_300_760_250, TimeKind::RawThousandths)));
        assert_eq!(parse_time("yesterday"), None);
    }
}
