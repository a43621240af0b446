//! Few-shot episodes on labelled recordings, with the controls that make a figure mean something.
