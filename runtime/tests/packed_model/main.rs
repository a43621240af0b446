//! The packed model as a whole: what the builder makes is what the engine runs, and nothing else is
//! ever accepted.
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
