//! Towers, losses, optimizers and metrics.
