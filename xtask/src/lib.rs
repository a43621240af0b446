//! The part of `cargo xtask` that tests use, too.

pub mod qemu;
