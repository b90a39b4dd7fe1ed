//! The progress line.

use std::time::Duration;

use super::format::{duration, number};
use twinspire_control::{Progress, Started, Training, Validated};

/// All that the progress line of training is made of.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) started: Option<(Duration, Started)>,
    pub(super) validated: Option<Validated>,
}

impl Line {
    /// The line at `now` (since the coordinator began).
    pub(super) fn of(&self, progress: &Progress, now: Duration) -> String {
        match (&progress.training, &self.started) {
            (Some(training), Some((since, started))) => {
                self.training(training, started, now.saturating_sub(*since))
            }
            _ => counting(progress),
        }
    }

    fn training(&self, training: &Training, started: &Started, elapsed: Duration) -> String {
        let Training { step, epoch, loss, rows_per_second, .. } = *training;
        let mut parts = vec![
            format!("step {}/{}", number(step), number(started.total_steps)),
            format!("epoch {epoch:.1}"),
            format!("loss {loss:.4}"),
            format!("{} rows/s", number(rows_per_second as u64)),
        ];
        let (done, left) = (step.saturating_sub(started.step), started.total_steps.saturating_sub(step));
        if done > 0 {
            parts.push(format!("ETA {}", duration(elapsed.mul_f64(left as f64 / done as f64))));
        }
        if let Some(Validated { metric, value, epoch, .. }) = &self.validated {
            parts.push(format!("{metric} {value:.4} (epoch {epoch:.0})"));
        }
        parts.join("  ")
    }
}

fn counting(progress: &Progress) -> String {
    let Progress { stage, done, total, unit, .. } = progress;
    match (*done, *total) {
        (0, 0) => stage.clone(),
        (done, 0) => format!("{stage}: {} {unit}", number(done)),
        (done, total) => {
            let percent = 100.0 * done as f64 / total as f64;
            format!("{stage}: {} of {} {unit} ({percent:.0}%)", number(done), number(total))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_training_line_has_step_loss_rate_eta_and_the_last_evaluation() {
        let line = Line {
            started: Some((Duration::ZERO, Started { step: 200, total_steps: 4400, ..Started::default() })),
            validated: Some(Validated {
                step: 440,
                epoch: 1.0,
                metric: "NDCG@10".into(),
                value: 0.0421,
                best: true,
            }),
        };
        let training = Training {
            step: 1200,
            epoch: 2.73,
            loss: 3.21987,
            rows_per_second: 12_345.6,
            learning_rate: 1e-3,
            ..Training::default()
        };
        let progress = Progress { training: Some(training), ..Progress::default() };
        assert_eq!(
            line.of(&progress, Duration::from_secs(100)),
            "step 1,200/4,400  epoch 2.7  loss 3.2199  12,345 rows/s  ETA 5m 20s  NDCG@10 0.0421 (epoch 1)"
        );
    }

    #[test]
    fn counting_shows_a_share_when_the_whole_is_known() {
        let of = |done, total| {
            counting(&Progress {
                stage: "reading the log".into(),
                done,
                total,
                unit: "rows".into(),
                training: None,
            })
        };
        assert_eq!(of(1500, 3000), "reading the log: 1,500 of 3,000 rows (50%)");
        assert_eq!(of(1500, 0), "reading the log: 1,500 rows");
        assert_eq!(of(0, 0), "reading the log");
    }
}
