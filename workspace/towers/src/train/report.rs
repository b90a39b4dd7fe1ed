/// Bits of the control word.
pub const CONTROL_BITS: usize = 8;

/// What a step did, the same on every worker.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// The step that was committed, counted from 1.
    pub step: u64,
    /// Mean loss by weight.
    pub loss: f64,
    /// Rows of the loss, over all workers.
    pub queries: u64,
    /// Dataset rows, over all workers.
    pub rows: u64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Learning rate of the dense parameters.
    pub learning_rate: f64,
    /// 1/τ.
    pub scale: f64,
    /// Control words of all workers, or-ed.
    pub control: u64,
}
