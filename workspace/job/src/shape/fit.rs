//! Does a tree have the shape of a job? All that does not, with its place; and what does, as JSON.

use serde_json::{Map, Number, Value as Json};

use super::{Choice, Field, Kind, Shape, Variant};
use crate::code::Code;
use crate::error::{Place, Problem};
use crate::path::FieldPath;
use crate::suggest::{either, nearest};
use crate::tree::{Entry, Node, ScalarKind, Value};

/// What became of a tree.
pub(crate) struct Fit {
    /// The parts that fit. Fields that do not are left out (their defaults hold) or, when they are
    /// required, replaced by a stand-in, so that the rest can be checked further.
    pub(crate) json: Option<Json>,
    /// What does not fit.
    pub(crate) problems: Vec<Problem>,
    /// Fields whose value in `json` is not what the user meant.
    pub(crate) doubtful: Vec<FieldPath>,
}

/// Compares `root` with the `shape` of a job.
pub(crate) fn fit(shape: &Shape, root: &Node) -> Fit {
    fit_as(shape, root, "a job")
}

/// Compares `root` with `shape`, which messages call `noun`.
pub(crate) fn fit_as(shape: &Shape, root: &Node, noun: &str) -> Fit {
    let mut fitter = Fitter { top: shape, root, noun, problems: Vec::new(), doubtful: Vec::new() };
    let json = fitter.value(shape, root, &FieldPath::default());
    Fit { json, problems: fitter.problems, doubtful: fitter.doubtful }
}

pub(super) struct Fitter<'a> {
    top: &'a Shape,
    root: &'a Node,
    /// What the whole is called.
    noun: &'a str,
    problems: Vec<Problem>,
    doubtful: Vec<FieldPath>,
}

