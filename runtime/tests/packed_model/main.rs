//! Tests the packed model as a whole: the engine runs what the builder makes, and nothing else is
//! accepted.
#![cfg(feature = "std")]

mod corruption;
mod execution;
mod golden;
mod listening;
mod memory;
mod network;
mod opening;
mod real_numbers;
mod records;
mod refusals;
mod work;
