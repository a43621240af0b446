//! The packed model `.slvr`: a checked, zero-copy view over bytes. The wire format is written down in `FORMAT.md`.
