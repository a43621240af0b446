//! Options that take several values, the same everywhere.
//!
//! Numbers and names are joined with commas or follow one another: `--snr 10,0`, `--snr 10 0` and
//! `--snr 10 --snr 0` are the same. Paths may hold commas and only follow one another. Help and examples
//! show commas for the former, and a repeated option for the latter.
//!
//! A command with positional arguments uses neither constant: its options take one value each time that they
//! are given, because they would swallow an argument that follows.

use std::ops::RangeFrom;

/// Number of values that may follow an option.
pub(super) const SEVERAL: RangeFrom<usize> = 1..;

/// Character that joins numbers and names.
pub(super) const COMMA: char = ',';
