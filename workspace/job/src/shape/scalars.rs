//! Does a scalar fit: words, numbers in their range, quantities with their unit.

use serde_json::{Number, Value as Json};

use super::fit::Fitter;
use super::{Bound, Choice, Kind, Shape};
use crate::code::Code;
use crate::path::FieldPath;
use crate::suggest::{either, nearest};
use crate::tree::{Node, Scalar, ScalarKind, Value};
use crate::units::{ByteSize, Span};

impl Fitter<'_> {
    pub(super) fn choice(&mut self, choices: &[Choice], node: &Node, path: &FieldPath) -> Option<String> {
        let names: Vec<&str> = choices.iter().map(|choice| choice.name.as_str()).collect();
        let Value::Scalar(scalar) = &node.value else {
            let what = format!("this must be one of {}, not {}", either(&names), node.describe());
            self.refuse(Code::Type, node, path, what, "write one of them".into());
            return None;
        };
        if names.contains(&scalar.text.as_str()) {
            return Some(scalar.text.clone());
        }
        let remedy = match nearest(&scalar.text, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? (there are {})", names.join(", ")),
            None => format!("use {}", either(&names)),
        };
        let what = format!("{} is not a choice here", scalar.describe());
        self.refuse(Code::Choice, node, path, what, remedy);
        None
    }

    pub(super) fn scalar(
        &mut self,
        shape: &Shape,
        scalar: &Scalar,
        node: &Node,
        path: &FieldPath,
    ) -> Option<Json> {
        let text = &scalar.text;
        match (&shape.kind, scalar.kind) {
            (Kind::Choice(choices), kind) if kind != ScalarKind::Null => {
                self.choice(choices, node, path).map(Json::String)
            }
            (_, ScalarKind::Null) => self.wrong_type(
                shape,
                node,
                path,
                "give a value, or leave the field out for its default".into(),
            ),
            (Kind::Text, ScalarKind::Text) => Some(Json::String(text.clone())),
            (Kind::Text, _) => self.wrong_type(shape, node, path, format!("put it in quotes: \"{text}\"")),
            (Kind::Bool, ScalarKind::Bool(value)) => Some(Json::Bool(value)),
            (Kind::Bool, _) => {
                let remedy = match text.to_ascii_lowercase().as_str() {
                    "yes" | "on" | "y" | "1" | "true" => "write true",
                    "no" | "off" | "n" | "0" | "false" => "write false",
                    _ => "write true or false",
                };
                self.wrong_type(shape, node, path, remedy.into())
            }
            (Kind::Integer { min, max }, ScalarKind::Int(value)) => {
                self.integer(value, (*min, *max), node, path)
            }
            (Kind::Integer { .. }, _) => {
                let remedy =
                    whole(scalar).map_or_else(|| "write a whole number".into(), |n| format!("write {n}"));
                self.wrong_type(shape, node, path, remedy)
            }
            (Kind::Number { low, high, .. }, ScalarKind::Int(_) | ScalarKind::Float(_)) => {
                self.number(scalar, (*low, *high), node, path)
            }
            (Kind::Number { .. }, _) => {
                let remedy = match text.strip_suffix('%').and_then(|part| part.trim().parse::<f64>().ok()) {
                    Some(percent) => format!("write {}", percent / 100.0),
                    None => "write a number such as 0.1 or 1e-3".into(),
                };
                self.wrong_type(shape, node, path, remedy)
            }
            (Kind::Bytes, _) => {
                self.quantity(text.parse::<ByteSize>().map(|size| size.to_string()), node, path)
            }
            (Kind::Time, ScalarKind::Int(_) | ScalarKind::Float(_)) => {
                let what = format!("{text} has no unit");
                let remedy = format!("write {text}s for seconds (or ms, m, h, d)");
                self.refuse(Code::Unit, node, path, what, remedy)
            }
            (Kind::Time, _) => self.quantity(text.parse::<Span>().map(|span| span.to_string()), node, path),
            _ => self.wrong_type(shape, node, path, "write one value after the colon".into()),
        }
    }

    fn integer(
        &mut self,
        value: i128,
        (min, max): (i128, i128),
        node: &Node,
        path: &FieldPath,
    ) -> Option<Json> {
        if value < min {
            let what = format!("{value} is too small");
            return self.refuse(Code::Range, node, path, what, format!("use {min} or more"));
        }
        if value > max {
            let what = format!("{value} is too large");
            return self.refuse(Code::Range, node, path, what, format!("use {max} or less"));
        }
        let number =
            u64::try_from(value).map(Number::from).or_else(|_| i64::try_from(value).map(Number::from));
        number.ok().map(Json::Number)
    }

    fn number(
        &mut self,
        scalar: &Scalar,
        (low, high): (Bound, Bound),
        node: &Node,
        path: &FieldPath,
    ) -> Option<Json> {
        let value = match scalar.kind {
            ScalarKind::Int(value) => value as f64,
            ScalarKind::Float(value) => value,
            _ => return None,
        };
        let above = match low {
            Bound::Open => value.is_finite(),
            Bound::Including(low) => value.is_finite() && value >= low,
            Bound::Excluding(low) => value.is_finite() && value > low,
        };
        let below = match high {
            Bound::Open => true,
            Bound::Including(high) => value <= high,
            Bound::Excluding(high) => value < high,
        };
        if above && below {
            return Number::from_f64(value).map(Json::Number);
        }
        let what = format!("{} is out of range", scalar.text);
        let remedy = format!("use {}", super::number(low, high));
        self.refuse(Code::Range, node, path, what, remedy)
    }

    fn quantity(&mut self, parsed: Result<String, String>, node: &Node, path: &FieldPath) -> Option<Json> {
        match parsed {
            Ok(text) => Some(Json::String(text)),
            Err(message) => {
                let (what, remedy) = message.split_once(": ").unwrap_or((&message, "write it with a unit"));
                self.refuse(Code::Unit, node, path, what.into(), remedy.into())
            }
        }
    }
}

/// The whole number somebody meant by `1e6`, `10.0`, `1_000` or `"12"`.
fn whole(scalar: &Scalar) -> Option<i64> {
    let value = match scalar.kind {
        ScalarKind::Float(value) => value,
        _ => scalar.text.replace(['_', ','], "").parse().ok()?,
    };
    (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64)
}
