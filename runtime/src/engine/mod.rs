//! Float engines for hosts: an exported ONNX model behind the same [`crate::backbone::Backbone`] trait.
