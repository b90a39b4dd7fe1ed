//! JSON Schema -> [`Shape`], for the subset schemars writes for our types.

use serde_json::{Map, Value};

use super::{Bound, Choice, Field, Kind, Shape, Variant};

/// Reads the schema `root`.
pub(super) fn shape(root: &Value) -> Shape {
    Reader { root }.shape(root)
}

struct Reader<'a> {
    root: &'a Value,
}

impl<'a> Reader<'a> {
    fn follow(&self, schema: &'a Value) -> &'a Value {
        schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| self.root.pointer(reference.strip_prefix('#')?))
            .unwrap_or(schema)
    }

    fn shape(&self, schema: &'a Value) -> Shape {
        let schema = self.follow(schema);
        if let Some(forms) = schema.get("anyOf").and_then(Value::as_array) {
            let (nulls, forms): (Vec<&Value>, Vec<&Value>) = forms.iter().partition(|form| is_null(form));
            let mut shapes: Vec<Shape> = forms.into_iter().map(|form| self.shape(form)).collect();
            let nullable = !nulls.is_empty();
            return match (shapes.len(), shapes.pop()) {
                (1, Some(only)) => Shape { nullable: nullable || only.nullable, ..only },
                (_, last) => {
                    shapes.extend(last);
                    Shape { kind: Kind::Forms(shapes), nullable }
                }
            };
        }
        if let Some(variants) = schema.get("oneOf").and_then(Value::as_array) {
            return Shape { kind: self.variants(variants), nullable: false };
        }
        let types = types(schema);
        Shape { kind: self.kind(schema, &types), nullable: types.contains(&"null") }
    }

    fn kind(&self, schema: &'a Value, types: &[&str]) -> Kind {
        match schema.get("x-quantity").and_then(Value::as_str) {
            Some("bytes") => return Kind::Bytes,
            Some("time") => return Kind::Time,
            _ => {}
        }
        if let Some(names) = schema.get("enum").and_then(Value::as_array) {
            let choice =
                |name: &Value| name.as_str().map(|name| Choice { name: name.to_owned(), doc: String::new() });
            return Kind::Choice(names.iter().filter_map(choice).collect());
        }
        match types.iter().find(|name| **name != "null") {
            Some(&"string") => Kind::Text,
            Some(&"boolean") => Kind::Bool,
            Some(&"integer") => integer(schema),
            Some(&"number") => number(schema),
            Some(&"array") => {
                Kind::List(Box::new(schema.get("items").map_or_else(Shape::any, |items| self.shape(items))))
            }
            Some(&"object") => match schema.get("additionalProperties") {
                Some(entries) if entries.is_object() => Kind::Map(Box::new(self.shape(entries))),
                _ => Kind::Section(self.fields(schema)),
            },
            _ => Kind::Any,
        }
    }

    fn fields(&self, schema: &'a Value) -> Vec<Field> {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return Vec::new();
        };
        properties
            .iter()
            .map(|(name, property)| Field {
                name: name.clone(),
                doc: self.doc(property),
                required: required.contains(&name.as_str()),
                default: property.get("default").cloned(),
                shape: self.shape(property),
            })
            .collect()
    }

    fn doc(&self, schema: &'a Value) -> String {
        let text = schema.get("description").or_else(|| self.follow(schema).get("description"));
        let text = text.and_then(Value::as_str).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// `oneOf`: either words, or sections told apart by a constant field.
    fn variants(&self, variants: &'a [Value]) -> Kind {
        let mut choices = Vec::new();
        let mut sections = Vec::new();
        let mut tag = None;
        for variant in variants {
            if let Some(name) = variant.get("const").and_then(Value::as_str) {
                choices.push(Choice { name: name.to_owned(), doc: self.doc(variant) });
            } else if let Some((field, name)) = constant(variant) {
                let mut fields = self.fields(variant);
                fields.retain(|other| other.name != field);
                sections.push(Variant { name: name.to_owned(), doc: self.doc(variant), fields });
                tag = Some(field.to_owned());
            } else if let Kind::Choice(more) = self.shape(variant).kind {
                choices.extend(more);
            }
        }
        match tag {
            Some(tag) if choices.is_empty() => Kind::Tagged { tag, variants: sections },
            _ if !choices.is_empty() => Kind::Choice(choices),
            _ => Kind::Any,
        }
    }
}

impl Shape {
    fn any() -> Self {
        Shape { kind: Kind::Any, nullable: true }
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_null(schema: &Value) -> bool {
    types(schema) == ["null"]
}

/// The property with a constant value: the tag and the variant's name.
fn constant(schema: &Value) -> Option<(&str, &str)> {
    let properties: &Map<String, Value> = schema.get("properties")?.as_object()?;
    properties.iter().find_map(|(name, property)| Some((name.as_str(), property.get("const")?.as_str()?)))
}

fn integer(schema: &Value) -> Kind {
    let (low, high) = match schema.get("format").and_then(Value::as_str) {
        Some("uint8") => (0, i128::from(u8::MAX)),
        Some("uint32") => (0, i128::from(u32::MAX)),
        Some("uint64" | "uint") => (0, i128::from(u64::MAX)),
        Some("int32") => (i128::from(i32::MIN), i128::from(i32::MAX)),
        _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
    };
    let bound = |key: &str| schema.get(key).and_then(Value::as_i64).map(i128::from);
    Kind::Integer { min: bound("minimum").unwrap_or(low), max: bound("maximum").unwrap_or(high) }
}

fn number(schema: &Value) -> Kind {
    let bound = |including: &str, excluding: &str| {
        let value = |key| schema.get(key).and_then(Value::as_f64);
        value(excluding)
            .map(Bound::Excluding)
            .or_else(|| value(including).map(Bound::Including))
            .unwrap_or(Bound::Open)
    };
    Kind::Number {
        low: bound("minimum", "exclusiveMinimum"),
        high: bound("maximum", "exclusiveMaximum"),
        single: schema.get("format").and_then(Value::as_str) == Some("float"),
    }
}
