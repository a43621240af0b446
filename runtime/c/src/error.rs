//! The one list of errors, with a text for each.

use core::ffi::{CStr, c_char};
use mtslvr_runtime::backbone::{ArenaTooSmall, EmbedError};
use mtslvr_runtime::clip::ClipError;
use mtslvr_runtime::fewshot::persist::{ExportError, RestoreError, StoreError};
use mtslvr_runtime::fewshot::{
    ClassifyError, DirectionError, EnrolError, FitError, Refusal, SupportError,
};
use mtslvr_runtime::frontend::FrontendError;
use mtslvr_runtime::listener::{ListenError, ListenerError};
use mtslvr_runtime::model::OpenError;

/// Result of a call: zero, or why it failed. mtslvr_error_text gives a sentence about each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Error {
    /// The call did what it should.
    None = 0,
    /// A pointer that must not be null is null.
    NullPointer = 1,
    /// A pointer is not aligned: lent memory and models begin at multiples of MTSLVR_ALIGNMENT, other
    /// values where the compiler puts them.
    Misaligned = 2,
    /// A length is not the one that is expected, or no object can be as long.
    Length = 3,
    /// The lent memory is too small: the size function of the object tells how much it needs.
    MemoryTooSmall = 4,
    /// The pointer leads to no open object of this kind.
    NotOpen = 5,
    /// The object is in use: by an interrupted call, or by the one that called back.
    Busy = 6,
    /// A setting or an argument is out of its range.
    OutOfRange = 7,
    /// The object was made for another model than this one.
    OtherModel = 8,

    /// The bytes are no packed model.
    NotAModel = 20,
    /// The model is of a version of the format that this library does not know.
    ModelVersion = 21,
    /// There are more or fewer bytes than the model has.
    ModelLength = 22,
    /// The model's checksum does not match: it is damaged.
    ModelDamaged = 23,
    /// The model contradicts itself, or needs what this library does not have.
    ModelInvalid = 24,

    /// The name is empty, blank, "." or "..".
    NameEmpty = 40,
    /// The name does not fit into MTSLVR_NAME_SIZE bytes.
    NameTooLong = 41,
    /// The name is not UTF-8, or has a character that steers a terminal.
    NameCharacters = 42,
    /// Another class has the name.
    NameTaken = 43,
    /// Negatives and background take no name.
    NameNotAllowed = 44,
    /// No class has this id, or there is none at this place.
    NoSuchClass = 45,
    /// The class has no such example.
    NoSuchExample = 46,
    /// All classes are taken.
    TooManyClasses = 47,
    /// All examples are taken.
    TooManyExamples = 48,

    /// Nothing is enrolled, or mtslvr_fit was not called since the last change.
    NotFitted = 60,
    /// There is no example to fit to.
    NoExamples = 61,
    /// The examples cannot be told apart by numbers of single precision.
    FitFailed = 62,
    /// The embedding holds a value that is not finite.
    EmbeddingNotFinite = 63,
    /// The embedding is that of no sound in particular: the clip may be silent.
    EmbeddingEmpty = 64,

    /// The clip has no samples.
    ClipEmpty = 80,
    /// The clip is silent or too quiet.
    ClipTooQuiet = 81,
    /// The clip is overloaded.
    ClipOverloaded = 82,
    /// The clip is too short.
    ClipTooShort = 83,
    /// The clip is unlike the examples that its class has.
    ClipUnlikeItsClass = 84,
    /// The clip is like another class.
    ClipLikeAnotherClass = 85,
    /// The listener has heard no sound since it was made, or since its last sound was enrolled.
    NothingHeard = 86,

    /// A callback of the flash failed.
    FlashFailed = 100,
    /// The flash does not have whole pages, or too few.
    FlashSize = 101,
    /// The flash has no room for more. What was saved before is still there.
    FlashFull = 102,
    /// The flash holds what this library never writes: erase the store.
    FlashDamaged = 103,
    /// The flash's pages are too small for what is saved.
    FlashPageTooSmall = 104,

    /// The bytes are no snapshot of taught sounds.
    NotASnapshot = 120,
    /// The snapshot is of a version that this library does not know.
    SnapshotVersion = 121,
    /// The saved sounds are damaged.
    SnapshotDamaged = 122,
    /// The sounds were taught under another model: enrol them again.
    SnapshotOtherModel = 123,
    /// The buffer is shorter than the snapshot.
    SnapshotBufferTooShort = 124,
}

