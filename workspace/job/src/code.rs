//! The stable codes of what can be wrong with a job file.

/// Every code of this crate with its one-line meaning; `docs/errors.md` lists them.
pub const CODES: &[(&str, &str)] = &[
    ("TW1001", "The job file cannot be read: missing, a directory, too large, or not UTF-8 text."),
    ("TW1002", "The job file is not the YAML of one job: bad syntax, tabs, empty, nested too deep."),
    ("TW1003", "A field has a name no field has there."),
    ("TW1004", "A required field is missing."),
    ("TW1005", "A value is of the wrong type."),
    ("TW1006", "A value is not one of the choices."),
    ("TW1007", "A quantity lacks its unit or has an unknown one."),
    ("TW1008", "A number is out of range."),
    ("TW1009", "Something that must be unique is there twice."),
    ("TW1010", "Fields that do not go together."),
    ("TW1011", "A path or URI that cannot be used."),
    ("TW1012", "A `--set` override that cannot be applied."),
    ("TW1013", "A name that refers to nothing."),
    ("TW1014", "A text that is not in the form it must have."),
];

/// Kind of a [`Problem`], one stable code each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// The file cannot be read.
    Unreadable,
    /// The file is not the YAML of one job.
    Syntax,
    /// Unknown field.
    UnknownField,
    /// Missing required field.
    Missing,
    /// Wrong type.
    Type,
    /// Not one of the choices.
    Choice,
    /// Bad or missing unit.
    Unit,
    /// Number out of range.
    Range,
    /// Given twice.
    Duplicate,
    /// Impossible combination.
    Combination,
    /// Unusable path or URI.
    Uri,
    /// Bad `--set`.
    Override,
    /// Refers to nothing.
    Reference,
    /// Malformed text.
    Form,
}

impl Code {
    /// The stable code, `TW1xxx`.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Unreadable => "TW1001",
            Code::Syntax => "TW1002",
            Code::UnknownField => "TW1003",
            Code::Missing => "TW1004",
            Code::Type => "TW1005",
            Code::Choice => "TW1006",
            Code::Unit => "TW1007",
            Code::Range => "TW1008",
            Code::Duplicate => "TW1009",
            Code::Combination => "TW1010",
            Code::Uri => "TW1011",
            Code::Override => "TW1012",
            Code::Reference => "TW1013",
            Code::Form => "TW1014",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_problem_is_in_the_table_of_codes() {
        let kinds = [
            Code::Unreadable,
            Code::Syntax,
            Code::UnknownField,
            Code::Missing,
            Code::Type,
            Code::Choice,
            Code::Unit,
            Code::Range,
            Code::Duplicate,
            Code::Combination,
            Code::Uri,
            Code::Override,
            Code::Reference,
            Code::Form,
        ];
        let listed: Vec<&str> = CODES.iter().map(|(code, _)| *code).collect();
        let used: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(used, listed);
    }
}
