//! Whole recordings: windows cut from a stream, embedded and averaged.
