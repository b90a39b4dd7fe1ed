//! What became of jobs or workers that were told something.

use std::fmt::Display;

use serde_json::{Value, json};

use super::{
    CliError, out,
    show::{self, Format},
};

/// The answers to one command. People read each as it comes; programs get an object for each, those of
/// several in a list.
pub(super) struct Answers {
    output: Format,
    /// Whether there is a list of them, of which some may be missing when one is refused.
    several: bool,
    given: Vec<Value>,
}

impl Answers {
    /// To a command about so many.
    pub(super) fn to(asked: usize, output: Format) -> Answers {
        Answers { output, several: asked > 1, given: Vec::new() }
    }

    /// One that was told something: a `job` or a `worker`, whether it was not so already, and the same in
    /// words.
    pub(super) fn add(
        &mut self,
        kind: &str,
        name: &str,
        changed: bool,
        words: impl Display,
    ) -> Result<(), CliError> {
        if !self.output.is_for_programs() {
            return out::line(words);
        }
        self.given.push(json!({ kind: name, "changed": changed }));
        Ok(())
    }

    /// All were asked, or one was refused: those that were told something before it were told it.
    pub(super) fn end(self) -> Result<(), CliError> {
        match self.value() {
            Some(value) => show::value(&value, self.output),
            None => Ok(()),
        }
    }

    fn value(&self) -> Option<Value> {
        match &self.given[..] {
            [] => None,
            given if self.several => Some(given.into()),
            [one, ..] => Some(one.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(asked: usize, given: &[(&str, bool)]) -> Option<Value> {
        let mut answers = Answers::to(asked, Format::Json);
        for (name, changed) in given {
            assert!(answers.add("job", name, *changed, "never shown").is_ok());
        }
        answers.value()
    }

    #[test]
    fn programs_get_an_object_for_one_and_a_list_for_several() {
        let (beauty, demo) =
            (json!({"job": "beauty", "changed": true}), json!({"job": "demo", "changed": false}));
        assert_eq!(answers(1, &[("beauty", true)]), Some(beauty.clone()));
        assert_eq!(answers(2, &[("beauty", true), ("demo", false)]), Some(json!([beauty, demo])));
        // The other one was refused.
        assert_eq!(answers(2, &[("beauty", true)]), Some(json!([beauty])));
        assert_eq!(answers(1, &[]), None);
    }

    #[test]
    fn people_are_told_at_once_and_nothing_twice() {
        let mut answers = Answers::to(1, Format::Text);
        assert!(answers.add("worker", "node-3/cuda:0", true, "node-3/cuda:0: gets no more tasks").is_ok());
        assert_eq!(answers.value(), None);
    }
}
