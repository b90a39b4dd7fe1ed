use tch::Tensor;
use twinspire_job::{OptimizerKind, OptimizerSpec};

/// What an optimizer remembers of some numbers, in their shape.
pub struct Moments {
    /// First moment or momentum.
    pub first: Option<Tensor>,
    /// Second moment (Adam), or sum of squares (Adagrad).
    pub second: Option<Tensor>,
}

/// One update of `value` by `gradient`, both of any shape, in place.
///
/// `step` counts from 0 and corrects the bias of Adam's moments; `decay` is the weight decay that
/// applies to all of `value`.
pub fn apply(
    spec: &OptimizerSpec,
    lr: f64,
    decay: f64,
    step: u64,
    value: &mut Tensor,
    gradient: &Tensor,
    moments: &mut Moments,
) {
    let coupled = decay > 0.0 && spec.kind != OptimizerKind::AdamW;
    let gradient = if coupled { gradient + &*value * decay } else { gradient.shallow_clone() };
    match spec.kind {
        OptimizerKind::AdamW | OptimizerKind::Adam => {
            let (Some(first), Some(second)) = (&mut moments.first, &mut moments.second) else { return };
            if spec.kind == OptimizerKind::AdamW && decay > 0.0 {
                let _ = value.g_mul_scalar_(1.0 - lr * decay);
            }
            let t = (step + 1) as i32;
            let (correct1, correct2) = (1.0 - spec.beta1.powi(t), 1.0 - spec.beta2.powi(t));
            let _ = first.lerp_(&gradient, 1.0 - spec.beta1);
            let _ = second.g_mul_scalar_(spec.beta2).addcmul_(&(&gradient * (1.0 - spec.beta2)), &gradient);
            let denominator = second.sqrt().g_div_scalar_(correct2.sqrt()).g_add_scalar_(spec.eps);
            let _ = value.addcdiv_(&(&*first * (-lr / correct1)), &denominator);
        }
        OptimizerKind::Sgd => match &mut moments.first {
            Some(momentum) => {
                let _ = momentum.g_mul_scalar_(spec.beta1).g_add_(&gradient);
                let _ = value.g_sub_(&(&*momentum * lr));
            }
            None => {
                let _ = value.g_sub_(&(gradient * lr));
            }
        },
        OptimizerKind::Adagrad => {
            let Some(sum) = &mut moments.second else { return };
            // Row-wise state is one number a row: the mean of the row's squares.
            let squares = gradient.square();
            let squares = if sum.size() == gradient.size() {
                squares
            } else {
                squares.mean_dim([-1i64].as_slice(), true, None)
            };
            let _ = sum.g_add_(&squares);
            let _ = value.g_sub_(&(gradient * lr / (sum.sqrt() + spec.eps)));
        }
    }
}
