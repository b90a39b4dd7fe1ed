//! Names of directories and files: the only place that knows them.

use crate::ids::{Generation, Step};

/// Name of the file whose creation is the commit.
pub(crate) const MANIFEST: &str = "manifest.json";

/// One generation's checkpoint of one step, finished or not.
///
/// Ordered by age, newest last: a newer generation's is newer whatever its step. A generation goes
/// on from what it restored; what an older one has beyond that was not whole, or came too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Attempt {
    pub(crate) generation: Generation,
    pub(crate) step: Step,
}

impl Attempt {
    /// `step-000001200/generation-00003`
    pub(crate) fn directory(self) -> String {
        format!("{}/generation-{:05}", Attempt::step_directory(self.step), self.generation.0)
    }

    /// `step-000001200`
    pub(crate) fn step_directory(step: Step) -> String {
        format!("step-{:09}", step.0)
    }

    /// The attempt a file belongs to and its name there. Files of other shape are not ours.
    pub(crate) fn of_file(name: &str) -> Option<(Attempt, &str)> {
        let mut levels = name.splitn(3, '/');
        let step = Step(levels.next()?.strip_prefix("step-")?.parse().ok()?);
        let generation = Generation(levels.next()?.strip_prefix("generation-")?.parse().ok()?);
        let attempt = Attempt { generation, step };
        let file = levels.next()?;
        // `step-1` parses too but is not what `directory` writes.
        name.starts_with(&attempt.directory()).then_some((attempt, file))
    }
}

/// `state-00000-of-00002.safetensors`
pub(crate) fn part_file(rank: usize, of: usize) -> String {
    format!("state-{rank:05}-of-{of:05}.safetensors")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_files_name_leads_back_to_its_attempt() {
        let attempt = Attempt { step: Step(1200), generation: Generation(3) };
        assert_eq!(attempt.directory(), "step-000001200/generation-00003");
        let name = format!("{}/{}", attempt.directory(), part_file(1, 2));
        assert_eq!(Attempt::of_file(&name).unwrap(), (attempt, "state-00001-of-00002.safetensors"));
        for foreign in ["x", "step-1/generation-00001/x", "step-000000001/x", "step-x/generation-00001/x"] {
            assert_eq!(Attempt::of_file(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn attempts_are_ordered_by_generation_then_step() {
        let attempt = |generation, step| Attempt { generation: Generation(generation), step: Step(step) };
        assert!(attempt(1, 900) < attempt(2, 100) && attempt(2, 100) < attempt(2, 200));
    }
}
