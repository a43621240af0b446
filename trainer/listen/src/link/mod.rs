//! The host's side of the link to a device (`runtime/LINK.md`): profiles and models over a serial line.
//!
//! [`Client`] asks; it works on any [`Line`]. [`Port`] is one: a serial device or a TCP connection.

mod client;
mod error;
mod line;
mod part;
mod port;
#[cfg(unix)]
mod serial;
#[cfg(test)]
mod tests;

pub use client::{Client, Device, Given, Patience};
pub use error::LinkError;
pub use line::Line;
pub use part::Part;
pub use port::{Port, PortError, ports};