/// Result of what a call does.
pub(crate) type Outcome = Result<(), Error>;

impl Error {
    /// Returns the error with this number; `None` if there is none.
    fn from_number(number: i32) -> Option<Self> {
        ALL.into_iter().find(|error| *error as i32 == number)
    }

    /// Returns the sentence about the error.
    pub const fn text(self) -> &'static CStr {
        match self {
            Self::None => c"no error",
            Self::NullPointer => c"a pointer is null",
            Self::Misaligned => {
                c"a pointer is misaligned: memory and models begin at multiples of MTSLVR_ALIGNMENT"
            }
            Self::Length => c"a length is not the one that is expected",
            Self::MemoryTooSmall => c"the lent memory is too small: ask the object's size function",
            Self::NotOpen => c"the pointer leads to no open object of this kind",
            Self::Busy => c"the object is in use by another call",
            Self::OutOfRange => c"a setting or an argument is out of its range",
            Self::OtherModel => c"the object was made for another model",
            Self::NotAModel => c"the bytes are no packed model (.slvr)",
            Self::ModelVersion => c"the model is of an unknown version: update the library",
            Self::ModelLength => c"the model was cut, or something follows it",
            Self::ModelDamaged => c"the model is damaged: its checksum does not match",
            Self::ModelInvalid => {
                c"the model contradicts itself or needs what this library does not have"
            }
            Self::NameEmpty => c"the name is empty or cannot be read",
            Self::NameTooLong => c"the name is too long: see MTSLVR_NAME_SIZE",
            Self::NameCharacters => c"the name is not UTF-8 or holds a control character",
            Self::NameTaken => c"another class has this name",
            Self::NameNotAllowed => c"negatives and background take no name",
            Self::NoSuchClass => c"there is no such class",
            Self::NoSuchExample => c"the class has no such example",
            Self::TooManyClasses => c"all classes are taken: remove one first",
            Self::TooManyExamples => c"all examples are taken: remove a class first",
            Self::NotFitted => c"nothing is enrolled, or fit is due since the last change",
            Self::NoExamples => c"there is no example to learn from",
            Self::FitFailed => c"the head could not be fitted to these examples",
            Self::EmbeddingNotFinite => c"the embedding holds a value that is not finite",
            Self::EmbeddingEmpty => c"the embedding is that of no sound: the clip may be silent",
            Self::ClipEmpty => c"the clip has no samples",
            Self::ClipTooQuiet => c"the clip is silent or too quiet: record it again, nearer",
            Self::ClipOverloaded => c"the clip is overloaded: record it again, less loud",
            Self::ClipTooShort => c"the clip is too short: record all of the sound",
            Self::ClipUnlikeItsClass => c"the clip is unlike the other examples of its class",
            Self::ClipLikeAnotherClass => c"the clip is like another class",
            Self::NothingHeard => c"no sound was heard that is not enrolled already",
            Self::FlashFailed => c"a callback of the flash failed",
            Self::FlashSize => c"the flash must be whole pages of MTSLVR_FLASH_PAGE, two or more",
            Self::FlashFull => c"the flash has no room for more: see mtslvr_flash_size",
            Self::FlashDamaged => c"the flash is damaged beyond repair: erase the store",
            Self::FlashPageTooSmall => c"a page of the flash is too small for what is saved",
            Self::NotASnapshot => c"the bytes are no snapshot of taught sounds",
            Self::SnapshotVersion => c"the snapshot is of an unknown version: update the library",
            Self::SnapshotDamaged => c"the saved sounds are damaged",
            Self::SnapshotOtherModel => c"the sounds were taught under another model: enrol again",
            Self::SnapshotBufferTooShort => c"the buffer is shorter than the snapshot",
        }
    }
}

