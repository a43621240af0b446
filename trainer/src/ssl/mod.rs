//! Self-supervised objectives: NT-Xent, multi-label augmentation prediction, and their sum.
