//! Errors of the link.

use mtslvr_runtime::link::{LINK_VERSION, Refusal};
use std::io;
use std::time::Duration;

/// Explains why a transfer did not come to its end. The device then has what it had before; what has come of an
/// object stays there, for the transfer to go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The line failed.
    #[error("the line broke: {0}")]
    Line(#[from] io::Error),
    /// Nothing that could be read came from the device.
    #[error("no answer from a device within {} seconds", .0.as_secs())]
    NoAnswer(Duration),
    /// The device's answer has no known form.
    #[error("the device's answer cannot be read, although its checksum is right")]
    Unreadable,
    /// The device speaks another version of the protocol.
    #[error("the device speaks version {found} of the link, expected {LINK_VERSION}")]
    Version {
        /// The device's version.
        found: u16,
    },
    /// The device does not do what it was asked.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The object is longer than the protocol can say.
    #[error("{0} bytes, and the link carries less than 4 GiB")]
    TooLong(usize),
    /// The transfer began anew again and again.
    #[error("the transfer did not come to its end in {0} attempts")]
    Unsettled(u32),
    /// The device's blocks are not those that it offered.
    #[error(
        "the device's profile is not the one that it offered: its blocks contradict their checksum"
    )]
    Contradicted,
    /// The user stopped the transfer.
    #[error("stopped; the transfer goes on from here next time")]
    Stopped,
}
