//! What the types cannot say: fields that do not go together, names that refer to nothing.
//!
//! Checks are pure functions of an effective [`JobSpec`] (after [`crate::resolve`]); each adds what
//! it finds and none stops the others. A file holds the checks of one part of the job.

mod catalogue;
mod evaluate;
mod job;
mod log;
mod loss;
mod split;
mod towers;
mod train;
mod uri;

pub use split::parse_instant;

use crate::code::Code;
use crate::spec::JobSpec;

/// Something found, before it has a place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) code: Code,
    /// The field to change.
    pub(crate) path: String,
    /// The fields it depends on: if one of them is itself wrong, there is nothing to find yet.
    pub(crate) related: Vec<&'static str>,
    pub(crate) what: String,
    pub(crate) why: Option<String>,
    pub(crate) remedy: String,
}

impl Finding {
    fn because(&mut self, why: impl Into<String>) -> &mut Self {
        self.why = Some(why.into());
        self
    }

    fn with(&mut self, related: &[&'static str]) -> &mut Self {
        self.related.extend(related);
        self
    }
}

/// Collects findings.
#[derive(Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    fn add(
        &mut self,
        code: Code,
        path: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> &mut Finding {
        let index = self.0.len();
        self.0.push(Finding {
            code,
            path: path.into(),
            related: Vec::new(),
            what: what.into(),
            why: None,
            remedy: remedy.into(),
        });
        &mut self.0[index]
    }
}

/// All that is wrong with `spec`.
pub(crate) fn check(spec: &JobSpec) -> Vec<Finding> {
    let mut found = Findings::default();
    job::check(spec, &mut found);
    log::check(&spec.log, &mut found);
    if let Some(catalogue) = &spec.catalogue {
        catalogue::check(catalogue, &mut found);
    }
    split::check(spec, &mut found);
    towers::item(spec, &mut found);
    towers::user(spec, &mut found);
    loss::check(spec, &mut found);
    train::check(spec, &mut found);
    evaluate::check(spec, &mut found);
    found.0
}
