//! What a lane contributes to a step, ready for the towers.

/// What a lane contributes to a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LaneBatch {
    /// Epoch, from 0.
    pub epoch: u32,
    /// Step of the whole job, from 0.
    pub step: u64,
    /// Lane.
    pub lane: u32,
    /// Dataset rows trained in this lane-step. The first `tokens.users()` are the users of the
    /// grid, by slot; after them come users whose history has nothing to predict: they count as
    /// trained, with weight 0.
    pub rows: Vec<u64>,
    /// The users' histories.
    pub tokens: Tokens,
    /// What they are to predict.
    pub queries: Queries,
}

/// Histories of users, laid out for a causal encoder without much padding.
///
/// Users are sorted by length and cut into buckets; bucket b is a dense grid
/// `[users_b, len_b]`, row-major, and the buckets follow each other in one flat grid:
///
/// ```text
/// bucket 0, 3 users of up to 2   bucket 1, 2 users of up to 5
/// a0 .   b0 b1   c0 c1           d0 d1 d2 d3 .    e0 e1 e2 e3 e4
/// ```
///
/// Padding is at the end of a row, where causal attention from real actions never looks; its
/// values are 0. The *slot* of a user is its place in that order, over all buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tokens {
    /// The buckets, in the grid's order.
    pub buckets: Vec<Bucket>,
    /// Actions of each user, by slot; at least 1 and at most its bucket's `len`.
    pub lengths: Vec<i32>,
    /// `[grid]` item indices.
    pub items: Vec<i64>,
    /// `[grid]` kinds of actions.
    pub actions: Vec<i64>,
    /// `[grid]` surfaces; empty when the dataset has none.
    pub surfaces: Vec<i64>,
    /// `[grid]` milliseconds since 1970; empty when the dataset has no time.
    pub times: Vec<i64>,
    /// `[grid]` seconds; empty when the dataset has no durations.
    pub durations: Vec<f32>,
}

/// A dense grid of users of about the same length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Rows.
    pub users: usize,
    /// Columns: the length of its longest user.
    pub len: usize,
}

/// What positions are to predict; `[queries]` each unless said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Queries {
    /// Index into the token grid of the position that predicts.
    pub token: Vec<i64>,
    /// Dataset row id of its user.
    pub user: Vec<i64>,
    /// Slot of its user: an index into `tokens.lengths` and the CSR below.
    pub user_slot: Vec<i64>,
    /// Item index to be predicted.
    pub positive: Vec<i64>,
    /// Weight of the query in the loss.
    pub weight: Vec<f32>,
    /// `[users + 1]` where each user's positives start, by slot.
    pub user_positives_offsets: Vec<i64>,
    /// All positives of each user's training part, sorted, without repeats.
    pub user_positives: Vec<i64>,
}

impl Tokens {
    /// Users in the grid.
    pub fn users(&self) -> usize {
        self.lengths.len()
    }

    /// Cells of the grid, padding included.
    pub fn grid(&self) -> usize {
        self.items.len()
    }

    /// Real actions in the grid.
    pub fn actions_held(&self) -> usize {
        self.lengths.iter().map(|&length| length as usize).sum()
    }

    /// `[users]` index into the grid of each user's first action, by slot.
    pub fn first_tokens(&self) -> Vec<i64> {
        let mut firsts = Vec::with_capacity(self.users());
        let mut at = 0;
        for bucket in &self.buckets {
            firsts.extend((0..bucket.users).map(|user| (at + user * bucket.len) as i64));
            at += bucket.users * bucket.len;
        }
        firsts
    }

    /// `[users]` index into the grid of each user's newest action, by slot.
    pub fn last_tokens(&self) -> Vec<i64> {
        let mut tokens = self.first_tokens();
        for (token, length) in tokens.iter_mut().zip(&self.lengths) {
            *token += i64::from(*length) - 1;
        }
        tokens
    }
}

impl Queries {
    /// Number of queries.
    pub fn len(&self) -> usize {
        self.token.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.token.is_empty()
    }
}