/// Returns a sentence about an error, for a log. It is never null and stays where it is.
#[unsafe(no_mangle)]
pub extern "C" fn mtslvr_error_text(error: i32) -> *const c_char {
    let text = Error::from_number(error).map_or(c"no error has this number", Error::text);
    text.as_ptr()
}

/// All errors.
const ALL: [Error; 45] = [
    Error::None,
    Error::NullPointer,
    Error::Misaligned,
    Error::Length,
    Error::MemoryTooSmall,
    Error::NotOpen,
    Error::Busy,
    Error::OutOfRange,
    Error::OtherModel,
    Error::NotAModel,
    Error::ModelVersion,
    Error::ModelLength,
    Error::ModelDamaged,
    Error::ModelInvalid,
    Error::NameEmpty,
    Error::NameTooLong,
    Error::NameCharacters,
    Error::NameTaken,
    Error::NameNotAllowed,
    Error::NoSuchClass,
    Error::NoSuchExample,
    Error::TooManyClasses,
    Error::TooManyExamples,
    Error::NotFitted,
    Error::NoExamples,
    Error::FitFailed,
    Error::EmbeddingNotFinite,
    Error::EmbeddingEmpty,
    Error::ClipEmpty,
    Error::ClipTooQuiet,
    Error::ClipOverloaded,
    Error::ClipTooShort,
    Error::ClipUnlikeItsClass,
    Error::ClipLikeAnotherClass,
    Error::NothingHeard,
    Error::FlashFailed,
    Error::FlashSize,
    Error::FlashFull,
    Error::FlashDamaged,
    Error::FlashPageTooSmall,
    Error::NotASnapshot,
    Error::SnapshotVersion,
    Error::SnapshotDamaged,
    Error::SnapshotOtherModel,
    Error::SnapshotBufferTooShort,
];

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Misaligned => Self::Misaligned,
            OpenError::Magic => Self::NotAModel,
            OpenError::Version(_) => Self::ModelVersion,
            OpenError::Truncated { .. } | OpenError::Overlong { .. } => Self::ModelLength,
            OpenError::Checksum { .. } => Self::ModelDamaged,
            _ => Self::ModelInvalid,
        }
    }
}

impl From<ArenaTooSmall> for Error {
    fn from(_: ArenaTooSmall) -> Self {
        Self::MemoryTooSmall
    }
}

impl From<FrontendError> for Error {
    fn from(error: FrontendError) -> Self {
        match error {
            FrontendError::BufferTooShort { .. } => Self::MemoryTooSmall,
            _ => Self::ModelInvalid,
        }
    }
}

impl From<ListenerError> for Error {
    fn from(error: ListenerError) -> Self {
        match error {
            ListenerError::Config(_) => Self::OutOfRange,
            ListenerError::Frontend(error) => error.into(),
            _ => Self::MemoryTooSmall,
        }
    }
}

impl From<EmbedError> for Error {
    fn from(_: EmbedError) -> Self {
        Self::OtherModel
    }
}

impl From<ListenError<EmbedError>> for Error {
    fn from(error: ListenError<EmbedError>) -> Self {
        match error {
            ListenError::Classify(error) => error.into(),
            _ => Self::OtherModel,
        }
    }
}

impl From<ClipError<EmbedError>> for Error {
    fn from(error: ClipError<EmbedError>) -> Self {
        match error {
            ClipError::Empty => Self::ClipEmpty,
            ClipError::Frontend(error) => error.into(),
            ClipError::Embedding { .. } => Self::Length,
            _ => Self::OtherModel,
        }
    }
}

