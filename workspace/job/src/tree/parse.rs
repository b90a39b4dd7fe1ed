//! Parser events -> tree, under limits no honest job file comes near.

use std::collections::HashMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use super::syntax::{merge_key, place, problem, syntax, too_deep, unknown_tag};
use super::{DEEPEST, Entry, Node, Scalar, Value};
use crate::code::Code;
use crate::error::{Place, Problem};
use crate::path::FieldPath;

/// Aliases are copied; this bounds what a few lines of them can grow to.
const MOST_NODES: usize = 100_000;

/// The tree of the only document in `text` (none when it has no content), and what is wrong with
/// it. Duplicate keys are problems, but do not end the reading; syntax errors do.
pub(crate) fn parse(text: &str) -> (Option<Node>, Vec<Problem>) {
    let mut builder = Builder::default();
    if let Err(problem) = builder.read(text) {
        builder.problems.push(*problem);
        return (None, builder.problems);
    }
    let (root, problems) = (builder.root, builder.problems);
    (root.filter(|node| !(node.is_null())), problems)
}

/// A list or mapping whose end has not been seen.
struct Open {
    place: Place,
    anchor: usize,
    /// Where this node's path went on from its parent's.
    path: FieldPath,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<(String, Place)> },
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    /// Anchored nodes with their size and height.
    anchors: HashMap<usize, (Node, usize, usize)>,
    nodes: usize,
    documents: usize,
    problems: Vec<Problem>,
}

impl Builder {
    fn read(&mut self, text: &str) -> Result<(), Box<Problem>> {
        for next in Parser::new_from_str(text) {
            let (event, span) = next.map_err(|error| syntax(&error, text))?;
            self.take(event, &span)?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Box<Problem>> {
        let mark = &span.start;
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(problem(
                        mark,
                        "a second document begins here",
                        "keep one job a file: split it at the `---`",
                    ));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = scalar(&text, style, tag.as_deref(), mark)?;
                if self.awaits_key() {
                    let text = if span.is_empty() { String::new() } else { scalar.text };
                    if text == "<<" && style == ScalarStyle::Plain {
                        return Err(merge_key(mark));
                    }
                    self.key(text, mark);
                    return Ok(());
                }
                let mut place = place(mark);
                if span.is_empty() {
                    // Nothing is written: point at the key.
                    if let Some(Content::Map { key: Some((_, at)), .. }) =
                        self.open.last().map(|open| &open.content)
                    {
                        place = at.clone();
                    }
                }
                self.add(Node { place, value: Value::Scalar(scalar) }, anchor, (1, 1), mark)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.begin(Content::List(Vec::new()), anchor, tag.as_deref(), mark)?;
            }
            Event::MappingStart(_, anchor, tag) => {
                let content = Content::Map { entries: Vec::new(), key: None };
                self.begin(content, anchor, tag.as_deref(), mark)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    let value = match open.content {
                        Content::List(nodes) => Value::List(nodes),
                        Content::Map { entries, .. } => Value::Map(entries),
                    };
                    let node = Node { place: open.place, value };
                    let size = if open.anchor == 0 { (1, 1) } else { measure(&node) };
                    self.add(node, open.anchor, size, mark)?;
                }
            }
            Event::Alias(anchor) => {
                if self.awaits_key() {
                    return Err(problem(
                        mark,
                        "an alias stands where a field name must be",
                        "write the name",
                    ));
                }
                let Some((node, size, height)) = self.anchors.get(&anchor).cloned() else {
                    return Err(problem(
                        mark,
                        "this alias is part of what it refers to",
                        "write the value out instead of the alias",
                    ));
                };
                self.add(node, 0, (size, height), mark)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last().map(|open| &open.content), Some(Content::Map { key: None, .. }))
    }

    fn path(&self) -> FieldPath {
        match self.open.last() {
            None => FieldPath::default(),
            Some(open) => match &open.content {
                Content::List(nodes) => open.path.index(nodes.len()),
                Content::Map { key: Some((key, _)), .. } => open.path.key(key),
                Content::Map { key: None, .. } => open.path.clone(),
            },
        }
    }

    fn key(&mut self, text: String, mark: &Marker) {
        let place = place(mark);
        if let Some(Open { path, content: Content::Map { entries, key }, .. }) = self.open.last_mut() {
            if let Some(first) = entries.iter().find(|entry| entry.key == text)
                && let Place::File { line, .. } = first.place
            {
                let remedy = "keep one of the two";
                self.problems.push(Problem::new(
                    Code::Duplicate,
                    place.clone(),
                    path.key(&text),
                    format!("`{text}` is given twice, first on line {line}"),
                    remedy,
                ));
            }
            *key = Some((text, place));
        }
    }

