//! The packed model in flash, and the sizes that it asks for: written by the build script.

use mtslvr_runtime::model::Aligned;

include!(concat!(env!("OUT_DIR"), "/model.rs"));
