//! Engagement logs -> dataset, by DataFusion.
