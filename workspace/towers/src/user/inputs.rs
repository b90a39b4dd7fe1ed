use tch::{Device, Tensor};
use twinspire_dataset::Tokens;

/// A lane's actions on the device: `tokens` of them, buckets laid end to end.
pub struct ActionInputs {
    /// `(users, len)` of each bucket.
    pub buckets: Vec<(i64, i64)>,
    /// Item index of each token `[tokens]`.
    pub items: Tensor,
    /// Action type `[tokens]`.
    pub actions: Tensor,
    /// Surface `[tokens]`, when the log has one.
    pub surfaces: Option<Tensor>,
    /// Seconds `[tokens]`, when the log has durations.
    pub durations: Option<Tensor>,
    /// Milliseconds `[tokens]`, when the log has time.
    pub times: Option<Times>,
    /// Actions between a token and its user's newest `[tokens]`; 0 at padding.
    pub from_newest: Tensor,
}

/// Time of each token, in milliseconds.
pub struct Times {
    /// Since 1970 `[tokens]`.
    pub absolute: Tensor,
    /// Until the sequence's latest action `[tokens]`.
    pub since_latest: Tensor,
    /// Since the action before it `[tokens]`; 0 for the first.
    pub gap: Tensor,
}

impl ActionInputs {
    /// Moves a lane's tokens to the device.
    pub fn new(tokens: &Tokens, device: Device) -> Self {
        let put = |values: &[i64]| Tensor::from_slice(values).to_device(device);
        let maybe = |values: &[i64]| (!values.is_empty()).then(|| put(values));
        ActionInputs {
            buckets: tokens.buckets.iter().map(|b| (b.users as i64, b.len as i64)).collect(),
            items: put(&tokens.items),
            actions: put(&tokens.actions),
            surfaces: maybe(&tokens.surfaces),
            durations: (!tokens.durations.is_empty())
                .then(|| Tensor::from_slice(&tokens.durations).to_device(device)),
            times: (!tokens.times.is_empty()).then(|| {
                let (since_latest, gap) = relative_times(tokens);
                Times { absolute: put(&tokens.times), since_latest: put(&since_latest), gap: put(&gap) }
            }),
            from_newest: put(&from_newest(tokens)),
        }
    }

    /// Tokens, padding included.
    pub fn len(&self) -> i64 {
        self.items.size()[0]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Calls `each(first token, length)` for every user of the grid.
fn for_each_user(tokens: &Tokens, mut each: impl FnMut(usize, usize)) {
    for (first, &length) in tokens.first_tokens().into_iter().zip(&tokens.lengths) {
        each(first as usize, length as usize);
    }
}

fn from_newest(tokens: &Tokens) -> Vec<i64> {
    let mut out = vec![0; tokens.items.len()];
    for_each_user(tokens, |first, length| {
        for (back, slot) in out[first..first + length].iter_mut().rev().enumerate() {
            *slot = back as i64;
        }
    });
    out
}

fn relative_times(tokens: &Tokens) -> (Vec<i64>, Vec<i64>) {
    let times = &tokens.times;
    let (mut since_latest, mut gap) = (vec![0; times.len()], vec![0; times.len()]);
    for_each_user(tokens, |first, length| {
        let latest = times[first + length - 1];
        for at in first..first + length {
            since_latest[at] = latest - times[at];
            gap[at] = if at > first { times[at] - times[at - 1] } else { 0 };
        }
    });
    (since_latest, gap)
}
