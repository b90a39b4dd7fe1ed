//! Texts -> small numbers, compactly: 35 bytes and the text itself, whatever the allocator.

use std::sync::{PoisonError, RwLock};

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes a text costs besides itself, about.
pub(crate) const OVERHEAD: usize = 35;

/// Texts numbered in the order they were first seen.
#[derive(Default)]
pub(crate) struct Dictionary {
    /// Codes, each with some bits of its hash, so that most other texts are told apart without a
    /// look at them: a look is a miss of the cache.
    table: HashTable<(u32, u32)>,
    hashes: Vec<u64>,
    ends: Vec<u64>,
    bytes: Vec<u8>,
}

/// The table is picked (and its entries told apart) by other bits than shards and partitions,
/// which take the upper ones.
fn spread(hash: u64) -> u64 {
    hash.rotate_left(32).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Dictionary {
    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    pub(crate) fn find(&self, hash: u64, text: &[u8]) -> Option<u32> {
        let same = |entry: &(u32, u32)| entry.0 == hash as u32 && self.bytes_of(entry.1) == text;
        self.table.find(spread(hash), same).map(|entry| entry.1)
    }

    /// The number of a text, and whether it is new.
    pub(crate) fn insert(&mut self, hash: u64, text: &[u8]) -> (u32, bool) {
        if let Some(code) = self.find(hash, text) {
            return (code, false);
        }
        let code = self.hashes.len() as u32;
        self.hashes.push(hash);
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as u64);
        let hashes = &self.hashes;
        self.table.insert_unique(spread(hash), (hash as u32, code), |entry| spread(hashes[entry.1 as usize]));
        (code, true)
    }

    pub(crate) fn hash(&self, code: u32) -> u64 {
        self.hashes[code as usize]
    }

    pub(crate) fn bytes_of(&self, code: u32) -> &[u8] {
        let code = code as usize;
        let start = if code == 0 { 0 } else { self.ends[code - 1] };
        &self.bytes[start as usize..self.ends[code] as usize]
    }
}

const SHARDS: usize = 256;

/// A dictionary that many threads fill: 256 of them, by the upper bits of the hash. Its codes
/// depend on who came first; nothing that is written may.
pub(crate) struct SharedDictionary {
    shards: Vec<RwLock<Dictionary>>,
}

impl SharedDictionary {
    pub(crate) fn new() -> SharedDictionary {
        SharedDictionary { shards: (0..SHARDS).map(|_| RwLock::default()).collect() }
    }

    pub(crate) fn find(&self, text: &[u8]) -> Option<u32> {
        let hash = xxh3_64(text);
        let shard = (hash >> 56) as usize;
        self.read(shard).find(hash, text).map(|local| code(local, shard))
    }

    /// The code of a text; its hash is returned too.
    pub(crate) fn insert(&self, text: &[u8]) -> (u32, u64) {
        let hash = xxh3_64(text);
        let shard = (hash >> 56) as usize;
        if let Some(local) = self.read(shard).find(hash, text) {
            return (code(local, shard), hash);
        }
        let mut dictionary = self.shards[shard].write().unwrap_or_else(PoisonError::into_inner);
        (code(dictionary.insert(hash, text).0, shard), hash)
    }

    /// All codes are below this.
    pub(crate) fn codes(&self) -> usize {
        let most = (0..SHARDS).map(|shard| self.read(shard).len()).max().unwrap_or_default();
        most * SHARDS
    }

    /// Whether the code stands for a text.
    pub(crate) fn holds(&self, code: u32) -> bool {
        let (local, shard) = split(code);
        (local as usize) < self.read(shard).len()
    }

    pub(crate) fn hash(&self, code: u32) -> u64 {
        let (local, shard) = split(code);
        self.read(shard).hash(local)
    }

    pub(crate) fn text(&self, code: u32) -> String {
        let (local, shard) = split(code);
        String::from_utf8_lossy(self.read(shard).bytes_of(local)).into_owned()
    }

    fn read(&self, shard: usize) -> std::sync::RwLockReadGuard<'_, Dictionary> {
        self.shards[shard].read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn code(local: u32, shard: usize) -> u32 {
    local * SHARDS as u32 + shard as u32
}

fn split(code: u32) -> (u32, usize) {
    (code / SHARDS as u32, code as usize % SHARDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_number_and_others_get_their_own() {
        let shared = SharedDictionary::new();
        let codes: Vec<u32> = (0..5000).map(|i| shared.insert(format!("item {i}").as_bytes()).0).collect();
        let mut distinct = codes.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 5000);
        for (i, code) in codes.iter().enumerate() {
            let text = format!("item {i}");
            assert_eq!(shared.insert(text.as_bytes()).0, *code);
            assert_eq!(shared.find(text.as_bytes()), Some(*code));
            assert_eq!(shared.text(*code), text);
            assert!((*code as usize) < shared.codes() && shared.holds(*code));
        }
        assert_eq!(shared.find(b"another"), None);
    }

    #[test]
    fn texts_of_one_hash_are_still_two() {
        let mut dictionary = Dictionary::default();
        assert_eq!(dictionary.insert(7, b"a"), (0, true));
        assert_eq!(dictionary.insert(7, b"b"), (1, true));
        assert_eq!(dictionary.insert(7, b"a"), (0, false));
        assert_eq!((dictionary.bytes_of(0), dictionary.bytes_of(1)), (&b"a"[..], &b"b"[..]));
    }
}
