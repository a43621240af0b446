//! Recordings and made-up sounds as 16 kHz mono samples.
