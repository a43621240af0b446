//! Depthwise convolution: sums of products of eight channels at a time.
#![allow(unsafe_code)]

use crate::nn::operators::Depthwise;
use core::arch::asm;
use core::mem::offset_of;

/// Channels of a step.
pub(in crate::nn::arch) const STEP: usize = 8;

/// The number of places is a multiple of this.
pub(in crate::nn::arch) const TAPS: usize = 1;

/// A block of channels, for all output positions.
pub(in crate::nn::arch) struct Kernel {
    call: Call,
}

/// The arguments of depthwise.S, which has their order.
#[repr(C)]
#[derive(Clone, Copy)]
struct Call {
    /// Weights of the first channel at the first place.
    weights: *const i8,
    /// Bytes from the weights of a place to those of the next.
    row: usize,
    places: *const u32,
    places_end: *const u32,
    out: *mut i8,
    bias: *const i32,
    multipliers: *const i32,
    /// Number of channels.
    count: usize,
    pre: u32,
    zero_point: i32,
    lo: i32,
    hi: i32,
}

impl Kernel {
    /// Prepares `count` channels from `first` on. `None` if values are missing.
    pub fn new(
        conv: &Depthwise<'_>,
        first: usize,
        count: usize,
        places: &[u32],
        _memory: &mut [u32],
    ) -> Option<Self> {
        let places = places.as_ptr_range();
        let rule = &conv.requantisation;
        Some(Self {
            call: Call {
                weights: conv.weights.get(first..)?.as_ptr(),
                row: conv.input.channels,
                places: places.start,
                places_end: places.end,
                out: core::ptr::null_mut(),
                bias: conv.bias.get(first..)?.as_ptr(),
                multipliers: conv.multipliers.get(first..)?.as_ptr(),
                count,
                pre: rule.pre.into(),
                zero_point: rule.zero_point.into(),
                lo: rule.lo.into(),
                hi: rule.hi.into(),
            },
        })
    }

    /// Computes all channels at one output position.
    ///
    /// # Safety
    /// The places and the tables of [`Self::new`] are still there: as many addresses as the kernel has rows of weights,
    /// each of `count` values or more, and so are the channels' biases and multipliers. `out` has `count` values.
    #[inline(always)]
    pub unsafe fn run(&self, out: &mut [i8]) {
        let call = Call {
            out: out.as_mut_ptr(),
            ..self.call
        };
        // SAFETY: this function has the same conditions.
        unsafe { run(&call) }
    }

    /// Does nothing: results are clamped as they are made.
    #[allow(clippy::unused_self)]
    pub fn finish(&self, _output: &mut [i8]) {}
}

/// Computes all channels at one output position.
///
/// # Safety
/// The pointers reach as far as the fields say.
#[inline(never)]
unsafe fn run(call: &Call) {
    // SAFETY: reads and writes what the caller promises. The registers that the compiler cannot lend, and
    // the vectors that a function must keep, are saved and restored on the stack.
    unsafe {
        asm!(
            include_str!("depthwise.S"),
            inout("r0") call => _,
            clobber_abi("aapcs"),
            options(raw),
        );
    }
}

// The order that depthwise.S reads.
const _: () = {
    assert!(offset_of!(Call, weights) == 0);
    assert!(offset_of!(Call, row) == 4);
    assert!(offset_of!(Call, places) == 8);
    assert!(offset_of!(Call, places_end) == 12);
    assert!(offset_of!(Call, out) == 16);
    assert!(offset_of!(Call, bias) == 20);
    assert!(offset_of!(Call, multipliers) == 24);
    assert!(offset_of!(Call, count) == 28);
    assert!(offset_of!(Call, pre) == 32);
    assert!(offset_of!(Call, zero_point) == 36);
    assert!(offset_of!(Call, lo) == 40);
    assert!(offset_of!(Call, hi) == 44);
};
