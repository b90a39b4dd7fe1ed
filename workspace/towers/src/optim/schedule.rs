use twinspire_job::Schedule;

/// Learning rate of a step (from 0) as a fraction of the highest: linear warm-up, then the schedule
/// down to 0 at `total`.
pub fn learning_rate(schedule: Schedule, warmup: u64, total: u64, step: u64) -> f64 {
    if step < warmup {
        return (step + 1) as f64 / warmup as f64;
    }
    let span = total.saturating_sub(warmup).max(1) as f64;
    let done = ((step - warmup) as f64 / span).min(1.0);
    match schedule {
        Schedule::Constant => 1.0,
        Schedule::Linear => 1.0 - done,
        Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warms_up_then_falls_to_zero() {
        let at = |step| learning_rate(Schedule::Cosine, 10, 110, step);
        assert!((at(0) - 0.1).abs() < 1e-12);
        assert!((at(9) - 1.0).abs() < 1e-12);
        assert!((at(10) - 1.0).abs() < 1e-12);
        assert!((at(60) - 0.5).abs() < 1e-12);
        assert!(at(110) < 1e-12 && at(1_000) < 1e-12);
        assert_eq!(learning_rate(Schedule::Linear, 0, 100, 25), 0.75);
        assert_eq!(learning_rate(Schedule::Constant, 0, 100, 99), 1.0);
    }
}
