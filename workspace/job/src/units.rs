//! Quantities people write with a unit: `2GB`, `10s`.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A number of bytes, written `512MB`, `2GiB` or a bare integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// A length of time, written `500ms`, `10s`, `28d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// Spelling and size of the units, longest spelling first so that `B` is tried last.
const BYTE_UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// Spelling and size in nanoseconds of the units a [`Span`] is printed with, largest first.
const TIME_UNITS: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl std::str::FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let how = "write one as 512MB, 2GiB or 1000000";
        let lower = text.trim().to_ascii_lowercase();
        let (digits, scale) = BYTE_UNITS
            .iter()
            .find_map(|(unit, scale)| Some((lower.strip_suffix(&unit.to_ascii_lowercase())?.trim(), *scale)))
            .unwrap_or((lower.as_str(), 1));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if !plain(digits) || (scale == 1 && digits.contains('.')) {
            return Err(format!("`{text}` is not a size: {how}"));
        }
        let bytes = match digits.parse::<u64>() {
            Ok(whole) => whole.checked_mul(scale),
            Err(_) => {
                let value: f64 = digits.parse().map_err(|_| format!("`{text}` is not a size: {how}"))?;
                let bytes = value * scale as f64;
                (bytes < u64::MAX as f64).then_some(bytes as u64)
            }
        };
        bytes.map(ByteSize).ok_or_else(|| format!("`{text}` is more than any machine has: {how}"))
    }
}

impl std::fmt::Display for ByteSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let exact = BYTE_UNITS
            .iter()
            .filter(|(_, scale)| self.0 >= *scale && self.0.is_multiple_of(*scale))
            .max_by_key(|(_, scale)| *scale);
        match exact {
            Some((unit, scale)) => write!(f, "{}{unit}", self.0 / scale),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text.trim()).map(Span).map_err(|why| {
            format!("`{text}` is not a length of time ({why}): write one as 500ms, 10s, 15m or 28d")
        })
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, nanos) in TIME_UNITS {
            if rest >= nanos {
                write!(f, "{}{unit}", rest / nanos)?;
                rest %= nanos;
            }
        }
        Ok(())
    }
}

/// Either a bare integer or text with a unit.
#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(u64),
    Text(String),
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Number(bytes) => Ok(ByteSize(bytes)),
            NumberOrText::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes: 512MB, 2GiB, 1000000",
            "type": ["string", "integer"],
            "pattern": "^ *[0-9.]+ *([kKmMgGtT]i?)?[bB]? *$",
            "minimum": 0,
            "x-quantity": "bytes"
        })
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time: 500ms, 10s, 15m, 28d",
            "type": "string",
            "x-quantity": "time"
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_with_any_usual_unit() {
        for (text, bytes) in [
            ("512MB", 512_000_000),
            ("2GiB", 2 << 30),
            ("2 gib", 2 << 30),
            ("1.5kB", 1_500),
            ("1000000", 1_000_000),
            ("0B", 0),
        ] {
            assert_eq!(text.parse::<ByteSize>().unwrap(), ByteSize(bytes), "{text}");
        }
        for text in ["", "GB", "-1GB", "1.5", "2 parsecs", "1e3", "nan", "99999999999TB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_read_and_written_with_units() {
        for (text, written) in
            [("90s", "1m30s"), ("28d", "28d"), ("60 days", "60d"), ("1500ms", "1s500ms"), ("0s", "0s")]
        {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), written);
        }
        for text in ["", "30", "ten seconds", "-1s", "10parsecs"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn sizes_are_read_as_they_are_written(bytes: u64) {
            prop_assert_eq!(ByteSize(bytes).to_string().parse::<ByteSize>().unwrap(), ByteSize(bytes));
        }

        #[test]
        fn times_are_read_as_they_are_written(nanos: u64) {
            let span = Span(Duration::from_nanos(nanos));
            prop_assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
    }
}
