//! The metadata store: compare-and-swap as the only write.
