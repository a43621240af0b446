//! Measures the listener on streams whose events are known: composes them from labelled recordings over
//! background sound at a stated level, runs the runtime's own listener, and scores its events.

mod background;
mod calibrate;
mod cast;
mod compose;
mod figures;
mod level;
mod microphone;
mod picture;
mod report;
mod run;
mod score;
mod teach;
mod trial;
mod trial_shape;

pub use cast::{Cast, CastError, CastShape, ClipRef, Source};
pub use compose::{Composed, Occurrence, Scenery, compose};
pub use figures::{LevelFigures, Point, SetFigures, Ungated};
pub use picture::trade_off;
pub use report::{Cost, StreamReport};
pub use run::{Judged, Recording, listen, replay};
pub use score::{Score, score};
pub use teach::{AMBIENT, Lessons};
pub use trial::{Material, Stream, Trial};
pub use trial_shape::{Taught, TrialShape};
