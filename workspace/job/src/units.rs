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

const BYTE_UNITS: [(&str, u64); 9] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
];

impl std::str::FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        let (digits, scale) = BYTE_UNITS
            .iter()
            .find_map(|(unit, scale)| lower.strip_suffix(unit).map(|rest| (rest.trim(), *scale)))
            .unwrap_or((lower.as_str(), 1));
        let number: f64 = digits
            .parse()
            .map_err(|_| format!("`{text}` is not a size: write one as 512MB, 2GiB or 1000000"))?;
        if !(number.is_finite() && number >= 0.0) {
            return Err(format!("`{text}` is not a size: it must be zero or more"));
        }
        Ok(ByteSize((number * scale as f64) as u64))
    }
}

impl std::fmt::Display for ByteSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let exact = BYTE_UNITS[..8]
            .iter()
            .filter(|(_, scale)| self.0 >= *scale && self.0.is_multiple_of(*scale))
            .max_by_key(|(_, scale)| *scale);
        match exact {
            Some((unit, scale)) => {
                let unit = match *unit {
                    "kib" => "KiB",
                    "mib" => "MiB",
                    "gib" => "GiB",
                    "tib" => "TiB",
                    "kb" => "kB",
                    "mb" => "MB",
                    "gb" => "GB",
                    _ => "TB",
                };
                write!(f, "{}{unit}", self.0 / scale)
            }
            None => write!(f, "{}B", self.0),
        }
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text.trim())
            .map(Span)
            .map_err(|why| format!("`{text}` is not a duration ({why}): write one as 500ms, 10s, 15m or 28d"))
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", humantime::format_duration(self.0).to_string().replace(' ', ""))
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
            "minimum": 0
        })
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "A length of time: 500ms, 10s, 15m, 28d", "type": "string" })
    }
}
