//! Which items exist, and their indices.

use crate::PrepareError;
use crate::dictionary::SharedDictionary;
use crate::timelines::Census;

/// All items in the order of their indices: by training count, descending, then by id.
pub(crate) struct Items {
    /// Codes and ids by index.
    pub(crate) codes: Vec<u32>,
    pub(crate) ids: Vec<String>,
    train: Vec<u32>,
    positives: Vec<u32>,
}

impl Items {
    /// The items that have rows, and those for which `also(code)` holds.
    pub(crate) fn number(
        dictionary: &SharedDictionary,
        census: Census,
        also: impl Fn(u32) -> bool,
    ) -> Result<Items, PrepareError> {
        let Census { rows, train, positives, .. } = census;
        let count = |counts: &[u32], code: u32| counts.get(code as usize).copied().unwrap_or_default();
        let mut all: Vec<(u32, String, u32)> = (0..dictionary.codes() as u32)
            .filter(|code| dictionary.holds(*code) && (count(&rows, *code) > 0 || also(*code)))
            .map(|code| (count(&train, code), dictionary.text(code), code))
            .collect();
        if i32::try_from(all.len()).is_err() {
            return Err(PrepareError::TooManyItems { items: all.len() as u64 });
        }
        all.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let (mut codes, mut ids) = (Vec::with_capacity(all.len()), Vec::with_capacity(all.len()));
        for (_, id, code) in all {
            codes.push(code);
            ids.push(id);
        }
        Ok(Items { codes, ids, train, positives })
    }

    /// From codes to indices.
    pub(crate) fn indices(&self, codes: usize) -> Vec<i32> {
        let mut indices = vec![-1; codes];
        for (index, code) in self.codes.iter().enumerate() {
            indices[*code as usize] = index as i32;
        }
        indices
    }

    /// Rows of the training part.
    pub(crate) fn count(&self, code: u32) -> i64 {
        self.train.get(code as usize).copied().unwrap_or_default().into()
    }

    /// Positive ones of them.
    pub(crate) fn positives(&self, code: u32) -> i64 {
        self.positives.get(code as usize).copied().unwrap_or_default().into()
    }

    /// The first items: id and count.
    pub(crate) fn top(&self, most: usize) -> Vec<(String, i64)> {
        self.ids
            .iter()
            .zip(&self.codes)
            .take(most)
            .map(|(id, code)| (id.clone(), self.count(*code)))
            .collect()
    }
}
