//! Writing that fails on purpose, to see that nothing is lost by it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::error::{Operation, StorageError};

static FAILS_UNTIL: Mutex<Option<Instant>> = Mutex::new(None);

/// Whatever this process writes or deletes fails for so long from now on, as if the server were out of reach.
pub fn fail_writes_for(span: Duration) {
    *FAILS_UNTIL.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now().checked_add(span);
}

/// Fails while that is wanted.
pub(crate) fn check(uri: &str, operation: Operation) -> Result<(), StorageError> {
    let until = *FAILS_UNTIL.lock().unwrap_or_else(PoisonError::into_inner);
    match until.filter(|until| Instant::now() < *until) {
        Some(_) => {
            let reason = "a fault made on purpose".into();
            Err(StorageError::Unreachable { uri: uri.into(), operation, reason })
        }
        None => Ok(()),
    }
}
