//! Every file and place a job names.

use crate::spec::{JobSpec, SplitSpec};

impl JobSpec {
    /// Every path and URI of the job, with its field.
    pub fn uris_mut(&mut self) -> Vec<(&'static str, &mut String)> {
        let mut all = vec![("runs", &mut self.runs)];
        all.extend(self.log.uri.iter_mut().map(|uri| ("log.uri", uri)));
        let catalogue = self.catalogue.iter_mut().flat_map(|catalogue| &mut catalogue.uri);
        all.extend(catalogue.map(|uri| ("catalogue.uri", uri)));
        if let SplitSpec::Files { validation, test } = &mut self.split {
            all.extend(validation.iter_mut().map(|uri| ("split.validation", uri)));
            all.extend(test.iter_mut().map(|uri| ("split.test", uri)));
        }
        all.extend(self.checkpoint.uri.iter_mut().map(|uri| ("checkpoint.uri", uri)));
        all.extend(self.export.uri.iter_mut().map(|uri| ("export.uri", uri)));
        all
    }
}

/// Whether a path means something else in every directory and on every machine.
pub fn is_relative(uri: &str) -> bool {
    !uri.contains("://") && !uri.starts_with('/')
}