impl Fitter<'_> {
    fn report(&mut self, code: Code, place: &Place, path: &FieldPath, what: String, remedy: String) {
        self.problems.push(Problem::new(code, place.clone(), path.clone(), what, remedy));
    }

    /// Reports that `node` cannot stand at `path`, and says nothing fits there.
    pub(super) fn refuse(
        &mut self,
        code: Code,
        node: &Node,
        path: &FieldPath,
        what: String,
        remedy: String,
    ) -> Option<Json> {
        self.report(code, &node.place, path, what, remedy);
        self.doubtful.push(path.clone());
        None
    }

    pub(super) fn wrong_type(
        &mut self,
        shape: &Shape,
        node: &Node,
        path: &FieldPath,
        remedy: String,
    ) -> Option<Json> {
        let what = format!("this must be {}, not {}", shape.describe(), node.describe());
        self.refuse(Code::Type, node, path, what, remedy)
    }

    fn value(&mut self, shape: &Shape, node: &Node, path: &FieldPath) -> Option<Json> {
        if node.is_null() {
            if shape.nullable {
                return Some(Json::Null);
            }
            if let Kind::Section(fields) = &shape.kind {
                // `train:` with everything below it commented out.
                return self.section(fields, &[], path);
            }
        }
        match (&shape.kind, &node.value) {
            (Kind::Forms(forms), _) => match forms.iter().find(|form| form.takes(node)) {
                Some(form) => self.value(form, node, path),
                None => self.wrong_type(shape, node, path, "write it in one of these forms".into()),
            },
            (Kind::Any, _) => Some(plain(node)),
            (Kind::List(entry), Value::List(nodes)) => {
                let fitting = nodes.iter().enumerate();
                let fitting = fitting.map(|(index, node)| self.value(entry, node, &path.index(index)));
                let fitting: Vec<Option<Json>> = fitting.collect();
                if fitting.iter().any(Option::is_none) {
                    self.doubtful.push(path.clone());
                }
                Some(Json::Array(fitting.into_iter().flatten().collect()))
            }
            (Kind::List(entry), Value::Scalar(scalar)) if entry.takes(node) && !node.is_null() => {
                self.wrong_type(shape, node, path, format!("put it in brackets: [{}]", scalar.text))
            }
            (Kind::List(_), _) => {
                self.wrong_type(shape, node, path, "write `[a, b]`, or one `- entry` a line".into())
            }
            (Kind::Map(entry), Value::Map(entries)) => {
                let mut map = Map::new();
                for Entry { key, node, .. } in entries {
                    match self.value(entry, node, &path.key(key)) {
                        Some(value) => drop(map.insert(key.clone(), value)),
                        None => self.doubtful.push(path.clone()),
                    }
                }
                Some(Json::Object(map))
            }
            (Kind::Section(fields), Value::Map(entries)) => self.section(fields, entries, path),
            (Kind::Tagged { tag, variants }, Value::Map(entries)) => {
                self.tagged(tag, variants, entries, path)
            }
            (Kind::Tagged { tag, variants }, Value::Scalar(scalar))
                if variants.iter().any(|variant| variant.name == scalar.text) =>
            {
                self.wrong_type(shape, node, path, format!("write {{{tag}: {}}}", scalar.text))
            }
            (Kind::Map(_) | Kind::Section(_) | Kind::Tagged { .. }, _) => {
                let example = shape.names().first().map_or("name", |name| name).to_owned();
                let remedy = format!("put its fields below it, indented: `{example}: …`");
                self.wrong_type(shape, node, path, remedy)
            }
            (_, Value::Scalar(scalar)) => self.scalar(shape, scalar, node, path),
            (_, Value::List(nodes)) if nodes.len() == 1 => {
                self.wrong_type(shape, node, path, "leave the brackets (or the dash) out".into())
            }
            _ => self.wrong_type(shape, node, path, "write one value after the colon".into()),
        }
    }

    fn section(&mut self, fields: &[Field], entries: &[Entry], path: &FieldPath) -> Option<Json> {
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        for entry in entries {
            if !names.contains(&entry.key.as_str()) {
                self.unknown(entry, &names, entries, path);
            }
        }
        let mut json = Map::new();
        for field in fields {
            let at = path.key(&field.name);
            let given = entries.iter().find(|entry| entry.key == field.name);
            let value = match given {
                Some(entry) => self.value(&field.shape, &entry.node, &at),
                None if field.required => {
                    let what = format!("`{}` is missing", field.name);
                    let remedy = format!("add `{}: …` ({})", field.name, example(field));
                    self.report(Code::Missing, &self.root.place_of(path), &at, what, remedy);
                    self.doubtful.push(at.clone());
                    None
                }
                None => continue,
            };
            match value {
                Some(value) => drop(json.insert(field.name.clone(), value)),
                None if field.required => {
                    json.insert(field.name.clone(), stand_in(&field.shape)?);
                }
                None => {}
            }
        }
        Some(Json::Object(json))
    }

    fn tagged(
        &mut self,
        tag: &str,
        variants: &[Variant],
        entries: &[Entry],
        path: &FieldPath,
    ) -> Option<Json> {
        let names: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
        let at = path.key(tag);
        let Some(entry) = entries.iter().find(|entry| entry.key == tag) else {
            let what = format!("`{tag}` is missing, which says what this is");
            let remedy = format!("add `{tag}: …`, one of {}", either(&names));
            self.report(Code::Missing, &self.root.place_of(path), &at, what, remedy);
            self.doubtful.push(path.clone());
            return None;
        };
        let choices: Vec<Choice> =
            variants.iter().map(|v| Choice { name: v.name.clone(), doc: String::new() }).collect();
        let Some(name) = self.choice(&choices, &entry.node, &at) else {
            self.doubtful.push(path.clone());
            return None;
        };
        let variant = variants.iter().find(|variant| variant.name == name)?;
        let others: Vec<Entry> = entries.iter().filter(|entry| entry.key != tag).cloned().collect();
        let fields = self.section(&variant.fields, &others, path)?;
        let mut json = Map::from_iter([(tag.to_owned(), Json::String(name))]);
        if let Json::Object(fields) = fields {
            json.extend(fields);
        }
        Some(Json::Object(json))
    }

    /// A field nothing is called: what was meant, or where it belongs.
    fn unknown(&mut self, entry: &Entry, names: &[&str], entries: &[Entry], path: &FieldPath) {
        let free = names.iter().copied().filter(|name| entries.iter().all(|entry| entry.key != *name));
        let remedy = if let Some(near) = nearest(&entry.key, free) {
            self.doubtful.push(path.key(near));
            format!("did you mean `{near}`?")
        } else if let Some(home) = find(self.top, &entry.key) {
            format!("that is `{home}`: move it there")
        } else if let Some(near) = nearest(&entry.key, names.iter().copied()) {
            format!("`{near}` is there already: leave this out")
        } else {
            format!("leave it out (the fields there are {})", names.join(", "))
        };
        let within = if path.is_empty() { self.noun.to_owned() } else { format!("`{path}`") };
        let what = format!("`{}` is not a field of {within}", entry.key);
        self.report(Code::UnknownField, &entry.place, &path.key(&entry.key), what, remedy);
    }
}

