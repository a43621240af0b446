//! The exporter's files, read, packed and looked into.

mod inspecting;
mod packing;
mod reading;
