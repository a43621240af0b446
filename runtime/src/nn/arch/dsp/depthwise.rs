//! Depthwise convolution: sums of products of four channels at a time.
#![allow(unsafe_code)]

use super::clamp::clamp;
use crate::nn::operators::{DEPTHWISE_TAPS, Depthwise};
use crate::parts::part;
use core::arch::asm;
use core::mem::offset_of;

/// Channels of a step.
pub(in crate::nn::arch) const STEP: usize = 4;

/// The number of places is a multiple of this. The same is in depthwise.S.
pub(in crate::nn::arch) const TAPS: usize = DEPTHWISE_TAPS;

/// Words of biases and of multipliers of a step.
const RULES: usize = 4;

/// A block of channels, prepared for all output positions.
pub(in crate::nn::arch) struct Kernel {
    call: Call,
    clamp: [i8; 2],
}

/// The arguments of depthwise.S, which has their order.
#[repr(C)]
#[derive(Clone, Copy)]
struct Call {
    /// For each step of four channels: their biases; for each place the weights of the first and third
    /// channel and those of the second and fourth, 16 bits each; their multipliers.
    stream: *const u32,
    places_end: *const u32,
    places: *const u32,
    out: *mut i8,
    /// Number of channels.
    count: usize,
    pre: u32,
    zero_point: i32,
}

impl Kernel {
    /// Prepares `count` channels from `first` on, with memory for their stream. `None` if values are missing.
    pub fn new(
        conv: &Depthwise<'_>,
        first: usize,
        count: usize,
        places: &[u32],
        stream: &mut [u32],
    ) -> Option<Self> {
        let channels = conv.input.channels;
        let step_words = 2 * RULES + 2 * places.len();
        let steps = stream.chunks_exact_mut(step_words.max(1));
        for (step, stream) in steps.enumerate().take(count / STEP) {
            let first = first + step * STEP;
            let (bias, rest) = stream.split_at_mut_checked(RULES)?;
            let (taps, multipliers) = rest.split_at_mut_checked(2 * places.len())?;
            let of_step = |table| part(table, first, RULES);
            for (to, from) in bias.iter_mut().zip(of_step(conv.bias)?) {
                *to = from.cast_unsigned();
            }
            for (to, from) in multipliers.iter_mut().zip(of_step(conv.multipliers)?) {
                *to = from.cast_unsigned();
            }
            // Places that fill up their number have weights of zero.
            taps.fill(0);
            let kernels = conv.weights.chunks_exact(channels.max(1));
            for (taps, weights) in taps.as_chunks_mut::<2>().0.iter_mut().zip(kernels) {
                let weights: &[i8; STEP] = weights.get(first..)?.first_chunk()?;
                let [a, b, c, d] = weights.map(|weight| u32::from(i16::from(weight) as u16));
                *taps = [a | c << 16, b | d << 16];
            }
        }
        let places = places.as_ptr_range();
        Some(Self {
            call: Call {
                stream: stream.as_ptr(),
                places_end: places.end,
                places: places.start,
                out: core::ptr::null_mut(),
                count,
                pre: conv.requantisation.pre.into(),
                zero_point: conv.requantisation.zero_point.into(),
            },
            clamp: [conv.requantisation.lo, conv.requantisation.hi],
        })
    }

    /// Computes all channels at one output position, not yet clamped to other bounds than those of int8.
    ///
    /// # Safety
    /// The places and the stream are still there, each place has as many values as there are channels, and
    /// so has `out`.
    #[inline(always)]
    pub unsafe fn run(&self, out: &mut [i8]) {
        let call = Call {
            out: out.as_mut_ptr(),
            ..self.call
        };
        // SAFETY: this function has the same conditions.
        unsafe { run(&call) }
    }

    /// Clamps the finished map.
    pub fn finish(&self, output: &mut [i8]) {
        if self.clamp != [i8::MIN, i8::MAX] {
            clamp(output, self.clamp);
        }
    }
}

/// Computes all channels at one output position.
///
/// # Safety
/// The pointers reach as far as the fields say.
#[inline(never)]
unsafe fn run(call: &Call) {
    // SAFETY: reads and writes what the caller promises. The registers that the compiler cannot lend
    // are saved and restored on the stack.
    unsafe {
        asm!(
            include_str!("depthwise.S"),
            inout("r0") call => _,
            out("r1") _,
            out("r2") _,
            out("r3") _,
            out("r12") _,
            options(raw),
        );
    }
}

// The order that depthwise.S reads.
const _: () = {
    assert!(offset_of!(Call, stream) == 0);
    assert!(offset_of!(Call, places_end) == 4);
    assert!(offset_of!(Call, places) == 8);
    assert!(offset_of!(Call, out) == 12);
    assert!(offset_of!(Call, count) == 16);
    assert!(offset_of!(Call, pre) == 20);
    assert!(offset_of!(Call, zero_point) == 24);
};