impl Shape {
    /// Whether a value of this shape is the same kind of YAML (list, section, scalar) as `node`,
    /// and for scalars whether it is text or a number.
    fn takes(&self, node: &Node) -> bool {
        match (&self.kind, &node.value) {
            (Kind::List(_), Value::List(_)) => true,
            (Kind::Map(_) | Kind::Section(_) | Kind::Tagged { .. }, Value::Map(_)) => true,
            (Kind::Integer { .. } | Kind::Number { .. }, Value::Scalar(scalar)) => {
                matches!(scalar.kind, ScalarKind::Int(_) | ScalarKind::Float(_))
            }
            (Kind::Text, Value::Scalar(scalar)) => scalar.kind != ScalarKind::Null,
            (Kind::Forms(forms), _) => forms.iter().any(|form| form.takes(node)),
            (Kind::Bool | Kind::Bytes | Kind::Time | Kind::Choice(_), Value::Scalar(_)) => true,
            (Kind::Any, _) => true,
            _ => false,
        }
    }
}

/// The full path of the only field called `name` anywhere in a job.
pub(crate) fn find(shape: &Shape, name: &str) -> Option<FieldPath> {
    fn collect(shape: &Shape, name: &str, path: &FieldPath, found: &mut Vec<FieldPath>) {
        for field in shape.fields() {
            let at = path.key(&field.name);
            if field.name == name && !found.contains(&at) {
                found.push(at.clone());
            }
            collect(&field.shape, name, &at, found);
        }
    }
    let mut found = Vec::new();
    collect(shape, name, &FieldPath::default(), &mut found);
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Some(only),
        _ => None,
    }
}

fn example(field: &Field) -> String {
    let doc = field.doc.trim_end_matches('.');
    if doc.is_empty() {
        field.shape.describe()
    } else {
        crate::text::lower_first(crate::text::first_sentence(doc))
    }
}

/// A harmless value for a required field that is missing or wrong, if there is one.
fn stand_in(shape: &Shape) -> Option<Json> {
    Some(match &shape.kind {
        Kind::Text => Json::from("placeholder"),
        Kind::Integer { min, .. } => Json::from(i64::try_from(*min.max(&1)).ok()?),
        Kind::List(_) => Json::Array(Vec::new()),
        Kind::Forms(forms) => forms.iter().find_map(stand_in)?,
        Kind::Section(fields) => {
            let mut json = Map::new();
            for field in fields.iter().filter(|field| field.required) {
                json.insert(field.name.clone(), stand_in(&field.shape)?);
            }
            Json::Object(json)
        }
        _ => return None,
    })
}

/// JSON of a tree of which nothing is known.
fn plain(node: &Node) -> Json {
    match &node.value {
        Value::List(nodes) => nodes.iter().map(plain).collect(),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|entry| (entry.key.clone(), plain(&entry.node))).collect())
        }
        Value::Scalar(scalar) => match scalar.kind {
            ScalarKind::Null => Json::Null,
            ScalarKind::Bool(value) => Json::Bool(value),
            ScalarKind::Int(value) => i64::try_from(value).map_or(Json::Null, Json::from),
            ScalarKind::Float(value) => Number::from_f64(value).map_or(Json::Null, Json::Number),
            ScalarKind::Text => Json::String(scalar.text.clone()),
        },
    }
}
