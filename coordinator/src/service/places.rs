//! Where a job keeps its things.

use std::path::{Path, PathBuf};

use twinspire_job::JobSpec;

/// Where a job keeps its things: one directory a job under the job file's `runs`.
///
/// ```text
/// runs/
///   datasets/{fingerprint}/     shared by all jobs
///   beauty/
///     job.json                  the job as it ran last, every default filled in
///     state.redb                phase, generation, newest checkpoint
///     checkpoints/  metrics.jsonl  tensorboard/  audit/  export/  logs/
/// ```
///
/// `runs` may be an object store. The state, metrics and logs are of this machine all the
/// same, and are then kept under `runs/` where the command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Audit records, reports; a directory or URI.
    pub run: String,
    /// Of all jobs.
    pub runs: String,
    /// Datasets of all jobs, by fingerprint.
    pub datasets: String,
    /// Checkpoints.
    pub checkpoints: String,
    /// Embeddings and weights.
    pub export: String,
    /// State file, job, metrics and logs; always a directory of this machine.
    pub local: PathBuf,
}

impl Places {
    /// The places of a job.
    pub fn of(spec: &JobSpec) -> Places {
        let run = join(&spec.runs, &spec.name);
        Places {
            runs: spec.runs.clone(),
            datasets: join(&spec.runs, "datasets"),
            checkpoints: spec.checkpoint.uri.clone().unwrap_or_else(|| join(&run, "checkpoints")),
            export: spec.export.uri.clone().unwrap_or_else(|| join(&run, "export")),
            local: local_directory(&spec.runs, &spec.name),
            run,
        }
    }

    /// The job as it ran last.
    pub fn job_file(&self) -> PathBuf {
        self.local.join("job.json")
    }

    /// The state store.
    pub fn state_file(&self) -> PathBuf {
        self.local.join("state.redb")
    }

    /// The logs of local mode's worker processes.
    pub fn logs(&self) -> PathBuf {
        self.local.join("logs")
    }

    /// The log of one of them.
    pub fn log_of(&self, worker: &str) -> PathBuf {
        self.logs().join(format!("{worker}.log"))
    }
}

/// The directory of this machine where the state and logs of a job are.
pub(crate) fn local_directory(runs: &str, job: &str) -> PathBuf {
    let runs = match runs.strip_prefix("file://") {
        Some(path) => Path::new(path),
        None if runs.contains("://") => Path::new("runs"),
        None => Path::new(runs),
    };
    runs.join(job)
}

fn join(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_whose_runs_are_in_a_bucket_keeps_its_state_here() {
        assert_eq!(local_directory("s3://bucket/runs", "beauty"), Path::new("runs/beauty"));
        assert_eq!(local_directory("/data/runs/", "beauty"), Path::new("/data/runs/beauty"));
        assert_eq!(local_directory("file:///data/runs", "beauty"), Path::new("/data/runs/beauty"));
    }
}
