//! Names for what a job is made of.

use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use crate::spec::JobSpec;

impl JobSpec {
    /// A name for the whole job: equal for equal specs, 32 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.json())
    }

    /// What decides the dataset a job trains on, and nothing else: memory and threads of `prepare`
    /// change how it is made, not what comes of it. The contents of the files are not part of it.
    pub fn dataset_fingerprint_inputs(&self) -> Value {
        let all = self.json();
        json!({
            "log": all["log"],
            "catalogue": all["catalogue"],
            "split": all["split"],
            "prepare": { "shard_actions": all["prepare"]["shard_actions"] },
        })
    }

    pub(crate) fn json(&self) -> Value {
        // A spec is numbers, texts, lists and sections with text keys: this cannot fail.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// xxh3-128 of the canonical form of `value`, in hexadecimal.
pub fn fingerprint(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    format!("{:032x}", xxh3_128(text.as_bytes()))
}

/// JSON without spaces, the keys of objects sorted.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                canonical(value, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_does_not_matter_and_values_do() {
        let one = json!({"a": 1, "b": [1, 2], "c": {"x": null, "y": "\""}});
        let same = json!({"c": {"y": "\"", "x": null}, "b": [1, 2], "a": 1});
        let other = json!({"a": 1, "b": [2, 1], "c": {"x": null, "y": "\""}});
        assert_eq!(fingerprint(&one), fingerprint(&same));
        assert_ne!(fingerprint(&one), fingerprint(&other));
    }
}
