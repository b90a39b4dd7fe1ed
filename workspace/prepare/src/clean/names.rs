//! Names of actions and surfaces -> bytes.

use std::sync::{PoisonError, RwLock};

use crate::PrepareError;

/// At most this many different names: a timeline holds them as bytes.
const MOST: usize = 256;

/// Names with codes, in the order they were first seen; declared ones first.
pub(crate) struct NameTable {
    field: &'static str,
    column: String,
    /// No other names than those declared.
    closed: bool,
    names: RwLock<Vec<String>>,
}

impl NameTable {
    /// `declared` names; when there are any, others have no code.
    pub(crate) fn new(field: &'static str, column: &str, declared: Vec<String>) -> NameTable {
        let closed = !declared.is_empty();
        NameTable { field, column: column.into(), closed, names: RwLock::new(declared) }
    }

    /// The code of a name; `None` when it is not declared. `memo` is the caller's own, so that
    /// threads do not meet at every row.
    pub(crate) fn code(&self, name: &str, memo: &mut Vec<(String, u8)>) -> Result<Option<u8>, PrepareError> {
        if let Some((_, code)) = memo.iter().find(|(known, _)| known == name) {
            return Ok(Some(*code));
        }
        let known = |names: &[String]| names.iter().position(|known| known == name);
        let mut place = known(&self.names.read().unwrap_or_else(PoisonError::into_inner));
        if place.is_none() && !self.closed {
            let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
            place = known(&names);
            if place.is_none() {
                if names.len() == MOST {
                    return Err(PrepareError::TooManyNames {
                        field: self.field,
                        column: self.column.clone(),
                        most: MOST,
                    });
                }
                names.push(name.to_owned());
                place = Some(names.len() - 1);
            }
        }
        let code = place.map(|place| place as u8);
        if let Some(code) = code {
            memo.push((name.to_owned(), code));
        }
        Ok(code)
    }

    /// The names in their final order (alphabetical, whoever came first), and from code to place
    /// in it.
    pub(crate) fn finish(&self) -> (Vec<String>, Vec<u8>) {
        let seen = self.names.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut names = seen.clone();
        names.sort();
        let place = |name: &String| names.binary_search(name).unwrap_or_default() as u8;
        let places = seen.iter().map(place).collect();
        (names, places)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn open_tables_learn_names_and_finish_in_alphabetical_order() {
        let table = NameTable::new("log.columns.action", "action", vec![]);
        let mut memo = Vec::new();
        let codes: Vec<_> =
            ["save", "click", "save"].iter().map(|name| table.code(name, &mut memo).unwrap()).collect();
        assert_eq!(codes, [Some(0), Some(1), Some(0)]);
        assert_eq!(table.finish(), (vec!["click".into(), "save".into()], vec![1, 0]));
    }

    #[test]
    fn closed_tables_know_declared_names_only() {
        let table = NameTable::new("log.columns.action", "action", vec!["save".into()]);
        assert_eq!(table.code("save", &mut Vec::new()).unwrap(), Some(0));
        assert_eq!(table.code("click", &mut Vec::new()).unwrap(), None);
    }

    #[test]
    fn a_column_of_too_many_names_is_the_wrong_column() {
        let table = NameTable::new("log.columns.surface", "url", vec![]);
        let all: Result<Vec<_>, _> = (0..300).map(|i| table.code(&i.to_string(), &mut Vec::new())).collect();
        assert_eq!(all.unwrap_err().code(), "TW2013");
    }
}
