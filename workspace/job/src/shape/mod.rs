//! The shape of a job file: its fields, their types, defaults and descriptions.
//!
//! It is read off the JSON Schema, which schemars generates from the types in [`crate::spec`] and
//! their doc comments. So the types are the one place where a field is described, and checking a
//! file ([`fit`]), `--set`, `--explain` and the reference page all follow them.

pub(crate) mod fit;
mod read;
mod scalars;

use std::sync::LazyLock;

/// What a value must look like.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    /// Null is allowed, and means what the field's description says.
    pub(crate) nullable: bool,
}

/// Kinds of values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Text,
    Bool,
    Integer {
        min: i128,
        max: i128,
    },
    Number {
        low: Bound,
        high: Bound,
        single: bool,
    },
    /// A number of bytes with a unit.
    Bytes,
    /// A length of time with a unit.
    Time,
    Choice(Vec<Choice>),
    List(Box<Shape>),
    /// Keys of the user's own.
    Map(Box<Shape>),
    Section(Vec<Field>),
    /// One of several sections; the field `tag` says which.
    Tagged {
        tag: String,
        variants: Vec<Variant>,
    },
    /// Several forms told apart by being a list, a section or a scalar.
    Forms(Vec<Shape>),
    /// Anything: serde decides.
    Any,
}

/// A bound of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    Open,
    Including(f64),
    Excluding(f64),
}

/// One allowed word.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    pub(crate) name: String,
    pub(crate) doc: String,
}

/// One section of a tagged set; `fields` are those beside the tag.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) doc: String,
    pub(crate) fields: Vec<Field>,
}

/// A field of a section.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) doc: String,
    pub(crate) required: bool,
    pub(crate) default: Option<serde_json::Value>,
    pub(crate) shape: Shape,
}

/// The shape of a whole job file.
pub(crate) static JOB: LazyLock<Shape> = LazyLock::new(|| of(&crate::schema()));

/// The shape a JSON Schema of our types says.
pub(crate) fn of(schema: &serde_json::Value) -> Shape {
    read::shape(schema)
}

impl Shape {
    /// The fields a value of this shape can have, of all variants.
    pub(crate) fn fields(&self) -> Vec<&Field> {
        match &self.kind {
            Kind::Section(fields) => fields.iter().collect(),
            Kind::Tagged { variants, .. } => variants.iter().flat_map(|variant| &variant.fields).collect(),
            Kind::Forms(forms) => forms.iter().flat_map(Shape::fields).collect(),
            _ => Vec::new(),
        }
    }

    /// The shape of the field or key `name`.
    pub(crate) fn field(&self, name: &str) -> Option<&Shape> {
        match &self.kind {
            Kind::Map(shape) => Some(shape),
            Kind::Forms(forms) => forms.iter().find_map(|form| form.field(name)),
            _ => self.fields().into_iter().find(|field| field.name == name).map(|field| &field.shape),
        }
    }

    /// The shape of a list's entries.
    pub(crate) fn entry(&self) -> Option<&Shape> {
        match &self.kind {
            Kind::List(shape) => Some(shape),
            Kind::Forms(forms) => forms.iter().find_map(Shape::entry),
            _ => None,
        }
    }

    /// Names of the fields a value can have, the tag included.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.tag().into_iter().collect();
        for field in self.fields() {
            if !names.contains(&field.name.as_str()) {
                names.push(&field.name);
            }
        }
        names
    }

    pub(crate) fn tag(&self) -> Option<&str> {
        match &self.kind {
            Kind::Tagged { tag, .. } => Some(tag),
            _ => None,
        }
    }

    /// In words, for messages and the reference: "a whole number from 1", "one of `a`, `b`".
    pub(crate) fn describe(&self) -> String {
        let plain = match &self.kind {
            Kind::Text => "text".into(),
            Kind::Bool => "true or false".into(),
            Kind::Integer { min, max } => whole_number(*min, *max),
            Kind::Number { low, high, .. } => number(*low, *high),
            Kind::Bytes => "a size such as 512MB or 2GiB".into(),
            Kind::Time => "a time such as 500ms, 10s or 28d".into(),
            Kind::Choice(choices) => {
                let names: Vec<String> = choices.iter().map(|choice| format!("`{}`", choice.name)).collect();
                crate::suggest::either(&names)
            }
            Kind::List(entry) => match &entry.kind {
                Kind::Section(_) | Kind::Tagged { .. } => "a list of sections".into(),
                Kind::Integer { .. } => "a list of whole numbers".into(),
                _ => format!("a list of {}", entry.describe()),
            },
            Kind::Map(_) => "a section with names of your own".into(),
            Kind::Section(fields) => {
                let names: Vec<String> = fields.iter().map(|field| format!("`{}`", field.name)).collect();
                match names.len() {
                    1..=3 => format!("a section of {}", names.join(", ")),
                    _ => "a section".into(),
                }
            }
            Kind::Tagged { tag, .. } => format!("a section with a `{tag}`"),
            Kind::Forms(forms) => {
                let forms: Vec<String> = forms.iter().map(Shape::describe).collect();
                crate::suggest::either(&forms)
            }
            Kind::Any => "any value".into(),
        };
        if self.nullable { format!("{plain}, or null") } else { plain }
    }
}

