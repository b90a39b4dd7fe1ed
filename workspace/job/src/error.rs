//! What is wrong with a job file, all of it, as a compiler would say it.

use std::fmt;

use crate::code::Code;
use crate::path::FieldPath;

/// Where a problem stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the file; line and column count from 1, columns in characters.
    File {
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// In an override, given as it was written: `train.steps=x`.
    Set(String),
    /// Nowhere in particular: the spec did not come from a file.
    Nowhere,
}

/// One thing that is wrong: where, what, why, and how to mend it.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Its kind.
    pub code: Code,
    /// Where it is.
    pub place: Place,
    /// The field, `train.global_batch`; empty for the file as a whole.
    pub path: FieldPath,
    /// What is wrong.
    pub what: String,
    /// Why that is wrong, where it needs saying.
    pub why: Option<String>,
    /// How to mend it.
    pub remedy: String,
    /// The line of the file, for [`Problems::report`].
    pub excerpt: Option<String>,
}

impl Problem {
    pub(crate) fn new(
        code: Code,
        place: Place,
        path: FieldPath,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let (what, remedy) = (what.into(), remedy.into());
        Problem { code, place, path, what, why: None, remedy, excerpt: None }
    }

    pub(crate) fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, origin: &str) -> fmt::Result {
        match &self.place {
            Place::File { line, column } => write!(f, "{origin}:{line}:{column}: ")?,
            Place::Set(text) => write!(f, "--set {text}: ")?,
            Place::Nowhere => write!(f, "{origin}: ")?,
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.what)?;
        if let Some(why) = &self.why {
            write!(f, "; {why}")?;
        }
        write!(f, ": {} [{}]", self.remedy, self.code.as_str())
    }
}

/// Everything that is wrong with one job, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Problems {
    origin: String,
    list: Vec<Problem>,
}

impl Problems {
    /// Sorts `list` by place and gives each problem its line of `source`.
    pub(crate) fn new(origin: &str, source: &str, mut list: Vec<Problem>) -> Self {
        list.sort_by(|a, b| a.place.cmp(&b.place));
        for problem in &mut list {
            if let Place::File { line, .. } = problem.place {
                problem.excerpt = source.lines().nth(line - 1).map(str::to_owned);
            }
        }
        Problems { origin: origin.to_owned(), list }
    }

    /// The problems.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// What was read: the file's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Each problem with the line it stands on and a mark under its column, for a terminal.
    pub fn report(&self) -> String {
        const WIDEST: usize = 160;
        let mut out = String::new();
        for problem in &self.list {
            out.push_str(&Line { origin: &self.origin, problem }.to_string());
            out.push('\n');
            if let (Place::File { line, column }, Some(text)) = (&problem.place, &problem.excerpt)
                && *column <= WIDEST
            {
                let text: String = text.chars().take(WIDEST).collect();
                let mark = " ".repeat(column - 1);
                out.push_str(&format!("{line:>5} | {text}\n      | {mark}^\n"));
            }
        }
        out.push_str(&self.count());
        out
    }

    fn count(&self) -> String {
        match self.list.len() {
            1 => "1 problem".into(),
            many => format!("{many} problems"),
        }
    }
}

struct Line<'a> {
    origin: &'a str,
    problem: &'a Problem,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.write(f, self.origin)
    }
}

/// One line a problem.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.write(f, &self.origin)?;
        }
        Ok(())
    }
}

/// A job file that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum JobError {
    /// The file could not be read at all.
    #[error("{origin}: {what}: {remedy} [TW1001]")]
    Unreadable {
        /// The file's name.
        origin: String,
        /// What went wrong.
        what: String,
        /// How to mend it.
        remedy: String,
    },
    /// It was read, and this is wrong with it.
    #[error("{0}")]
    Invalid(Problems),
}

impl JobError {
    /// The stable code; of the first problem when there are several.
    pub fn code(&self) -> &'static str {
        match self {
            JobError::Unreadable { .. } => Code::Unreadable.as_str(),
            JobError::Invalid(problems) => {
                problems.list.first().map_or(Code::Syntax, |problem| problem.code).as_str()
            }
        }
    }

    /// The same problems of a spec that has no lines.
    pub(crate) fn nowhere(mut self) -> Self {
        if let JobError::Invalid(problems) = &mut self {
            for problem in &mut problems.list {
                problem.place = Place::Nowhere;
                problem.excerpt = None;
            }
        }
        self
    }

    /// The problems found; none when the file could not be read.
    pub fn problems(&self) -> &[Problem] {
        match self {
            JobError::Unreadable { .. } => &[],
            JobError::Invalid(problems) => problems.list(),
        }
    }

    /// The message for a terminal, with the lines concerned.
    pub fn report(&self) -> String {
        match self {
            JobError::Unreadable { .. } => self.to_string(),
            JobError::Invalid(problems) => problems.report(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_report_points_at_the_column() {
        let problem = Problem::new(
            Code::Range,
            Place::File { line: 2, column: 7 },
            "seed".parse().unwrap(),
            "-1 is too small",
            "use 0",
        );
        let report = Problems::new("job.yaml", "name: a\nseed: -1\n", vec![problem]).report();
        assert_eq!(
            report,
            "job.yaml:2:7: seed: -1 is too small: use 0 [TW1008]\n    2 | seed: -1\n      |       ^\n1 problem"
        );
    }
}
