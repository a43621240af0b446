//! The part of `cargo xtask` that tests use, too.

pub mod board;
pub mod document;
pub mod qemu;
pub mod report;
pub mod serve;
