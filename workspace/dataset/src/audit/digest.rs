//! Digests of sets of rows.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Digest of a multiset of rows: their number and the wrapping sum of their hashes. Neither order
/// nor grouping matters, so lanes' and ranks' digests are simply added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowDigest {
    /// How many rows.
    pub count: u64,
    /// Sum of the rows' XXH3 hashes, modulo 2^64.
    pub sum: u64,
}

impl RowDigest {
    /// The digest of some rows.
    pub fn of(rows: impl IntoIterator<Item = u64>) -> RowDigest {
        let mut digest = RowDigest::default();
        for row in rows {
            digest.count += 1;
            digest.sum = digest.sum.wrapping_add(xxh3_64(&row.to_le_bytes()));
        }
        digest
    }
}

impl AddAssign for RowDigest {
    fn add_assign(&mut self, other: RowDigest) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}
