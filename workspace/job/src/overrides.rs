//! `--set train.steps=100`: one field changed from the command line.

use std::str::FromStr;

use crate::code::Code;
use crate::error::{Place, Problem};
use crate::path::{FieldPath, Segment};
use crate::shape::fit::find;
use crate::shape::{Kind, Shape};
use crate::suggest::nearest;
use crate::tree::{self, Entry, Node, Scalar, Value};

/// A field and the value it is to have, as given to `--set FIELD=VALUE`.
///
/// FIELD is a path as error messages write it: `towers.item.features`, `catalogue.features[0].dim`
/// (`.0.` does too), `log.actions."add.to.cart".weight`. VALUE is YAML, but where the field is text
/// it is taken as it stands: `--set log.filter="rating >= 4"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    path: FieldPath,
    value: String,
    written: String,
}

impl FromStr for Override {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let how = "write --set FIELD=VALUE, as in --set train.steps=100";
        match FieldPath::parse_prefix(written) {
            Ok((path, rest)) => match rest.strip_prefix('=') {
                Some(value) => Ok(Override { path, value: value.to_owned(), written: written.to_owned() }),
                None => Err(format!("`{written}` has no value: {how}")),
            },
            Err(why) => Err(format!("`{written}` is not an override, {why}: {how}")),
        }
    }
}

impl Override {
    /// The field that is set.
    pub fn path(&self) -> &FieldPath {
        &self.path
    }

    fn place(&self) -> Place {
        Place::Set(self.written.clone())
    }

    /// Sets the field in `root`, making the sections on the way.
    pub(crate) fn apply(&self, root: &mut Node, shape: &Shape) -> Result<(), Box<Problem>> {
        let place = self.place();
        let mut at = FieldPath::default();
        let mut node = root;
        let mut shape = shape;
        for segment in self.path.segments() {
            let (segment, next) = self.step(shape, segment, &at)?;
            node = descend(node, &segment, &place)
                .map_err(|what| self.problem(&at.then(segment.clone()), what, "count the entries from 0"))?;
            at = at.then(segment);
            shape = next;
        }
        *node = self.node(shape)?;
        Ok(())
    }

    /// Where `segment` leads from a value of shape `shape` at `at`.
    fn step<'s>(
        &self,
        shape: &'s Shape,
        segment: &Segment,
        at: &FieldPath,
    ) -> Result<(Segment, &'s Shape), Box<Problem>> {
        match segment {
            Segment::Index(_) => match shape.entry() {
                Some(entry) => Ok((segment.clone(), entry)),
                None => Err(self.problem(at, format!("`{at}` is not a list"), "leave the index out")),
            },
            Segment::Key(key) => {
                if let (Some(entry), Ok(index)) = (shape.entry(), key.parse()) {
                    return Ok((Segment::Index(index), entry));
                }
                if shape.tag() == Some(key) {
                    return Ok((segment.clone(), &TAG));
                }
                shape.field(key).map(|field| (segment.clone(), field)).ok_or_else(|| {
                    let what = if at.is_empty() {
                        format!("`{key}` is not a field of a job")
                    } else {
                        format!("`{key}` is not a field of `{at}`")
                    };
                    let mut problem = self.problem(&at.key(key), what, &unknown(shape, key, at));
                    problem.code = Code::UnknownField;
                    problem
                })
            }
        }
    }

    fn problem(&self, path: &FieldPath, what: String, remedy: &str) -> Box<Problem> {
        Box::new(Problem::new(Code::Override, self.place(), path.clone(), what, remedy))
    }

    /// The value, read as the field's shape asks for.
    fn node(&self, shape: &Shape) -> Result<Node, Box<Problem>> {
        let given = self.value.trim();
        let scalar = |scalar| Ok(Node { place: self.place(), value: Value::Scalar(scalar) });
        if given.is_empty() || (shape.nullable && matches!(given, "null" | "~")) {
            return scalar(Scalar::plain(given));
        }
        if takes_text(shape) && !given.starts_with(['"', '\'', '[']) {
            return scalar(Scalar::text(given));
        }
        let (node, problems) = tree::parse(given);
        if let Some(problem) = problems.into_iter().next() {
            let what = format!("the value `{given}`: {}", problem.what);
            return Err(self.problem(&self.path, what, &problem.remedy));
        }
        let mut node = node.unwrap_or(Node { place: self.place(), value: Value::Scalar(Scalar::plain("")) });
        move_to(&mut node, &self.place());
        Ok(node)
    }
}

/// The shape of every tag: a word; whether it is one of the words is seen later.
static TAG: Shape = Shape { kind: Kind::Text, nullable: false };

fn takes_text(shape: &Shape) -> bool {
    match &shape.kind {
        Kind::Text | Kind::Choice(_) | Kind::Bytes | Kind::Time => true,
        Kind::Forms(forms) => forms.iter().any(|form| form.kind == Kind::Text),
        _ => false,
    }
}

fn unknown(shape: &Shape, key: &str, at: &FieldPath) -> String {
    let names = shape.names();
    if let Some(near) = nearest(key, names.iter().copied()) {
        format!("did you mean `{}`?", at.key(near))
    } else if let Some(home) = find(&crate::shape::JOB, key) {
        format!("did you mean `{home}`?")
    } else if names.is_empty() {
        format!("`{at}` has no fields: it is {}", shape.describe())
    } else {
        format!("the fields there are {}", names.join(", "))
    }
}

/// The node at `segment` of `node`, made if it is not there. What stands in the way of a section
/// (null, or the short form of a value) gives way.
fn descend<'n>(node: &'n mut Node, segment: &Segment, place: &Place) -> Result<&'n mut Node, String> {
    let empty = || Node { place: place.clone(), value: Value::Scalar(Scalar::plain("")) };
    match segment {
        Segment::Key(key) => {
            if !matches!(node.value, Value::Map(_)) {
                *node = Node { place: place.clone(), value: Value::Map(Vec::new()) };
            }
            let Value::Map(entries) = &mut node.value else { return Err("this is not a section".into()) };
            let position = entries.iter().position(|entry| entry.key == *key).unwrap_or_else(|| {
                entries.push(Entry { key: key.clone(), place: place.clone(), node: empty() });
                entries.len() - 1
            });
            Ok(&mut entries[position].node)
        }
        Segment::Index(index) => {
            if node.is_null() {
                *node = Node { place: place.clone(), value: Value::List(Vec::new()) };
            } else if let Value::Scalar(_) = node.value {
                // `uri: a` is the list of one.
                let only = node.clone();
                *node = Node { place: place.clone(), value: Value::List(vec![only]) };
            }
            let Value::List(nodes) = &mut node.value else { return Err("this is not a list".into()) };
            if *index > nodes.len() {
                return Err(format!("there is no entry {index}, the list has {}", nodes.len()));
            }
            if *index == nodes.len() {
                nodes.push(empty());
            }
            Ok(&mut nodes[*index])
        }
    }
}

fn move_to(node: &mut Node, place: &Place) {
    node.place = place.clone();
    match &mut node.value {
        Value::Scalar(_) => {}
        Value::List(nodes) => nodes.iter_mut().for_each(|node| move_to(node, place)),
        Value::Map(entries) => entries.iter_mut().for_each(|entry| {
            entry.place = place.clone();
            move_to(&mut entry.node, place);
        }),
    }
}
