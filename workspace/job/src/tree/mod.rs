//! YAML as a tree whose every node knows its place.
//!
//! The events come from granit-parser, the maintained fork of saphyr-parser that serde-saphyr is
//! built on. A deserializer stops at the first mistake; a tree can be looked at whole, changed by
//! `--set` and asked where a field stands long after it was read. So the tree is our own and only
//! the parser is borrowed.

mod parse;
mod scalar;
mod syntax;

pub(crate) use parse::parse;
pub(crate) use scalar::{Scalar, ScalarKind};

use crate::error::Place;
use crate::path::{FieldPath, Segment};

/// A job file is six levels deep at most; walking the tree recurses this far.
const DEEPEST: usize = 64;

/// A YAML value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A YAML value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value; keys are kept as they are written (`1:` is the key "1").
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) node: Node,
}

/// The tree of an empty file.
pub(crate) fn nothing() -> Node {
    Node { place: Place::File { line: 1, column: 1 }, value: Value::Map(Vec::new()) }
}

impl Node {
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.kind == ScalarKind::Null)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    fn step(&self, segment: &Segment) -> Option<&Node> {
        match (segment, &self.value) {
            (Segment::Key(key), _) => self.entry(key).map(|entry| &entry.node),
            (Segment::Index(index), Value::List(nodes)) => nodes.get(*index),
            _ => None,
        }
    }

    /// The node at `path`, if the file has it.
    pub(crate) fn get(&self, path: &FieldPath) -> Option<&Node> {
        path.segments().iter().try_fold(self, |node, segment| node.step(segment))
    }

    /// Where to point for `path`: at its value, or at the key of the nearest section that is there.
    pub(crate) fn place_of(&self, path: &FieldPath) -> Place {
        let mut node = self;
        let mut place = &self.place;
        let steps = path.segments();
        for (position, segment) in steps.iter().enumerate() {
            let Some(next) = node.step(segment) else { break };
            let is_value = position + 1 == steps.len() && !matches!(next.value, Value::Map(_));
            place = match segment {
                Segment::Key(key) if !is_value => node.entry(key).map_or(&next.place, |entry| &entry.place),
                _ => &next.place,
            };
            node = next;
        }
        place.clone()
    }

    /// What kind of YAML this is, for messages.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a section".into(),
            Value::Scalar(scalar) => scalar.describe(),
        }
    }
}
