//! Field paths: `train.global_batch`, `catalogue.features[0].dim`, `log.actions."add.to.cart".weight`.

use std::fmt;
use std::str::FromStr;

/// The way from the top of a job file to one of its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath(Vec<Segment>);

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// A field or key by name.
    Key(String),
    /// An entry of a list, from 0.
    Index(usize),
}

impl FieldPath {
    /// The steps.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether this is the file as a whole.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `self` is `prefix` or below it.
    pub fn starts_with(&self, prefix: &FieldPath) -> bool {
        self.0.starts_with(&prefix.0)
    }

    pub(crate) fn key(&self, key: &str) -> FieldPath {
        self.then(Segment::Key(key.to_owned()))
    }

    pub(crate) fn index(&self, index: usize) -> FieldPath {
        self.then(Segment::Index(index))
    }

    pub(crate) fn then(&self, segment: Segment) -> FieldPath {
        let mut longer = self.0.clone();
        longer.push(segment);
        FieldPath(longer)
    }
}

fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| !matches!(c, '.' | '[' | ']' | '=' | '"') && !c.is_whitespace())
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => {
                    if position > 0 {
                        f.write_str(".")?;
                    }
                    if is_bare(key) {
                        f.write_str(key)?;
                    } else {
                        write!(f, "\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""))?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl FromStr for FieldPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, rest) = FieldPath::parse_prefix(text)?;
        if rest.is_empty() { Ok(path) } else { Err(format!("`{rest}` follows the field")) }
    }
}

impl FieldPath {
    /// Reads a path up to an unquoted `=` or the end; returns what is left, `=` included.
    pub(crate) fn parse_prefix(text: &str) -> Result<(FieldPath, &str), String> {
        let mut segments = Vec::new();
        let mut rest = text;
        loop {
            rest = if let Some(quoted) = rest.strip_prefix('"') {
                let (key, after) = unquote(quoted)?;
                segments.push(Segment::Key(key));
                after
            } else if let Some(bracket) = rest.strip_prefix('[') {
                let (digits, after) = bracket.split_once(']').ok_or("a `[` is not closed")?;
                let index = digits.trim().parse().map_err(|_| format!("`[{digits}]` is not an index"))?;
                segments.push(Segment::Index(index));
                after
            } else {
                let end = rest.find(['.', '[', '=']).unwrap_or(rest.len());
                let key = rest[..end].trim();
                if key.is_empty() {
                    return Err("a field name is missing".into());
                }
                segments.push(Segment::Key(key.to_owned()));
                &rest[end..]
            };
            rest = match rest.chars().next() {
                None | Some('=') => return Ok((FieldPath(segments), rest)),
                Some('.') => &rest[1..],
                Some('[') => rest,
                Some(other) => return Err(format!("`{other}` stands where `.`, `[` or `=` must follow")),
            };
        }
    }
}

/// Reads the rest of a quoted key; `\"` and `\\` are escapes.
fn unquote(text: &str) -> Result<(String, &str), String> {
    let mut key = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((key, &text[at + 1..])),
            '\\' => key.extend(chars.next().map(|(_, escaped)| escaped)),
            other => key.push(other),
        }
    }
    Err("a `\"` is not closed".into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn paths_are_written_as_they_are_read() {
        for text in [
            "name",
            "train.steps",
            "catalogue.features[0].dim",
            "log.actions.\"add.to.cart\".weight",
            "log.actions.\"a \\\"b\\\" \\\\\".weight",
            "towers.item.mlp[12]",
        ] {
            let path: FieldPath = text.parse().unwrap();
            assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn malformed_paths_say_what_is_missing() {
        for (text, why) in [
            ("", "a field name is missing"),
            ("a..b", "a field name is missing"),
            ("a[x]", "`[x]` is not an index"),
            ("a[1", "a `[` is not closed"),
            ("\"a", "a `\"` is not closed"),
            ("a[1]b", "`b` stands where"),
            ("a=1", "`=1` follows the field"),
        ] {
            let error = text.parse::<FieldPath>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
