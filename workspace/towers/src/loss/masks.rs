//! Which columns are no negatives of which rows.

use std::collections::HashMap;
use std::ops::Range;

/// Which item each column is.
pub enum ColumnItems {
    /// Column c is item c.
    Identity {
        /// Number of items.
        items: usize,
    },
    /// Any items, repeated or not.
    Listed {
        /// Item of each column.
        items: Vec<i64>,
        /// User each column is a positive of (`-1`: a random negative, nobody's).
        users: Vec<i64>,
    },
}

impl ColumnItems {
    /// Number of columns.
    pub fn len(&self) -> usize {
        match self {
            ColumnItems::Identity { items } => *items,
            ColumnItems::Listed { items, .. } => items.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Finds the columns that are masked for a row: those that are the row's own positive item, those
/// that are a positive of the same user, and, when asked, all that are another positive of the user.
pub struct Masks<'a> {
    columns: Columns,
    positives: &'a [i64],
    users: &'a [i64],
    /// By row: the user's positives, when they are masked.
    others: Option<&'a [&'a [i64]]>,
}

enum Columns {
    Identity { items: i64 },
    Listed { by_item: HashMap<i64, Vec<u32>>, by_user: HashMap<i64, Vec<u32>> },
}

impl<'a> Masks<'a> {
    /// Masks of rows with these positive items and users against these columns.
    pub fn new(
        columns: &ColumnItems,
        positives: &'a [i64],
        users: &'a [i64],
        others: Option<&'a [&'a [i64]]>,
    ) -> Self {
        let columns = match columns {
            ColumnItems::Identity { items } => Columns::Identity { items: *items as i64 },
            ColumnItems::Listed { items, users } => Columns::Listed {
                by_item: index(items.iter().copied()),
                by_user: index(users.iter().copied().filter(|&user| user >= 0)),
            },
        };
        Masks { columns, positives, users, others }
    }

    /// Masked columns of a block of rows, `(row in the block, column)`; some may be named twice.
    pub fn of(&self, rows: Range<usize>) -> Vec<(u32, u32)> {
        let mut masked = Vec::new();
        for (slot, row) in rows.enumerate() {
            let mut mask = |column: u32| masked.push((slot as u32, column));
            let others = self.others.as_ref().map_or([].as_slice(), |others| others[row]);
            match &self.columns {
                Columns::Identity { items } => {
                    let known = |item: &&i64| (0..*items).contains(*item);
                    mask(self.positives[row] as u32);
                    others.iter().filter(known).for_each(|&item| mask(item as u32));
                }
                Columns::Listed { by_item, by_user } => {
                    let mut mask_all = |columns: Option<&Vec<u32>>| {
                        columns.into_iter().flatten().for_each(|&column| mask(column));
                    };
                    mask_all(by_item.get(&self.positives[row]));
                    mask_all(by_user.get(&self.users[row]));
                    others.iter().for_each(|item| mask_all(by_item.get(item)));
                }
            }
        }
        masked
    }
}

fn index(keys: impl Iterator<Item = i64>) -> HashMap<i64, Vec<u32>> {
    let mut columns: HashMap<i64, Vec<u32>> = HashMap::new();
    for (column, key) in keys.enumerate() {
        columns.entry(key).or_default().push(column as u32);
    }
    columns
}
