use std::cell::Cell;

use tch::{Device, Kind, Tensor};

/// Dropout's random numbers for one lane of one step.
///
/// On CPUs the masks are drawn here: libtorch's generator gives one number at a time from one stream,
/// which costs a sixth of a small tower's step. Here one 64-bit number of SplitMix64 decides four
/// elements. On GPUs libtorch draws, from the seed it was given for this lane and step.
pub struct DropoutRng {
    state: Cell<u64>,
}

/// Probabilities are told apart in steps of 1 / 65536.
const STEPS: f64 = 65_536.0;

impl DropoutRng {
    /// The stream of one seed.
    pub fn new(seed: u64) -> Self {
        DropoutRng { state: Cell::new(seed) }
    }

    /// `x` with each element zero with probability `p`, the others scaled by `1 / (1 - p)`.
    pub fn dropout(&self, x: Tensor, p: f64) -> Tensor {
        if x.device() != Device::Cpu || x.kind() != Kind::Float {
            return x.dropout(p, true);
        }
        let mask = Tensor::from_slice(&self.mask(x.numel(), p)).view(x.size().as_slice());
        x * mask
    }

    fn mask(&self, numel: usize, p: f64) -> Vec<f32> {
        let kept = (1.0 / (1.0 - p)) as f32;
        let threshold = (p * STEPS) as u64;
        let mut state = self.state.get();
        let mut mask = vec![0f32; numel];
        for four in mask.chunks_mut(4) {
            let mut bits = split_mix(&mut state);
            for slot in four {
                *slot = if bits & 0xffff < threshold { 0.0 } else { kept };
                bits >>= 16;
            }
        }
        self.state.set(state);
        mask
    }
}

/// The next number of SplitMix64 (Steele, Lea, Flood 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut x = *state;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_the_share_asked_for_and_keeps_the_mean() {
        for p in [0.1, 0.4, 0.75] {
            let mask = DropoutRng::new(9).mask(100_001, p);
            let dropped = mask.iter().filter(|&&kept| kept == 0.0).count() as f64 / mask.len() as f64;
            let mean = mask.iter().map(|&kept| f64::from(kept)).sum::<f64>() / mask.len() as f64;
            assert!((dropped - p).abs() < 0.01, "{dropped} is not {p}");
            assert!((mean - 1.0).abs() < 0.02);
        }
    }

    #[test]
    fn a_stream_goes_on_and_a_seed_repeats_it() {
        let (rng, again) = (DropoutRng::new(1), DropoutRng::new(1));
        let (first, second) = (rng.mask(64, 0.5), rng.mask(64, 0.5));
        assert_ne!(first, second);
        assert_eq!((first, second), (again.mask(64, 0.5), again.mask(64, 0.5)));
        assert_ne!(DropoutRng::new(2).mask(64, 0.5), DropoutRng::new(1).mask(64, 0.5));
    }
}
