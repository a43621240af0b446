//! The runtime in a browser: a [`Studio`] holds a backbone, the sounds that were taught under it, and
//! the streams that are listened to. `page/` is the page around it.
//!
//! Everything that decides is that of `mtslvr listen` and `mtslvr enrol`: the listener with its default
//! settings, the way a sound is cut out of a recording, the checks of an example, the head, the
//! thresholds. So the page, the command line and a device say the same of the same samples.
//!
//! A page calls the functions of the module `exports`, which are there on WebAssembly alone.

#[cfg(target_arch = "wasm32")]
mod exports;
mod heard;
#[cfg(feature = "kernels")]
pub mod kernels;
mod listing;
mod resampler;
mod stream;
mod studio;
mod studio_error;

pub use heard::{Event, Heard, Judged};
pub use listing::{Backbone, ListedClass, Listing};
pub use studio::{Lesson, Studio, Taught};
pub use studio_error::StudioError;