    fn begin(
        &mut self,
        content: Content,
        anchor: usize,
        tag: Option<&Tag>,
        mark: &Marker,
    ) -> Result<(), Box<Problem>> {
        if self.awaits_key() {
            return Err(problem(mark, "a list or section stands where a field name must be", "write a name"));
        }
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            return Err(unknown_tag(tag, mark));
        }
        if self.open.len() >= DEEPEST {
            return Err(too_deep(mark));
        }
        let path = self.path();
        self.open.push(Open { place: place(mark), anchor, path, content });
        Ok(())
    }

    /// Puts a finished node where it belongs. `(size, height)` is how many nodes it is and how deep.
    fn add(
        &mut self,
        node: Node,
        anchor: usize,
        (size, height): (usize, usize),
        mark: &Marker,
    ) -> Result<(), Box<Problem>> {
        self.nodes += size;
        if self.nodes > MOST_NODES {
            return Err(problem(
                mark,
                format!("the file grows past {MOST_NODES} values here"),
                "a job file has a few hundred: check that this is one, and that its aliases do not multiply",
            ));
        }
        if self.open.len() + height > DEEPEST + 1 {
            return Err(too_deep(mark));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size, height));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(nodes)) => nodes.push(node),
            Some(Content::Map { entries, key }) => {
                if let Some((key, place)) = key.take() {
                    // Of a duplicate, the first is kept.
                    if entries.iter().all(|entry| entry.key != key) {
                        entries.push(Entry { key, place, node });
                    }
                }
            }
        }
        Ok(())
    }
}

/// How many nodes, and how many levels.
fn measure(node: &Node) -> (usize, usize) {
    let children: Vec<&Node> = match &node.value {
        Value::Scalar(_) => Vec::new(),
        Value::List(nodes) => nodes.iter().collect(),
        Value::Map(entries) => entries.iter().map(|entry| &entry.node).collect(),
    };
    children
        .into_iter()
        .map(measure)
        .fold((1, 1), |(size, height), (child, levels)| (size + child, height.max(levels + 1)))
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, mark: &Marker) -> Result<Scalar, Box<Problem>> {
    match tag {
        None if style == ScalarStyle::Plain => Ok(Scalar::plain(text)),
        None => Ok(Scalar::text(text)),
        Some(tag) => match tag.core_suffix() {
            None => Err(unknown_tag(tag, mark)),
            Some(suffix) => Scalar::tagged(text, suffix)
                .ok_or_else(|| problem(mark, format!("`{text}` is not a {suffix}"), "leave the tag out")),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn ok(text: &str) -> Node {
        let (node, problems) = parse(text);
        assert_eq!(problems, vec![]);
        node.unwrap()
    }

    fn place_of(node: &Node, path: &str) -> (usize, usize) {
        match node.place_of(&path.parse().unwrap()) {
            Place::File { line, column } => (line, column),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nodes_know_their_line_and_column() {
        let tree = ok("name: a\nlog:\n  uri: [x, 'y']\n  filter:\ntrain: {steps: 5}\n");
        assert_eq!(place_of(&tree, "name"), (1, 7));
        assert_eq!(place_of(&tree, "log.uri[1]"), (3, 12));
        assert_eq!(place_of(&tree, "log.filter"), (4, 3), "nothing is written: the key");
        assert_eq!(place_of(&tree, "train.steps"), (5, 16));
        assert_eq!(place_of(&tree, "train.epochs"), (5, 1), "a default: its section");
        assert_eq!(place_of(&tree, "loss.tile_rows"), (1, 1));
    }

    #[test]
    fn aliases_stand_for_what_they_name() {
        let tree = ok("a: &x {k: 1}\nb: *x\n");
        assert_eq!(tree.get(&"b.k".parse().unwrap()), tree.get(&"a.k".parse().unwrap()));
    }

    #[test]
    fn aliases_cannot_multiply_without_bound() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let refs = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{refs}]\n"));
        }
        let (_, problems) = parse(&text);
        assert!(problems[0].what.contains("grows past"), "{problems:?}");
    }

    #[test]
    fn aliases_cannot_nest_without_bound() {
        let mut text = String::from("a0: &a0 [x]\n");
        for level in 1..100 {
            text.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        let (_, problems) = parse(&text);
        assert!(problems[0].what.contains("nested more than"), "{problems:?}");
    }

    #[test]
    fn a_megabyte_of_brackets_is_an_error_and_not_a_crash() {
        for text in ["[".repeat(1 << 20), "- ".repeat(1 << 19), "{a: ".repeat(1 << 18)] {
            let (_, problems) = parse(&text);
            assert!(problems[0].what.contains("nested more than"), "{problems:?}");
        }
    }
}