/// The largest bound worth telling anybody.
const WORTH_TELLING: i128 = u32::MAX as i128;

fn whole_number(min: i128, max: i128) -> String {
    match (min, max) {
        (i128::MIN..0, _) => "a whole number".into(),
        (_, max) if max < WORTH_TELLING => format!("a whole number from {min} to {max}"),
        _ => format!("a whole number from {min}"),
    }
}

fn number(low: Bound, high: Bound) -> String {
    let low = match low {
        Bound::Open => None,
        Bound::Including(value) => Some(format!("from {value}")),
        Bound::Excluding(value) => Some(format!("above {value}")),
    };
    let high = match high {
        Bound::Open => None,
        Bound::Including(value) => Some(format!("up to {value}")),
        Bound::Excluding(value) => Some(format!("below {value}")),
    };
    match (low, high) {
        (None, None) => "a number".into(),
        (Some(one), None) | (None, Some(one)) => format!("a number {one}"),
        (Some(low), Some(high)) => format!("a number {low}, {high}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::spec::JobSpec;

    fn visit(shape: &Shape, path: &str, seen: &mut dyn FnMut(&str, &Shape)) {
        seen(path, shape);
        for field in shape.fields() {
            visit(&field.shape, &format!("{path}.{}", field.name), seen);
        }
        match &shape.kind {
            Kind::List(inner) | Kind::Map(inner) => visit(inner, &format!("{path}[]"), seen),
            Kind::Forms(forms) => forms.iter().for_each(|form| visit(form, path, seen)),
            _ => {}
        }
    }

    #[test]
    fn the_shape_of_every_field_is_understood() {
        let mut count = 0;
        visit(&JOB, "job", &mut |path, shape| {
            count += 1;
            assert_ne!(shape.kind, Kind::Any, "{path}");
        });
        assert!(count > 100, "only {count} fields were found");
    }

    #[test]
    fn every_field_and_choice_is_described() {
        visit(&JOB, "job", &mut |path, shape| {
            for field in shape.fields() {
                assert!(!field.doc.is_empty(), "{path}.{}", field.name);
            }
            if let Kind::Choice(choices) = &shape.kind {
                assert!(choices.iter().all(|choice| !choice.doc.is_empty()), "{path}");
            }
        });
    }

    #[test]
    fn sections_are_closed_in_the_schema_so_that_editors_see_unknown_fields_too() {
        fn check(json: &serde_json::Value) {
            if json.get("properties").is_some() {
                assert_eq!(json.get("additionalProperties"), Some(&false.into()), "{json}");
            }
            let inner: Vec<&serde_json::Value> = match json {
                serde_json::Value::Object(map) => map.values().collect(),
                serde_json::Value::Array(values) => values.iter().collect(),
                _ => Vec::new(),
            };
            inner.into_iter().for_each(check);
        }
        let mut schema = crate::schema();
        assert_eq!(schema["title"], "Twinspire job");
        schema.as_object_mut().unwrap().shift_remove("$schema");
        check(&schema);
    }

    #[test]
    fn serde_refuses_unknown_fields_of_a_feature_too() {
        let text = r#"{"name": "a", "log": {"uri": "x"}, "catalogue": {"uri": "i", "features":
            [{"name": "t", "type": "vector", "dim": 3, "max": 4}]}}"#;
        let error = serde_json::from_str::<JobSpec>(text).unwrap_err();
        assert!(error.to_string().contains("unknown field `max`"), "{error}");
    }
}
