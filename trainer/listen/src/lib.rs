//! Pieces of a program on a host that is taught sounds: [`profile`] keeps the taught sounds,
//! [`capture`] takes sound from a pipe, a file or the microphone, [`link`] takes profiles and models to a
//! device and back, and [`view`] shows a listener on a terminal.

pub mod capture;
pub mod link;
pub mod profile;
pub mod view;
