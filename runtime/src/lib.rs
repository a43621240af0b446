#![doc = include_str!("../README.md")]
//!
//! # Modules
//!
//! Data flows like this: samples → [`frontend`] log-mel frames → patch → [`backbone`] → embedding in
//! named parts ([`space`]) → [`fewshot`] head → decision. [`clip`] joins the first three for whole
//! recordings, [`listener`] all of it for a stream. [`verifier`] takes a second look at what a listener is
//! about to recognise. `link` (feature `link`) takes profiles and models from one device to another. `trust` (feature
//! `signed`) says whose models and profiles are taken.
//!
//! # Panics
//!
//! No call panics, whatever its arguments are: a wrong length or a value out of its range is an error,
//! an index out of range gives `None`, and functions that compute a length stop at `usize::MAX`.
//! On a host, memory that cannot be allocated ends the program as it does everywhere.
//!
//! [`model::Model::open`] decides about a model once: any bytes give a model or an error. The code has
//! one way to say that opening has checked something, the function `proven` of the module [`model`]; a
//! panic in it would be a fault of the check, which the tests with damaged and forged files look for.
//! Embedding, classifying and listening do without it: what a model says is looked up again, and is an
//! error if it is no longer there. No panic is linked into them, which `firmware-examples/no-panic`
//! proves by linking only then.
#![cfg_attr(not(any(feature = "std", test)), no_std)]

pub mod backbone;
mod bytes;
pub mod clip;
#[cfg(feature = "hash")]
mod content_hash;
pub mod fewshot;
pub mod frontend;
#[cfg(feature = "link")]
pub mod link;
pub mod listener;
pub mod model;
pub mod nn;
mod parts;
pub mod space;
#[cfg(feature = "signed")]
pub mod trust;
pub mod verifier;
#[cfg(feature = "flash")]
mod whole_words;
