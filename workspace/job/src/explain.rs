//! A job with every field written out and explained: `validate --explain`.

use serde_json::Value as Json;

use crate::shape::{Choice, Field, JOB, Kind, Shape};
use crate::spec::JobSpec;
use crate::text::{first_sentence, wrap};
use crate::tree::{Scalar, ScalarKind};

/// Comments are wrapped here.
const WIDTH: usize = 100;

/// `spec` as a job file; reading it gives `spec` again.
pub(crate) fn explain(spec: &JobSpec) -> String {
    // A spec is numbers, texts, lists and sections with text keys: serde_json cannot fail on it.
    let json = serde_json::to_value(spec).unwrap_or_default();
    let mut out = String::from("# Every field of this job; those that were not given have their defaults.\n");
    if let Kind::Section(fields) = &JOB.kind {
        for line in section(fields, &json, 0) {
            out.push_str(&line);
            out.push('\n');
        }
    }
    out
}

fn pad(indent: usize) -> String {
    " ".repeat(indent)
}

fn section(fields: &[Field], json: &Json, indent: usize) -> Vec<String> {
    fields.iter().flat_map(|field| self::field(field, json.get(&field.name), indent)).collect()
}

fn field(field: &Field, json: Option<&Json>, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    if indent == 0 {
        lines.push(String::new());
    }
    let comment = format!("{}.{}", first_sentence(&field.doc), choices(&field.shape));
    lines.extend(
        wrap(&comment, WIDTH.saturating_sub(indent + 2)).map(|line| format!("{}# {line}", pad(indent))),
    );
    lines.extend(pair(&field.name, &field.shape, json.unwrap_or(&Json::Null), indent));
    lines
}

fn choices(shape: &Shape) -> String {
    match &shape.kind {
        Kind::Choice(choices) => {
            let names: Vec<&str> = choices.iter().map(|Choice { name, .. }| name.as_str()).collect();
            format!(" One of: {}.", names.join(", "))
        }
        _ => String::new(),
    }
}

/// `name: value`, over as many lines as it takes.
fn pair(name: &str, shape: &Shape, json: &Json, indent: usize) -> Vec<String> {
    let key = format!("{}{}:", pad(indent), text(name));
    match below(shape, json, indent + 2) {
        Below::Inline(value) => vec![format!("{key} {value}")],
        Below::Block(lines) => std::iter::once(key).chain(lines).collect(),
    }
}

enum Below {
    Inline(String),
    Block(Vec<String>),
}

fn below(shape: &Shape, json: &Json, indent: usize) -> Below {
    match (&shape.kind, json) {
        (_, Json::Null) => Below::Inline("null".into()),
        (Kind::Forms(forms), _) => match forms.iter().find(|form| form.matches(json)) {
            Some(form) => below(form, json, indent),
            None => Below::Inline(json.to_string()),
        },
        (Kind::Section(fields), Json::Object(_)) => Below::Block(section(fields, json, indent)),
        (Kind::Tagged { tag, variants }, Json::Object(_)) => {
            let name = json.get(tag).and_then(Json::as_str).unwrap_or_default();
            let names: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
            let mut lines = vec![
                format!("{}# One of: {}.", pad(indent), names.join(", ")),
                format!("{}{tag}: {}", pad(indent), text(name)),
            ];
            if let Some(variant) = variants.iter().find(|variant| variant.name == name) {
                lines.extend(section(&variant.fields, json, indent));
            }
            Below::Block(lines)
        }
        (Kind::Map(entry), Json::Object(map)) if !map.is_empty() => {
            Below::Block(map.iter().flat_map(|(name, value)| pair(name, entry, value, indent)).collect())
        }
        (Kind::List(entry), Json::Array(values))
            if matches!(entry.kind, Kind::Section(_) | Kind::Tagged { .. }) && !values.is_empty() =>
        {
            Below::Block(values.iter().flat_map(|value| entry_lines(entry, value, indent)).collect())
        }
        (Kind::List(entry), Json::Array(values)) => {
            let values: Vec<String> = values.iter().map(|value| scalar(entry, value)).collect();
            Below::Inline(format!("[{}]", values.join(", ")))
        }
        _ => Below::Inline(scalar(shape, json)),
    }
}

/// A section as an entry of a list: the dash goes before its first field.
fn entry_lines(shape: &Shape, json: &Json, indent: usize) -> Vec<String> {
    let mut lines = match below(shape, json, indent + 2) {
        Below::Inline(value) => return vec![format!("{}- {value}", pad(indent))],
        Below::Block(lines) => lines,
    };
    if let Some(first) = lines.iter_mut().find(|line| !line.trim_start().starts_with('#')) {
        first.replace_range(indent..indent + 2, "- ");
    }
    lines
}

fn scalar(shape: &Shape, json: &Json) -> String {
    match (json, &shape.kind) {
        (Json::String(value), _) => text(value),
        (Json::Number(value), Kind::Number { single: true, .. }) => {
            // As the f32 it is: 0.1, not 0.10000000149011612.
            value.as_f64().map(|value| (value as f32).to_string()).unwrap_or_default()
        }
        _ => json.to_string(),
    }
}

/// `value` unquoted where YAML reads it back as the same text, in double quotes elsewhere.
pub(crate) fn text(value: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
    let first = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/');
    let is_text = Scalar::plain(value).kind == ScalarKind::Text;
    if is_text && value.starts_with(first) && value.chars().all(safe) {
        return value.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in value.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' => {
                quoted.push(c)
            }
            other if u32::from(other) > 0xffff => quoted.push(other),
            other => quoted.push_str(&format!("\\u{:04x}", u32::from(other))),
        }
    }
    quoted.push('"');
    quoted
}

impl Shape {
    fn matches(&self, json: &Json) -> bool {
        let kind = &self.kind;
        match json {
            Json::Array(_) => matches!(kind, Kind::List(_)),
            Json::Object(_) => matches!(kind, Kind::Section(_) | Kind::Map(_) | Kind::Tagged { .. }),
            Json::String(_) => matches!(kind, Kind::Text),
            Json::Number(_) => matches!(kind, Kind::Integer { .. } | Kind::Number { .. }),
            _ => false,
        }
    }
}
