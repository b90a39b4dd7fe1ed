//! What is held out.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

use super::{Findings, uri};
use crate::code::Code;
use crate::spec::{JobSpec, SplitSpec};

pub(super) fn check(spec: &JobSpec, found: &mut Findings) {
    let columns = &spec.log.columns;
    match &spec.split {
        SplitSpec::LeaveOneOut if columns.timestamp.is_none() && columns.order.is_none() => {
            found
                .add(
                    Code::Combination,
                    "split",
                    "leave_one_out needs to know a user's last action",
                    "set log.columns.timestamp or log.columns.order, or name the held-out rows by `kind: files`",
                )
                .because("the log has neither a timestamp nor an order column")
                .with(&["log.columns.timestamp", "log.columns.order"]);
        }
        SplitSpec::LeaveOneOut => {}
        SplitSpec::ByTime { validation, test } => {
            by_time(validation, test, found);
            if columns.timestamp.is_none() {
                found
                    .add(
                        Code::Combination,
                        "split",
                        "by_time needs timestamps",
                        "set log.columns.timestamp, or use leave_one_out",
                    )
                    .because("`log.columns.timestamp` is null")
                    .with(&["log.columns.timestamp"]);
            }
        }
        SplitSpec::Files { validation, test } => {
            uri::check_all(test, "split.test", found);
            if !validation.is_empty() {
                uri::check_all(validation, "split.validation", found);
            }
        }
    }
}

fn by_time(validation: &str, test: &str, found: &mut Findings) {
    let mut parsed = Vec::new();
    for (path, text) in [("split.validation", validation), ("split.test", test)] {
        match parse_instant(text) {
            Ok(instant) => parsed.push(instant),
            Err(what) => drop(found.add(
                Code::Form,
                path,
                what,
                "write 2014-09-30, 2014-09-30T18:00:00 (UTC) or 2014-09-30T18:00:00+02:00",
            )),
        }
    }
    if let [validation_start, test_start] = parsed[..]
        && validation_start >= test_start
    {
        let what =
            format!("the test window begins at {test}, not after the validation window ({validation})");
        found
            .add(Code::Combination, "split.test", what, "put the later date here")
            .because("actions from `validation` up to `test` validate, later ones test")
            .with(&["split.validation"]);
    }
}

/// Milliseconds since 1970 of an ISO 8601 date or time; UTC where it names no offset.
pub fn parse_instant(text: &str) -> Result<i64, String> {
    let text = text.trim();
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Ok(instant.timestamp_millis());
    }
    let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| Some(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_time(NaiveTime::MIN)));
    naive
        .map(|time| time.and_utc().timestamp_millis())
        .ok_or_else(|| format!("`{text}` is not an ISO 8601 date or time"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::parse_instant;

    #[test]
    fn dates_and_times_are_utc_unless_they_say_otherwise() {
        let midnight = 1_412_035_200_000;
        for text in [
            "2014-09-30",
            "2014-09-30T00:00",
            "2014-09-30 00:00:00",
            "2014-09-30T00:00:00.000",
            "2014-09-30T00:00:00Z",
            "2014-09-30T02:00:00+02:00",
        ] {
            assert_eq!(parse_instant(text).unwrap(), midnight, "{text}");
        }
        for text in ["", "30.9.2014", "2014-13-01", "2014-02-30", "yesterday", "1412035200"] {
            assert!(parse_instant(text).is_err(), "{text}");
        }
    }
}