impl From<DirectionError> for Error {
    fn from(error: DirectionError) -> Self {
        match error {
            DirectionError::NotFinite => Self::EmbeddingNotFinite,
            DirectionError::Degenerate => Self::EmbeddingEmpty,
            _ => Self::Length,
        }
    }
}

impl From<SupportError> for Error {
    fn from(error: SupportError) -> Self {
        match error {
            SupportError::TooManyClasses { .. } => Self::TooManyClasses,
            SupportError::TooManyExamples { .. } => Self::TooManyExamples,
            SupportError::NameTooLong { .. } => Self::NameTooLong,
            SupportError::NameEmpty | SupportError::NameUnreadable => Self::NameEmpty,
            SupportError::NameControl { .. } => Self::NameCharacters,
            SupportError::NameTaken { .. } => Self::NameTaken,
            SupportError::NoName { .. } => Self::NameNotAllowed,
            SupportError::NoSuchClass { .. } => Self::NoSuchClass,
            SupportError::NoSuchExample { .. } => Self::NoSuchExample,
            SupportError::Length { .. } => Self::Length,
            _ => Self::OutOfRange,
        }
    }
}

impl From<EnrolError> for Error {
    fn from(error: EnrolError) -> Self {
        match error {
            EnrolError::Embedding(error) => error.into(),
            EnrolError::Support(error) => error.into(),
            _ => Self::OutOfRange,
        }
    }
}

impl From<ClassifyError> for Error {
    fn from(error: ClassifyError) -> Self {
        match error {
            ClassifyError::Embedding(error) => error.into(),
            ClassifyError::ScoresTooShort { .. } => Self::MemoryTooSmall,
            _ => Self::NotFitted,
        }
    }
}

impl From<FitError> for Error {
    fn from(error: FitError) -> Self {
        match error {
            FitError::NoExamples => Self::NoExamples,
            FitError::ScratchTooShort { .. } => Self::MemoryTooSmall,
            _ => Self::FitFailed,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooQuiet { .. } => Self::ClipTooQuiet,
            Refusal::Clipped { .. } => Self::ClipOverloaded,
            Refusal::TooShort { .. } => Self::ClipTooShort,
            Refusal::UnlikeItsClass { .. } => Self::ClipUnlikeItsClass,
            Refusal::LikeAnotherClass { .. } => Self::ClipLikeAnotherClass,
            Refusal::Embedding(error) => error.into(),
            _ => Self::OutOfRange,
        }
    }
}

impl From<RestoreError> for Error {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::NotASnapshot => Self::NotASnapshot,
            RestoreError::Version { .. } | RestoreError::UnknownSection { .. } => {
                Self::SnapshotVersion
            }
            RestoreError::OtherBackbone { .. } => Self::SnapshotOtherModel,
            RestoreError::TooManyClasses { .. } => Self::TooManyClasses,
            RestoreError::TooManyExamples { .. } => Self::TooManyExamples,
            _ => Self::SnapshotDamaged,
        }
    }
}

impl From<ExportError> for Error {
    fn from(_: ExportError) -> Self {
        Self::SnapshotBufferTooShort
    }
}

impl<E> From<StoreError<E>> for Error {
    fn from(error: StoreError<E>) -> Self {
        match error {
            StoreError::Flash(_) => Self::FlashFailed,
            StoreError::Range => Self::FlashSize,
            StoreError::Full => Self::FlashFull,
            StoreError::ScratchTooShort { .. } => Self::MemoryTooSmall,
            StoreError::RecordTooLong => Self::FlashPageTooSmall,
            StoreError::Restore(error) => error.into(),
            _ => Self::FlashDamaged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_a_text_of_its_own() {
        for (place, error) in ALL.into_iter().enumerate() {
            assert_eq!(Error::from_number(error as i32), Some(error));
            assert!(!error.text().is_empty());
            let alike = ALL[..place]
                .iter()
                .find(|other| other.text() == error.text());
            assert_eq!(alike, None, "{error:?}");
        }
        assert_eq!(Error::from_number(-1), None);
    }
}
