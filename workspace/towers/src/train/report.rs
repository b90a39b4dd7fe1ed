use twinspire_dataset::audit::RowDigest;

/// Bits of the control word.
pub const CONTROL_BITS: usize = 8;

/// What a worker tells the others with a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Its control word: those of all workers are or-ed.
    pub control: u64,
    /// Step of the newest checkpoint it knows to be committed; only rank 0 may know one.
    pub committed: u64,
}

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
    /// Step of the newest checkpoint that rank 0 knew to be committed.
    pub committed: u64,
    /// Which rows every lane of the job trained: each worker knows what all have done.
    pub trained: Vec<RowDigest>,
}
