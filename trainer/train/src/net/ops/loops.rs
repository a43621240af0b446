//! Loops over values: compiled for the widest vectors, and shared out block by block.

use rayon::prelude::*;
use std::mem::MaybeUninit;

/// A loop over values, with its arguments. [`run`](Self::run) must be `#[inline(always)]`: only inlined
/// is it compiled for other vectors than the least that the architecture has.
pub(super) trait Loop {
    /// Runs the loop.
    fn run(self);
}

/// Runs a loop compiled for the widest vectors that this processor has. No loop here reorders a sum,
/// so that the results are the same bits on every processor.
pub(super) fn vectorised(body: impl Loop) {
    struct Dispatched<L>(L);
    impl<L: Loop> pulp::WithSimd for Dispatched<L> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _: S) {
            self.0.run();
        }
    }
    pulp::Arch::new().dispatch(Dispatched(body));
}

/// Makes `length` values block by block; returns them with the result of `write` for each block. Memory
/// of this size is not cleared first.
///
/// # Safety
/// `write` must initialise every value of the part that it gets.
#[allow(unsafe_code)]
pub(super) unsafe fn made_in_blocks<R: Send>(
    length: usize,
    block: usize,
    write: impl Fn(usize, &mut [MaybeUninit<f32>]) -> R + Sync + Send,
) -> (Vec<f32>, Vec<R>) {
    let mut values = Vec::with_capacity(length);
    let parts = values.spare_capacity_mut()[..length]
        .par_chunks_mut(block)
        .enumerate()
        .map(|(index, part)| write(index, part))
        .collect();
    // SAFETY: the capacity is at least `length`, and the caller's `write` has initialised all parts.
    unsafe { values.set_len(length) };
    (values, parts)
}
