use tch::{Kind, Tensor};

use crate::params::{Builder, Decay, Init};

/// Periods of absolute time, in hours: a quarter of an hour to a year.
const ABSOLUTE_HOURS: [f64; 11] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 168.0, 672.0, 8760.0];
/// How many periods relative time has, spaced evenly in their logarithm…
const RELATIVE_PERIODS: usize = 32;
/// …from a second…
const SHORTEST_MS: f64 = 1_000.0;
/// …to four weeks.
const LONGEST_MS: f64 = 28.0 * 24.0 * HOUR_MS;
const HOUR_MS: f64 = 3_600_000.0;
/// log(seconds) is divided by this, so that it is about as large as a sine: log of a year is 17.
const LOG_SCALE: f64 = 10.0;

/// One kind of time as features: `[cos(2πt/p + φ), sin(2πt/p + φ')]` over fixed periods p with learned
/// phases, and log t (PinnerFormer, section 3.2).
pub struct TimeEncoding {
    periods: Tensor,
    cos_phase: Tensor,
    sin_phase: Tensor,
}

impl TimeEncoding {
    /// Of the time of day, week, year.
    pub fn absolute(builder: &mut Builder, name: &str) -> Self {
        Self::new(builder, name, ABSOLUTE_HOURS.iter().map(|hours| hours * HOUR_MS).collect())
    }

    /// Of the time between two actions.
    pub fn relative(builder: &mut Builder, name: &str) -> Self {
        let ratio = (LONGEST_MS / SHORTEST_MS).powf(1.0 / (RELATIVE_PERIODS - 1) as f64);
        Self::new(builder, name, (0..RELATIVE_PERIODS).map(|i| SHORTEST_MS * ratio.powi(i as i32)).collect())
    }

    fn new(builder: &mut Builder, name: &str, periods: Vec<f64>) -> Self {
        let count = [periods.len() as i64];
        TimeEncoding {
            periods: Tensor::from_slice(&periods).to_device(builder.device()),
            cos_phase: builder.param(format!("{name}.cos_phase"), &count, Init::Phase, Decay::No),
            sin_phase: builder.param(format!("{name}.sin_phase"), &count, Init::Phase, Decay::No),
        }
    }

    /// Numbers a token gets.
    pub fn width(&self) -> i64 {
        2 * self.periods.size()[0] + 1
    }

    /// Milliseconds `[tokens]` -> `[tokens, width]`.
    pub fn forward(&self, times: &Tensor) -> Tensor {
        let kind = self.cos_phase.kind();
        let exact = times.to_kind(Kind::Double);
        // The turn within a period is taken in f64: milliseconds since 1970 do not fit an f32.
        let turn = (exact.unsqueeze(1) / &self.periods).frac().to_kind(kind) * std::f64::consts::TAU;
        let log = (exact / 1_000.0).clamp_min(1.0).log().to_kind(kind).unsqueeze(1) / LOG_SCALE;
        Tensor::cat(&[(&turn + &self.cos_phase).cos(), (turn + &self.sin_phase).sin(), log], 1)
    }
}
