//! A dataset in words.

use serde_json::{Value, json};
use twinspire_dataset::format::Manifest;

/// What the dataset holds, as text for people.
pub fn describe(manifest: &Manifest) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        out.push_str(&format!("{name:<12}{value}\n"));
    };
    let counts = &manifest.counts;
    line("dataset", manifest.fingerprint.clone());
    line("users", thousands(manifest.users));
    line("items", thousands(manifest.items));
    line(
        "actions",
        format!(
            "{} (train {}, validation {}, test {})",
            thousands(counts.total),
            thousands(counts.train),
            thousands(counts.validation),
            thousands(counts.test)
        ),
    );
    for action in &manifest.actions {
        let worth = match action.positive {
            true => format!("positive, weight {}", action.weight),
            false => "not predicted".into(),
        };
        line("", format!("{:<16} {:>14}  {worth}", action.name, thousands(action.count)));
    }
    match manifest.time_span_ms {
        Some((first, last)) => line("time", format!("{} to {} UTC", instant(first), instant(last))),
        None => line("time", "none; actions have an order only".into()),
    }
    if manifest.has_surfaces() {
        line("surfaces", manifest.surfaces.join(", "));
    }
    let lengths = &manifest.lengths;
    line(
        "a user has",
        format!(
            "{:.1} actions on average; fewest {}, 25% {}, 50% {}, 75% {}, 90% {}, 99% {}, most {}",
            lengths.mean,
            lengths.min,
            lengths.p25,
            lengths.p50,
            lengths.p75,
            lengths.p90,
            lengths.p99,
            lengths.max
        ),
    );
    let top =
        manifest.top_items.iter().take(10).map(|(id, count)| format!("{id} ({})", thousands(*count as u64)));
    line("top items", top.collect::<Vec<_>>().join(", "));
    for feature in &manifest.features {
        let kind = serde_json::to_value(&feature.kind).unwrap_or_default();
        let kind = kind["type"].as_str().unwrap_or_default().to_owned();
        let size = match feature.tokens {
            0 => String::new(),
            tokens => format!(", {} tokens", thousands(tokens)),
        };
        line("feature", format!("{} ({kind}{size})", feature.name));
    }
    let bytes = manifest.files.iter().map(|file| file.bytes).sum::<u64>();
    line(
        "shards",
        format!("{} in {} files, {:.1} MB", manifest.shards.len(), manifest.files.len(), bytes as f64 / 1e6),
    );
    line("rows read", thousands(manifest.rows_read));
    for dropped in &manifest.dropped {
        line("left out", format!("{} rows: {}", thousands(dropped.rows), dropped.reason));
    }
    for rejected in &manifest.rejected {
        line(
            "bad",
            format!("{} rows: {} (examples in rejects.jsonl)", thousands(rejected.count), rejected.cause),
        );
    }
    out
}

/// The same for programs: the manifest without its lists of files and shards, with their numbers.
pub fn describe_json(manifest: &Manifest) -> Value {
    let mut value = serde_json::to_value(manifest).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        map.remove("files");
        map.insert("shards".into(), json!(manifest.shards.len()));
        map.insert("bytes".into(), json!(manifest.files.iter().map(|file| file.bytes).sum::<u64>()));
    }
    value
}

/// `1234567` -> `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn instant(milliseconds: i64) -> String {
    arrow::temporal_conversions::timestamp_ms_to_datetime(milliseconds)
        .map_or_else(|| format!("{milliseconds} ms"), |at| at.format("%Y-%m-%d %H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_times_are_dates() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(instant(978_300_760_000), "2000-12-31 22:12:40");
    }
}
