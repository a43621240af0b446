//! int8 operators with exactly specified arithmetic. The portable kernels are the definition.
