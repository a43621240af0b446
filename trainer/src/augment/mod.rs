//! The seven operators that make a view of a clip, and the labels that say which ran.
