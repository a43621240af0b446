//! Runs a packed MT-SLVR audio backbone and learns new sounds from a few labelled examples,
//! without an allocator and without `std`.
//!
//! The way of the data: samples → [`frontend`] log-mel frames → patch → [`backbone`] run once per
//! path over shared weights → embedding (invariant ‖ equivariant) → [`fewshot`] head → decision.
//! [`clip`] joins the first three for whole recordings, [`listener`] all of it for a stream.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![deny(unsafe_code)]
#![deny(
    missing_docs,
    missing_debug_implementations,
    rustdoc::broken_intra_doc_links
)]

pub mod backbone;
pub mod clip;
pub mod fewshot;
pub mod frontend;
pub mod listener;
pub mod model;
pub mod nn;
pub mod space;
