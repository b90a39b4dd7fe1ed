use tch::Tensor;

use crate::params::{Builder, Init};
use crate::table::{Rows, TableId};

/// A prime above every token id (2^31 - 1), so that products stay inside an i64.
const PRIME: i64 = 2_147_483_647;

/// `h(x) = ((a x + b) mod p) mod rows`.
#[derive(Clone, Copy, Debug)]
pub struct UniversalHash {
    a: i64,
    b: i64,
    rows: i64,
}

impl UniversalHash {
    /// Hashes ids of any shape to rows.
    pub fn rows_of(&self, ids: &Tensor) -> Tensor {
        ((ids * self.a + self.b).remainder(PRIME)).remainder(self.rows)
    }
}

/// Multipliers and offsets of the two hashes: arbitrary odd constants below the prime.
const HASHES: [(i64, i64); 2] = [(1_000_003_579, 97_266_353), (1_640_531_527, 1_013_904_223)];

/// Hash embedding of tokens: token i is `W[i,0] E[h1(i)] + W[i,1] E[h2(i)]` (ItemSage, section 4.1.2).
/// `E` is shared by all features; each has its own importance weights `W`.
pub struct HashEmbedding {
    shared: TableId,
    importance: TableId,
    /// Token ids of features are kept apart inside the hashes by this offset.
    offset: i64,
    hashes: [UniversalHash; 2],
}

impl HashEmbedding {
    /// The shared table `E`, xavier-normal.
    pub fn shared_table(builder: &mut Builder, name: &str, rows: i64, dim: i64) -> TableId {
        builder.table(name, rows, dim, Init::XavierNormal)
    }

    /// One feature's embedding: `vocabulary` tokens whose ids begin at `offset` among all features.
    pub fn new(
        builder: &mut Builder,
        name: &str,
        shared: TableId,
        rows: i64,
        vocabulary: i64,
        offset: i64,
    ) -> Self {
        let importance = builder.table(format!("{name}.importance"), vocabulary.max(1), 2, Init::Normal(1.0));
        HashEmbedding {
            shared,
            importance,
            offset,
            hashes: HASHES.map(|(a, b)| UniversalHash { a, b, rows }),
        }
    }

    /// Which rows of which tables tokens `[n]` read.
    pub fn touches(&self, tokens: &Tensor) -> [(TableId, Tensor); 2] {
        [(self.shared, self.hashed(tokens).reshape([-1])), (self.importance, tokens.shallow_clone())]
    }

    /// Sum of each item's tokens: tokens `[n]`, offsets `[items + 1]` -> `[items, dim]`.
    pub fn forward(&self, rows: &Rows, tokens: &Tensor, offsets: &Tensor) -> Tensor {
        let importance = rows.of(self.importance).get(tokens).reshape([-1]); // [n * 2]
        let shared = rows.of(self.shared);
        let slots = shared.slots(&self.hashed(tokens)).reshape([-1]); // [n * 2]
        const SUM: i64 = 0;
        Tensor::embedding_bag(
            &shared.rows,
            &slots,
            &(offsets * 2),
            false,
            SUM,
            false,
            Some(&importance),
            true,
        )
        .0
    }

    /// Both hashes of tokens: `[n] -> [n, 2]`.
    fn hashed(&self, tokens: &Tensor) -> Tensor {
        let shifted = (tokens + self.offset).remainder(PRIME);
        Tensor::stack(&self.hashes.map(|hash| hash.rows_of(&shifted)), 1)
    }
}
