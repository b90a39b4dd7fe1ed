//! What is not YAML, or more of it than a job file may use, in words that help.

use granit_parser::{ErrorKind, Marker, ScanError, Tag};

use super::DEEPEST;
use crate::code::Code;
use crate::error::{Place, Problem};
use crate::path::FieldPath;

pub(super) fn place(mark: &Marker) -> Place {
    Place::File { line: mark.line(), column: mark.col() + 1 }
}

pub(super) fn problem(mark: &Marker, what: impl Into<String>, remedy: impl Into<String>) -> Box<Problem> {
    Box::new(Problem::new(Code::Syntax, place(mark), FieldPath::default(), what, remedy))
}

pub(super) fn merge_key(mark: &Marker) -> Box<Problem> {
    problem(
        mark,
        "merge keys (`<<`) are not part of YAML 1.2",
        "write the fields out, or use an alias (`*name`) for a whole value",
    )
}

pub(super) fn unknown_tag(tag: &Tag, mark: &Marker) -> Box<Problem> {
    problem(mark, format!("the tag `{}` means nothing here", tag.original()), "leave the tag out")
}

pub(super) fn too_deep(mark: &Marker) -> Box<Problem> {
    problem(
        mark,
        format!("values are nested more than {DEEPEST} deep"),
        "no field of a job is deeper than six: look for brackets that are not closed",
    )
}

pub(super) fn syntax(error: &ScanError, text: &str) -> Box<Problem> {
    let remedy = match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => {
            let mut problem = problem(
                error.marker(),
                "a tab stands where YAML allows only spaces",
                "indent with spaces, not tabs",
            );
            problem.place = tab(text, error.marker()).unwrap_or(problem.place);
            return problem;
        }
        ErrorKind::RecursionLimitExceeded => return too_deep(error.marker()),
        ErrorKind::UnknownAnchor => {
            "a value that begins with `*` is an alias: put it in quotes if it is text"
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => {
            "close the quote, or indent the text that goes on on this line"
        }
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofImplicitFlowMapping => "close the bracket",
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            "write `field: value`, with a space after the colon"
        }
        ErrorKind::MappingValueNotAllowed => {
            "put a text that contains `: ` in quotes, and line fields of one section up under each other"
        }
        ErrorKind::UnexpectedCharacter { .. } => "put a text that begins with this character in quotes",
        _ => {
            "mend the line: fields of one section line up under each other, `field: value`, lists as `- value`"
        }
    };
    problem(error.marker(), format!("this is not YAML: {}", error.kind()), remedy)
}

/// The first tab in the indentation from `mark`'s line on: the parser notices it late or early.
fn tab(text: &str, mark: &Marker) -> Option<Place> {
    text.lines().enumerate().skip(mark.line().saturating_sub(1)).find_map(|(index, line)| {
        let indentation = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
        Some(Place::File { line: index + 1, column: indentation.find('\t')? + 1 })
    })
}
