//! Behaviour that spans the crates: what the tests in `tests/` are made of.

pub mod firmware;
pub mod sounds;
pub mod weights;
