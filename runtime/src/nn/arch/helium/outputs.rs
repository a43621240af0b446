//! Sums of products for a tile of two output channels by four output positions, and the int8 values
//! that they become.
#![allow(unsafe_code)]

use super::rows::LANES;
use crate::nn::layout::GATHERED_PIXELS;
use crate::nn::rules::{ADD_FRACTION_BITS, AddRule, Requantisation};
use core::arch::asm;
use core::mem::offset_of;
use core::ptr::{null, null_mut};

/// Where the values of four positions lie that the weights of each pair of channels meet.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// The first value of each position.
    places: [*const i8; GATHERED_PIXELS],
    /// Whole vectors.
    steps: usize,
    /// Values before the last vector's end that whole vectors have counted; zero if no values are left behind
    /// them.
    back: usize,
}

impl Run {
    /// Makes a run over `len` values of each position, at least a vector; their places are not set.
    pub fn new(len: usize) -> Self {
        Self {
            places: [null(); GATHERED_PIXELS],
            steps: len / LANES,
            back: len.next_multiple_of(LANES) - len,
        }
    }
}

/// A residual addition: `(value * value_multiplier + before * before_multiplier + constant) >> 20`, a zero
/// point, and bounds.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Residual {
    value_multiplier: i32,
    before_multiplier: i32,
    constant: i32,
    zero_point: i32,
    lo: i32,
    hi: i32,
}

impl Residual {
    /// Takes the zero points of both addends into the constant. All of it wraps around as [`AddRule::apply`]
    /// does.
    pub fn of(rule: &AddRule) -> Self {
        let shift =
            |zero_point: i8, multiplier: i32| i32::from(zero_point).wrapping_mul(multiplier);
        Self {
            value_multiplier: rule.a_multiplier,
            before_multiplier: rule.b_multiplier,
            constant: AddRule::HALF
                .wrapping_sub(shift(rule.a_zero_point, rule.a_multiplier))
                .wrapping_sub(shift(rule.b_zero_point, rule.b_multiplier)),
            zero_point: rule.zero_point.into(),
            lo: rule.lo.into(),
            hi: rule.hi.into(),
        }
    }
}

/// The tables of some output channels.
pub(super) struct Tables<'a> {
    pub bias: &'a [i32],
    pub multipliers: &'a [i32],
    pub weights: &'a [i8],
    /// Empty for none.
    pub adapter: &'a [i8],
}

/// The arguments of [`outputs`]. outputs.S has the offsets.
#[repr(C)]
pub(super) struct Outputs<'a> {
    /// Values under the kernel.
    column: Run,
    /// Values under its centre, if there is an adapter.
    centre: Run,
    /// Bytes from `out` to the first channel of each position.
    offsets: [u32; GATHERED_PIXELS],
    /// Whether there is more to add than whole vectors of `column`.
    more: u32,
    bias: *const i32,
    multipliers: *const i32,
    weights: *const i8,
    adapter: *const i8,
    lo: i32,
    hi: i32,
    pre: u32,
    zero_point: i32,
    out: *mut i8,
    out_second: *mut i8,
    weights_end: *const i8,
    residual: Option<&'a Residual>,
    /// The number two, which a vector takes from a register.
    two: u32,
}

impl<'a> Outputs<'a> {
    /// Prepares the channels of `tables`, two by two.
    pub fn new(
        tables: &Tables<'_>,
        rule: &Requantisation,
        residual: Option<&'a Residual>,
        column: Run,
        centre: Run,
    ) -> Self {
        let weights = tables.weights.as_ptr_range();
        let has_adapter = !tables.adapter.is_empty();
        Self {
            column,
            centre,
            offsets: [0; GATHERED_PIXELS],
            more: u32::from(has_adapter || column.back != 0),
            bias: tables.bias.as_ptr(),
            multipliers: tables.multipliers.as_ptr(),
            weights: weights.start,
            adapter: if has_adapter {
                tables.adapter.as_ptr()
            } else {
                null()
            },
            lo: rule.lo.into(),
            hi: rule.hi.into(),
            pre: rule.pre.into(),
            zero_point: rule.zero_point.into(),
            out: null_mut(),
            out_second: null_mut(),
            weights_end: weights.end,
            residual,
            two: 2,
        }
    }

    /// Computes all channels at four positions, whose values begin at `columns` and, for an adapter, at
    /// `centres`. `offsets` are bytes from `out` to the first of these channels at each position.
    ///
    /// A value is `q = clamp(zero_point + (((bias + sum) << pre) * multiplier + 2^31 >> 32))`, and then what
    /// [`Residual`] says.
    ///
    /// # Safety
    /// There are as many values at each place as the runs were made for, and as many weights, biases and
    /// multipliers as whole pairs of channels need, at least one pair. All values lie within `out`.
    pub unsafe fn run(
        &mut self,
        columns: [*const i8; GATHERED_PIXELS],
        centres: [*const i8; GATHERED_PIXELS],
        out: *mut i8,
        offsets: [u32; GATHERED_PIXELS],
    ) {
        self.column.places = columns;
        self.centre.places = centres;
        self.out = out;
        self.out_second = out.wrapping_add(1);
        self.offsets = offsets;
        // SAFETY: this function has the same conditions.
        unsafe { outputs(self) }
    }
}

/// Computes all pairs of channels at four output positions.
///
/// # Safety
/// The pointers reach as far as the fields say.
#[inline(never)]
unsafe fn outputs(call: &Outputs<'_>) {
    // SAFETY: reads and writes what the caller promises. The registers that the compiler cannot lend, and
    // the vectors that a function must keep, are saved and restored on the stack.
    unsafe {
        asm!(
            include_str!("outputs.S"),
            inout("r0") call => _,
            out("r1") _,
            out("r2") _,
            out("r3") _,
            out("r12") _,
            clobber_abi("aapcs"),
            options(raw),
        );
    }
}

// The offsets that outputs.S has, and the bits by which it shifts a sum with a residual.
const _: () = {
    assert!(ADD_FRACTION_BITS == 20);
    assert!(offset_of!(Outputs<'_>, column) == 0);
    assert!(offset_of!(Outputs<'_>, centre) == 24);
    assert!(offset_of!(Outputs<'_>, offsets) == 48);
    assert!(offset_of!(Outputs<'_>, more) == 64);
    assert!(offset_of!(Outputs<'_>, bias) == 68);
    assert!(offset_of!(Outputs<'_>, multipliers) == 72);
    assert!(offset_of!(Outputs<'_>, weights) == 76);
    assert!(offset_of!(Outputs<'_>, adapter) == 80);
    assert!(offset_of!(Outputs<'_>, lo) == 84);
    assert!(offset_of!(Outputs<'_>, hi) == 88);
    assert!(offset_of!(Outputs<'_>, pre) == 92);
    assert!(offset_of!(Outputs<'_>, zero_point) == 96);
    assert!(offset_of!(Outputs<'_>, out) == 100);
    assert!(offset_of!(Outputs<'_>, out_second) == 104);
    assert!(offset_of!(Outputs<'_>, weights_end) == 108);
    assert!(offset_of!(Outputs<'_>, residual) == 112);
    assert!(offset_of!(Outputs<'_>, two) == 116);
    assert!(offset_of!(Run, places) == 0);
    assert!(offset_of!(Run, steps) == 16);
    assert!(offset_of!(Run, back) == 20);
    assert!(offset_of!(Residual, hi) == 20);
};
