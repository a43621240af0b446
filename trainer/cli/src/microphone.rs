//! Whether this program was built with the microphone, for texts that name `--mic`.

/// Whether it was.
pub(super) const MICROPHONE: bool = cfg!(feature = "mic");

/// Takes the first text where `--mic` is built in, else the second.
#[cfg(feature = "mic")]
macro_rules! with_microphone {
    ($with:expr, $without:expr $(,)?) => {
        $with
    };
}

/// Takes the first text where `--mic` is built in, else the second.
#[cfg(not(feature = "mic"))]
macro_rules! with_microphone {
    ($with:expr, $without:expr $(,)?) => {
        $without
    };
}
pub(super) use with_microphone;
