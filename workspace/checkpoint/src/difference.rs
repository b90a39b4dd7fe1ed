//! How far two states are apart.

use std::fmt;

use crate::{Dtype, TensorData};

/// The norm of the difference over the norm, of the tensor where it is largest.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// 0 = the same; NaN where they are of different shapes, or not comparable.
    pub relative: f64,
    /// Where.
    pub tensor: String,
}

impl Difference {
    /// Of the tensors that are wanted, by name. Both states have them in the same order.
    pub fn between(one: &[TensorData], two: &[TensorData], is_wanted: impl Fn(&str) -> bool) -> Difference {
        fn of<'a>(state: &'a [TensorData], is_wanted: &impl Fn(&str) -> bool) -> Vec<&'a TensorData> {
            state.iter().filter(|tensor| is_wanted(&tensor.info.name)).collect()
        }
        let (one, two) = (of(one, &is_wanted), of(two, &is_wanted));
        if one.len() != two.len() {
            return Difference { relative: f64::NAN, tensor: "their number".into() };
        }
        let mut worst = Difference { relative: 0.0, tensor: "none".into() };
        for (one, two) in one.iter().zip(two) {
            let relative = apart(one, two);
            if relative.is_nan() || relative > worst.relative {
                worst = Difference { relative, tensor: one.info.name.clone() };
            }
            if relative.is_nan() {
                break;
            }
        }
        worst
    }
}

/// Whether a tensor is one of a tower's, as trainers name them: not a moment of the optimizer, and not the sketch of
/// how often items come.
pub fn is_parameter(name: &str) -> bool {
    name != "sketch" && !name.ends_with(".first") && !name.ends_with(".second")
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2e} (in `{}`)", self.relative, self.tensor)
    }
}

fn apart(one: &TensorData, two: &TensorData) -> f64 {
    if one.info != two.info || one.info.dtype != Dtype::F32 {
        return f64::NAN;
    }
    let apart = norm(floats(one).zip(floats(two)).map(|(a, b)| a - b));
    apart / norm(floats(one)).max(f64::MIN_POSITIVE)
}

fn floats(tensor: &TensorData) -> impl Iterator<Item = f64> {
    tensor.bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TensorInfo;

    fn tensor(name: &str, values: &[f32]) -> TensorData {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let info = TensorInfo { name: name.into(), dtype: Dtype::F32, shape: vec![values.len()] };
        TensorData { info, bytes: bytes.into() }
    }

    #[test]
    fn the_worst_tensor_is_named_and_unwanted_ones_are_not_looked_at() {
        let one = [tensor("a", &[3.0, 4.0]), tensor("b", &[1.0]), tensor("c.first", &[1.0])];
        let two = [tensor("a", &[3.0, 4.5]), tensor("b", &[1.0]), tensor("c.first", &[9.0])];
        let difference = Difference::between(&one, &two, is_parameter);
        assert_eq!(difference, Difference { relative: 0.1, tensor: "a".into() });
        assert_eq!(Difference::between(&one, &one, |_| true).relative, 0.0);
    }

    #[test]
    fn what_cannot_be_compared_is_no_small_difference() {
        let one = [tensor("a", &[1.0])];
        assert!(Difference::between(&one, &[tensor("a", &[1.0, 2.0])], |_| true).relative.is_nan());
        assert!(Difference::between(&one, &[tensor("b", &[1.0])], |_| true).relative.is_nan());
        assert!(Difference::between(&one, &[], |_| true).relative.is_nan());
        assert!(Difference::between(&one, &[tensor("a", &[f32::NAN])], |_| true).relative.is_nan());
    }
}
