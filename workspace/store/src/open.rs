//! Opening a store by its name.

use std::sync::Arc;
use std::time::Duration;

use crate::embedded::Embedded;
use crate::error::StoreError;
use crate::etcd::{Etcd, PATIENCE};
use crate::metadata::MetadataStore;
use crate::place::Place;

/// Opens the store that `place` names, see [`Place`].
///
/// # Errors
/// It names none; it cannot be reached or lets nobody in; another coordinator has the file.
pub async fn open(place: &str) -> Result<Arc<dyn MetadataStore>, StoreError> {
    place.parse::<Place>()?.open(PATIENCE).await
}

impl Place {
    /// Opens the store. A call to etcd is tried for as long as `patience`; a file needs none.
    ///
    /// # Errors
    /// As [`open`].
    pub async fn open(&self, patience: Duration) -> Result<Arc<dyn MetadataStore>, StoreError> {
        Ok(match self {
            Place::File(path) => Arc::new(Embedded::open(path).await?),
            Place::Etcd(place) => Arc::new(Etcd::open(place, patience).await?),
        })
    }
}
