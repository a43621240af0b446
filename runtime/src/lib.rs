//! Runs a packed MT-SLVR audio backbone and learns new sounds from a few labelled examples,
//! without an allocator and without `std`.
//!
//! The way of the data: samples → [`frontend`] log-mel frames → patch → [`backbone`] → embedding, in
//! the named parts that [`space`] describes → [`fewshot`] head → decision. [`clip`] joins the first
//! three for whole recordings, [`listener`] all of it for a stream.
//!
//! # Panics
//!
//! Calls do not panic, whatever their arguments are: a wrong length or a value out of its range is an
//! error, and functions that compute a length end at `usize::MAX`. A length that does not fit into
//! memory cannot be asked for on a device; on a host, where the feature `std` allocates, it ends the
//! program as every failed allocation does.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![deny(unsafe_code)]
#![deny(
    missing_docs,
    missing_debug_implementations,
    rustdoc::broken_intra_doc_links
)]

pub mod backbone;
mod bytes;
pub mod clip;
#[cfg(feature = "std")]
pub mod engine;
pub mod fewshot;
pub mod frontend;
pub mod listener;
pub mod model;
pub mod nn;
pub mod space;
