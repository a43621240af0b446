//! The packed model in flash, the sizes that it asks for and what the host makes of the sound:
//! written by the build script.

use mtslvr_runtime::model::Aligned;

include!(concat!(env!("OUT_DIR"), "/model.rs"));
