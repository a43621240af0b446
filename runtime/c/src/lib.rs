#![doc = include_str!("../README.md")]
//!
//! # Modules
//!
//! One module for each object that C code holds, and the boundary: [`boundary`] checks what comes over
//! it, `object` keeps the marks that tell an open object from other memory, `layout` cuts lent memory.
//! Everything that hears, learns and keeps is `mtslvr-runtime`'s.
//!
//! The functions are not marked by what a caller must hold to one by one: the rules at the top of
//! `include/mtslvr.h` are those of all calls.
#![cfg_attr(target_os = "none", no_std)]
#![allow(
    unsafe_code,
    reason = "the boundary to C: pointers come in, and objects lie in memory that the caller lends"
)]
#![allow(
    clippy::missing_safety_doc,
    reason = "the rules at the top of the header are those of all functions"
)]

// In the order in which the header shows what they define.
pub mod error;

pub mod recogniser;

pub mod clip;

pub mod listener;

pub mod class;

pub mod flash;

pub mod store;

pub mod snapshot;

pub mod boundary;

mod layout;

mod object;

pub use error::Error;

/// Stops the program. The runtime does not panic; a library that is linked into firmware must say all
/// the same what would happen. A watchdog ends the loop.
#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
