//! The settings of `coordinator serve`: flags over environment over file over defaults.

use std::{num::NonZeroU32, path::PathBuf};

use clap::Args;
use schemars::JsonSchema;
use serde::Deserialize;
use twinspire_control::{Limits, Policy};
use twinspire_job::{JobError, Span, read_settings};

/// What can be set about a service: each a flag, a variable of the environment, and a line of the
/// file named by `--config`, which has the name of the flag.
#[derive(Clone, Debug, Default, Args, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Address to listen on [default: 127.0.0.1:7070].
    #[arg(long, value_name = "HOST:PORT", env = "TWINSPIRE_LISTEN")]
    pub(super) listen: Option<String>,
    /// What other coordinators reach it by; when not given, what it listens on.
    #[arg(long, value_name = "URL", env = "TWINSPIRE_ADVERTISE")]
    pub(super) advertise: Option<String>,
    /// Where its state is kept: a file, or etcd://HOST:PORT,…/PREFIX [default: runs/state.redb].
    #[arg(long, value_name = "URI", env = "TWINSPIRE_STATE")]
    pub(super) state: Option<String>,
    /// Where jobs that do not say otherwise keep their things; all workers must reach it [default:
    /// runs].
    #[arg(long, value_name = "URI", env = "TWINSPIRE_RUNS")]
    pub(super) runs: Option<String>,
    /// How long a job may be overtaken by smaller ones before free workers are held for it [default:
    /// 60s].
    #[arg(long, value_name = "TIME", env = "TWINSPIRE_PATIENCE")]
    patience: Option<Span>,
    /// How long a job stays at its size before it grows [default: 10s].
    #[arg(long, value_name = "TIME", env = "TWINSPIRE_SETTLE")]
    settle: Option<Span>,
    /// Most workers that one job may ask for; a job that asks for more is refused [default: 2000].
    #[arg(long, value_name = "N", env = "TWINSPIRE_MAX_WORKERS_PER_JOB")]
    max_workers_per_job: Option<NonZeroU32>,
    /// Most jobs that are not over, queued and paused ones included; further ones are refused
    /// [default: any].
    #[arg(long, value_name = "N", env = "TWINSPIRE_MAX_JOBS")]
    max_jobs: Option<NonZeroU32>,
}

impl Settings {
    /// These, and where they say nothing those of the file.
    pub(super) fn over(self, file: Option<&PathBuf>) -> Result<Settings, JobError> {
        let Some(file) = file else { return Ok(self) };
        let file: Settings = read_settings(file, "the settings of `coordinator serve`")?;
        Ok(Settings {
            listen: self.listen.or(file.listen),
            advertise: self.advertise.or(file.advertise),
            state: self.state.or(file.state),
            runs: self.runs.or(file.runs),
            patience: self.patience.or(file.patience),
            settle: self.settle.or(file.settle),
            max_workers_per_job: self.max_workers_per_job.or(file.max_workers_per_job),
            max_jobs: self.max_jobs.or(file.max_jobs),
        })
    }

    /// How the pool is run.
    pub(super) fn policy(&self) -> Policy {
        let usual = Policy::default();
        Policy {
            patience: self.patience.map_or(usual.patience, |span| span.0),
            settle: self.settle.map_or(usual.settle, |span| span.0),
            limits: Limits {
                jobs: self.max_jobs.map(NonZeroU32::get),
                workers_per_job: self
                    .max_workers_per_job
                    .map(NonZeroU32::get)
                    .or(usual.limits.workers_per_job),
            },
            ..usual
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::time::Duration;

    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("serve.yaml");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn what_is_typed_wins_over_the_file_and_the_file_over_the_defaults() {
        let (_dir, path) = file("listen: 0.0.0.0:7000\npatience: 5m\nmax-jobs: 3\n");
        let typed = Settings { listen: Some("127.0.0.1:1".into()), ..Settings::default() };
        let settings = typed.over(Some(&path)).unwrap();
        assert_eq!(settings.listen.as_deref(), Some("127.0.0.1:1"));
        let policy = settings.policy();
        assert_eq!(policy.patience, Duration::from_secs(300));
        assert_eq!(policy.settle, Policy::default().settle);
        assert_eq!(policy.limits, Limits { jobs: Some(3), ..Limits::default() });
    }

    #[test]
    fn a_file_with_a_slip_is_refused_with_its_line_and_what_was_meant() {
        let (_dir, path) = file("listen: 0.0.0.0:7000\nmax_worker_per_job: 3\n");
        let report = Settings::default().over(Some(&path)).unwrap_err().report();
        assert!(report.contains("serve.yaml:2:1"), "{report}");
        assert!(report.contains("did you mean `max-workers-per-job`?"), "{report}");
    }

    #[test]
    fn no_workers_at_all_is_no_limit() {
        let (_dir, path) = file("max-workers-per-job: 0\n");
        let report = Settings::default().over(Some(&path)).unwrap_err().report();
        assert!(report.contains("serve.yaml:1:22"), "{report}");
    }
}
