//! Realistic engagement logs and catalogues of any size.
