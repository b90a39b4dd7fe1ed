//! Numbers and times as people read them.

use std::time::Duration;

/// `1200` -> `1,200`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `8130 s` -> `2h 15m`.
pub fn duration(value: Duration) -> String {
    let seconds = value.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A moment, milliseconds since 1970, as `14:02 UTC`; with its date when it is not of the day of
/// `now`.
pub fn clock(unix_ms: u64, now_unix_ms: u64) -> String {
    let text = stamp(unix_ms);
    let same_day = unix_ms / 86_400_000 == now_unix_ms / 86_400_000;
    match (text.get(..10), text.get(11..16)) {
        (Some(_), Some(time)) if same_day => format!("{time} UTC"),
        (Some(date), Some(time)) => format!("{date} {time} UTC"),
        _ => text,
    }
}

/// The same as logs have it, `2026-11-21T14:02:33Z`: in order when they are sorted, whatever the day.
pub fn stamp(unix_ms: u64) -> String {
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + Duration::from_millis(unix_ms)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators() {
        assert_eq!([7, 1200, 22_363_000].map(number), ["7", "1,200", "22,363,000"]);
    }

    #[test]
    fn durations_have_two_parts_at_most() {
        let of = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!([of(9), of(75), of(8130), of(180_000)], ["9s", "1m 15s", "2h 15m", "2d 02h"]);
    }

    #[test]
    fn a_stamp_has_its_date_and_seconds() {
        assert_eq!(stamp(1_795_262_553_123), "2026-11-21T12:02:33Z");
    }

    #[test]
    fn a_moment_of_today_is_a_time_and_of_another_day_a_date_too() {
        let noon = 1_795_262_553_000;
        assert_eq!(clock(noon, noon + 1000).len(), "14:02 UTC".len());
        assert_eq!(clock(noon - 86_400_000, noon).len(), "2026-11-21 14:02 UTC".len());
    }
}
