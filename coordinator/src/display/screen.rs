//! Where the lines go.

use std::{
    io::IsTerminal,
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use indicatif::{ProgressBar, ProgressStyle};
use twinspire_control::{Failure, FailureKind, Notice, Phase, Progress, Started, TaskResult, WorkerName};
use twinspire_processes::tail;

use super::{
    format::{clock, number},
    line::Line,
    note::note,
    words::in_words,
};

/// Between two plain progress lines.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// Lines shown of the log of a worker that failed.
const LOG_LINES: usize = 20;

/// Shows a job's notices on standard error.
pub struct Screen {
    job: String,
    logs: PathBuf,
    begun: Instant,
    bar: Option<ProgressBar>,
    plain_at: Option<Instant>,
    line: Line,
    last: Option<Phase>,
    /// Worker and code of the failure whose log was shown last, since the job last got further.
    told: Option<(Option<WorkerName>, String)>,
    /// Checkpoints could not be written for a while, and none has been since.
    is_unsaved: bool,
}

impl Screen {
    /// A live line when standard error is a terminal, plain lines when it is not.
    pub fn new(job: &str, logs: PathBuf) -> Screen {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(ProgressStyle::default_spinner());
            bar.set_prefix(job.to_owned());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {wide_msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let line = Line::default();
        Screen {
            job: job.to_owned(),
            logs,
            begun: Instant::now(),
            bar,
            plain_at: None,
            line,
            last: None,
            told: None,
            is_unsaved: false,
        }
    }

    /// Shows a notice.
    pub fn show(&mut self, notice: &Notice) {
        match notice {
            Notice::Phase { phase, reason } => self.phase(*phase, reason),
            Notice::Progress(progress) => self.progress(progress),
            Notice::Started(started) => {
                self.started(started);
                self.line.started = Some((self.begun.elapsed(), started.clone()));
            }
            Notice::Validated(validated) => {
                let best = if validated.best { ", the best so far" } else { "" };
                self.say(&format!(
                    "epoch {:.1}, step {}: {} {:.4}{best}",
                    validated.epoch,
                    number(validated.step),
                    validated.metric,
                    validated.value
                ));
                self.line.validated = Some(validated.clone());
            }
            Notice::Committed { step } => {
                self.told = None;
                if std::mem::take(&mut self.is_unsaved) {
                    self.say(&format!("checkpoints are written again: step {}", number(*step)));
                }
                tracing::info!(step, "checkpoint");
            }
            Notice::CheckpointDelayed { step, message } => {
                // It is tried again and again.
                if !std::mem::replace(&mut self.is_unsaved, true) {
                    let step = number(*step);
                    self.say(&format!(
                        "WARNING: the checkpoint of step {step} cannot be written; trying on, and training: {message}"
                    ));
                }
            }
            // Nor, while one before it cannot be written, can this one.
            Notice::CheckpointFailed { .. } if self.is_unsaved => {}
            Notice::CheckpointFailed { step, message } => self.say(&format!(
                "WARNING: the checkpoint of step {} could not be written, training goes on: {message}",
                number(*step)
            )),
            Notice::Retrying { failure, retry, of, after } => {
                self.say(&format!("{} [{}]", failure.message, failure.code));
                if self.is_news(failure) {
                    self.log_of(failure, LOG_LINES / 4);
                }
                let pause = match after.as_secs() {
                    0 => String::new(),
                    seconds => format!(" in {seconds} s"),
                };
                self.say(&format!("trying again{pause} (retry {retry} of {of} without progress)"));
            }
            Notice::WentOn { after, step, .. } => {
                tracing::info!(step, seconds = after.as_secs_f64(), "training goes on");
            }
            Notice::Injected { .. }
            | Notice::Pace { .. }
            | Notice::NotReady { .. }
            | Notice::Ready { .. } => {
                in_words(notice).iter().for_each(|(_, words)| self.say(words));
            }
            Notice::Assigned { .. } | Notice::GettingReady { .. } | Notice::Stopping { .. } => {}
            Notice::Done(result) | Notice::AlsoDone(result) => {
                self.told = None;
                self.done(result);
            }
            Notice::Refused { reason } => tracing::debug!(reason, "a message was refused"),
        }
    }

    /// Shows a line that stays.
    pub fn say(&self, text: &str) {
        let line = format!("{}: {text}", self.job);
        match &self.bar {
            Some(bar) => bar.suspend(|| note(line)),
            None => note(line),
        }
    }

    /// Takes the live line away.
    pub fn close(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Whether a failure is another one than the last: the same again, after every retry of a
    /// storage that is down, has the same to say in its log.
    fn is_news(&mut self, failure: &Failure) -> bool {
        let failure = (failure.worker.clone(), failure.code.clone());
        self.told.replace(failure.clone()) != Some(failure)
    }

    /// The last lines of the log of the worker a failure happened to.
    fn log_of(&self, failure: &Failure, lines: usize) {
        let Some(worker) = &failure.worker else { return };
        let log = self.logs.join(format!("{worker}.log"));
        let last = tail(&log, lines);
        if !last.is_empty() {
            self.say(&format!("the last lines of {}:", log.display()));
            for line in last {
                self.say(&format!("  | {line}"));
            }
        }
    }

    /// Shows why the job failed.
    pub fn failed(&self, failure: &Failure) {
        self.close();
        if failure.kind != FailureKind::BadInput {
            self.log_of(failure, LOG_LINES);
        }
        note(format_args!("error[{}]: {}", failure.code, failure.message));
    }

    fn phase(&mut self, phase: Phase, reason: &str) {
        // A job that waits for nothing but this machine's own workers does not wait long.
        if phase.is_final() || phase == Phase::Pending {
            return;
        }
        if self.last.replace(phase) != Some(phase) {
            self.plain_at = None;
        }
        match &self.bar {
            Some(bar) => bar.set_message(format!("{phase} ({reason})")),
            None => self.say(&format!("{phase} ({reason})")),
        }
    }

    fn progress(&mut self, progress: &Progress) {
        let text = self.line.of(progress, self.begun.elapsed());
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None if self.plain_at.is_none_or(|at| at.elapsed() >= PLAIN_EVERY) => {
                self.plain_at = Some(Instant::now());
                self.say(&text);
            }
            None => {}
        }
    }

    fn started(&self, started: &Started) {
        for why in &started.passed_over {
            self.say(&format!("WARNING: passed over a damaged checkpoint: {why}"));
        }
        let total = number(started.total_steps);
        match started.resumed_unix_ms {
            _ if started.kept => {
                let step = number(started.step);
                self.say(&format!("going on at step {step} of {total} with what the workers have in memory"));
            }
            Some(unix_ms) => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let at = clock(unix_ms, now.as_millis() as u64);
                let step = number(started.step);
                self.say(&format!("resuming {} at step {step} of {total} (checkpoint of {at})", self.job));
            }
            None => {
                let per_epoch = number(started.steps_per_epoch);
                self.say(&format!("training {total} steps ({per_epoch} an epoch)"));
            }
        }
    }

    fn done(&self, result: &TaskResult) {
        match result {
            TaskResult::Prepared { dataset_uri, reused, warnings, .. } => {
                warnings.iter().for_each(|warning| self.say(&format!("WARNING: {warning}")));
                let what = if *reused { "the dataset is there already" } else { "dataset" };
                self.say(&format!("{what}: {dataset_uri}"));
            }
            TaskResult::Trained { step, ended_early, stopped, .. } => {
                let step = number(*step);
                match (stopped, ended_early.is_empty()) {
                    (true, _) => {}
                    (false, true) => self.say(&format!("trained to step {step}")),
                    (false, false) => self.say(&format!("trained to step {step}: {ended_early}")),
                }
            }
            // Shown by the command, on standard output.
            TaskResult::Evaluated { .. } | TaskResult::Exported { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_failure_again_is_no_news_until_the_job_got_further() {
        let mut screen = Screen::new("beauty", PathBuf::new());
        let failure = |worker: &str, code: &str| Failure {
            code: code.into(),
            message: format!("{worker} failed"),
            kind: FailureKind::Storage,
            worker: Some(worker.into()),
        };
        let down = failure("worker-0", "TW3009");
        assert!(screen.is_news(&down));
        assert!(!screen.is_news(&down));
        assert!(screen.is_news(&failure("worker-1", "TW3009")), "another worker's log");
        assert!(screen.is_news(&failure("worker-1", "TW3008")), "another failure");
        assert!(!screen.is_news(&failure("worker-1", "TW3008")));
        screen.show(&Notice::Committed { step: 10 });
        assert!(screen.is_news(&failure("worker-1", "TW3008")));
    }
}
