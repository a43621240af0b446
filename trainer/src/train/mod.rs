//! The training loop: configuration, data, optimiser, checkpoints, metrics.
