/// Count-min sketch of item ids: how often each was seen, never too low (Cormode, Muthukrishnan 2005).
///
/// All workers add the same ids of the global batch in the same order, so their sketches stay equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountMinSketch {
    width: u64,
    /// `[depth, width]`, row by row.
    counters: Vec<i64>,
    total: i64,
}

impl CountMinSketch {
    /// `depth` hash functions of `width` counters each.
    pub fn new(depth: u32, width: u32) -> Self {
        let (depth, width) = (depth.max(1) as usize, width.max(1) as usize);
        CountMinSketch { width: width as u64, counters: vec![0; depth * width], total: 0 }
    }

    /// Counts ids.
    pub fn add(&mut self, ids: impl IntoIterator<Item = i64>) {
        let width = self.width;
        for id in ids {
            for (row, counters) in self.counters.chunks_exact_mut(width as usize).enumerate() {
                counters[slot(id, row, width)] += 1;
            }
            self.total += 1;
        }
    }

    /// Takes back what was added.
    pub fn subtract(&mut self, ids: impl IntoIterator<Item = i64>) {
        let width = self.width;
        for id in ids {
            for (row, counters) in self.counters.chunks_exact_mut(width as usize).enumerate() {
                counters[slot(id, row, width)] -= 1;
            }
            self.total -= 1;
        }
    }

    /// How often an id was seen, or more.
    pub fn count(&self, id: i64) -> i64 {
        let rows = self.counters.chunks_exact(self.width as usize).enumerate();
        rows.map(|(row, counters)| counters[slot(id, row, self.width)]).min().unwrap_or(0)
    }

    /// How many ids were added.
    pub fn total(&self) -> i64 {
        self.total
    }

    /// The total, then all counters: what a checkpoint keeps.
    pub fn to_state(&self) -> Vec<i64> {
        std::iter::once(self.total).chain(self.counters.iter().copied()).collect()
    }

    /// Takes a checkpoint's state back; false when it is of another size.
    pub fn restore(&mut self, state: &[i64]) -> bool {
        match state.split_first() {
            Some((&total, counters)) if counters.len() == self.counters.len() => {
                self.total = total;
                self.counters.copy_from_slice(counters);
                true
            }
            _ => false,
        }
    }
}

/// Counter of an id in a row: the finaliser of SplitMix64, differently offset for each row.
fn slot(id: i64, row: usize, width: u64) -> usize {
    let mut x = (id as u64).wrapping_add(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(row as u64 + 1));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) % width) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_taken_back_was_never_there(
            kept in prop::collection::vec(0i64..50, 0..100),
            taken in prop::collection::vec(0i64..50, 0..100),
        ) {
            let mut sketch = CountMinSketch::new(2, 16);
            sketch.add(kept.iter().copied());
            let before = sketch.clone();
            sketch.add(taken.iter().copied());
            sketch.subtract(taken);
            prop_assert_eq!(sketch, before);
        }

        #[test]
        fn never_counts_too_low_and_is_exact_when_nothing_collides(ids in prop::collection::vec(0i64..50, 0..500)) {
            let mut narrow = CountMinSketch::new(2, 16);
            let mut wide = CountMinSketch::new(4, 1 << 16);
            narrow.add(ids.iter().copied());
            wide.add(ids.iter().copied());
            for id in 0..50 {
                let exact = ids.iter().filter(|&&seen| seen == id).count() as i64;
                prop_assert!(narrow.count(id) >= exact);
                prop_assert_eq!(wide.count(id), exact);
            }
            prop_assert_eq!(wide.total(), ids.len() as i64);
        }

        #[test]
        fn comes_back_from_its_state(ids in prop::collection::vec(any::<i64>(), 0..200)) {
            let mut sketch = CountMinSketch::new(2, 64);
            sketch.add(ids);
            let mut restored = CountMinSketch::new(2, 64);
            prop_assert!(restored.restore(&sketch.to_state()));
            prop_assert_eq!(&restored, &sketch);
            prop_assert!(!CountMinSketch::new(2, 65).restore(&sketch.to_state()));
        }
    }
}
