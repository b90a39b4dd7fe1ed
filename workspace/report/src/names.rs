//! What evaluation reports are called in the directory of their run.

use std::fmt;

use crate::Split;

/// The report a run itself ends with.
pub fn own_evaluation(split: Split) -> String {
    format!("evaluation-{split}.json")
}

/// A report asked for when the run was over, of the towers after so many steps; it stands beside the
/// run's own.
pub fn later_evaluation(split: Split, step: u64) -> String {
    format!("evaluation-{split}-step-{step}.json")
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Split::Validation => "validation",
            Split::Test => "test",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_asked_for_later_stand_beside_the_runs_own() {
        assert_eq!(own_evaluation(Split::Test), "evaluation-test.json");
        assert_eq!(own_evaluation(Split::Validation), "evaluation-validation.json");
        assert_eq!(later_evaluation(Split::Test, 1200), "evaluation-test-step-1200.json");
        assert_eq!(later_evaluation(Split::Validation, 0), "evaluation-validation-step-0.json");
    }
}
