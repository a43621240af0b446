//! What the exporter writes, read, packed and looked into.

mod inspecting;
mod packing;
mod reading;
