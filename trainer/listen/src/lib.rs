//! What a product that is taught sounds is made of on a host: [`profile`] keeps what was taught,
//! [`capture`] takes sound from a pipe, a file or the microphone, and [`view`] shows what is heard on
//! a terminal.

pub mod capture;
pub mod profile;
pub mod view;
