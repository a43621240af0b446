//! The packed model in flash, and the sizes that it asks for: written by the build script.

use mtslvr_runtime::model::{Aligned, Model};

include!(concat!(env!("OUT_DIR"), "/model.rs"));

/// The key and the least counter of models that are taken, written by the build script.
#[cfg(feature = "signed")]
mod trust {
    include!(concat!(env!("OUT_DIR"), "/trust.rs"));
}

/// Opens the model, whoever made it.
#[cfg(not(feature = "signed"))]
pub fn open() -> Result<Model<'static>, mtslvr_runtime::model::OpenError> {
    Model::open(&MODEL.0)
}

/// Opens the model if the trusted key has signed it.
///
/// A product keeps the greatest version counter that it has opened, and gives that in place of a constant.
#[cfg(feature = "signed")]
pub fn open() -> Result<Model<'static>, mtslvr_runtime::model::OpenSignedError> {
    // Flash can be written: the compiler must not take its bytes for those that it was built with.
    let bytes = core::hint::black_box(&MODEL.0);
    Model::open_signed(bytes, &trust::KEY, trust::LEAST_VERSION_COUNTER)
}
