//! The last frames of a stream, and the rule for sounds that are shorter than a patch.

use crate::parts::{copy, part};
use core::ops::Range;

/// Keeps the last frames of a stream, as many as fit into a patch, in a buffer that the caller owns.
/// Numbers of frames count from the stream's beginning.
#[derive(Debug)]
pub(crate) struct FrameRing<'b> {
    /// Frame `i` is row `i % capacity`.
    rows: &'b mut [f32],
    mels: usize,
    /// Frames so far.
    pushed: u64,
    /// Where in `rows` the next frame goes.
    next: usize,
}

impl<'b> FrameRing<'b> {
    /// Makes an empty ring of frames of `mels` values, as many as fit into `rows`.
    pub fn new(rows: &'b mut [f32], mels: usize) -> Self {
        let whole = rows.len() - rows.len() % mels.max(1);
        Self {
            rows: &mut rows[..whole],
            mels,
            pushed: 0,
            next: 0,
        }
    }

    /// Forgets all frames.
    pub fn clear(&mut self) {
        self.pushed = 0;
        self.next = 0;
    }

    /// Adds a frame in the place of the oldest.
    pub fn push(&mut self, frame: &[f32]) {
        if let Some(row) = self.rows.get_mut(self.next..self.next + self.mels) {
            // Frames of another length are not taken.
            let _ = copy(frame, row);
        }
        self.pushed += 1;
        self.next += self.mels;
        if self.next >= self.rows.len() {
            self.next = 0;
        }
    }

    /// Returns the number of frames so far.
    pub fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Returns the number of frames that there is room for.
    pub fn capacity(&self) -> usize {
        self.rows.len() / self.mels.max(1)
    }

    /// Returns the last frames as a patch if the newest is the last of a patch, counted from the
    /// stream's beginning without overlap.
    pub fn whole_patch(&self) -> Option<&[f32]> {
        (self.next == 0 && self.pushed > 0).then_some(&*self.rows)
    }

    /// Returns the number of frames since the last whole patch.
    pub fn left_over(&self) -> usize {
        self.next / self.mels.max(1)
    }

    /// Returns the last frames as a patch, in the order in which they came, repeated until the patch is
    /// full if they are fewer. The ring is then as good as empty: [`Self::clear`] comes next.
    pub fn arranged_last_patch(&mut self) -> &[f32] {
        if self.pushed < self.capacity() as u64 {
            repeat_until_full(self.rows, self.next);
        } else {
            self.rows.rotate_left(self.next.min(self.rows.len()));
        }
        self.rows
    }

    /// Copies the frames with these numbers, or the last of them that fit into the ring, to the
    /// beginning of `out` in the order in which they came, and returns the copy.
    pub fn copy<'o>(&self, frames: Range<u64>, out: &'o mut [f32]) -> &'o mut [f32] {
        let capacity = self.capacity().max(1) as u64;
        let end = frames.end;
        let first = frames.start.max(end.saturating_sub(capacity));
        for (to, number) in out.chunks_exact_mut(self.mels.max(1)).zip(first..end) {
            let row = (number % capacity) as usize * self.mels;
            let _ = part(self.rows, row, self.mels).and_then(|row| copy(row, to));
        }
        let len = end.saturating_sub(first) as usize * self.mels;
        let len = len.min(out.len());
        out.get_mut(..len).unwrap_or_default()
    }
}

/// Repeats the first `filled` values of `patch` until it is full.
pub(crate) fn repeat_until_full(patch: &mut [f32], filled: usize) {
    let mut at = filled;
    while 0 < at && at < patch.len() {
        let (known, rest) = patch.split_at_mut(at);
        for (to, from) in rest.iter_mut().zip(known.iter().take(filled)) {
            *to = *from;
        }
        at += filled;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u64) -> [f32; 2] {
        [number as f32, -(number as f32)]
    }

    fn ring(rows: &mut [f32; 7], frames: u64) -> FrameRing<'_> {
        // A value too many for three frames.
        let mut ring = FrameRing::new(rows, 2);
        assert_eq!(ring.capacity(), 3);
        (0..frames).for_each(|number| ring.push(&frame(number)));
        ring
    }

    #[test]
    fn patches_follow_each_other_and_the_last_is_in_order() {
        let mut rows = [f32::NAN; 7];
        assert_eq!(ring(&mut rows, 0).whole_patch(), None);
        assert_eq!(ring(&mut rows, 2).whole_patch(), None);
        let three = [frame(0), frame(1), frame(2)].concat();
        assert_eq!(ring(&mut rows, 3).whole_patch(), Some(&three[..]));
        let mut ring = ring(&mut rows, 5);
        assert_eq!((ring.left_over(), ring.pushed()), (2, 5));
        let last = [frame(2), frame(3), frame(4)].concat();
        assert_eq!(ring.arranged_last_patch(), last);
        ring.clear();
        ring.push(&frame(9));
        let repeated = [frame(9), frame(9), frame(9)].concat();
        assert_eq!(ring.arranged_last_patch(), repeated);
    }

    #[test]
    fn frames_are_copied_as_far_as_they_are_there() {
        let mut rows = [f32::NAN; 7];
        let ring = ring(&mut rows, 8);
        let mut out = [f32::NAN; 6];
        assert_eq!(ring.copy(6..8, &mut out), [frame(6), frame(7)].concat());
        assert_eq!(ring.copy(0..7, &mut out).len(), 6);
        assert!(ring.copy(8..8, &mut out).is_empty());
        assert_eq!(ring.copy(5..8, &mut out[..3]).len(), 3);
    }

    #[test]
    fn a_short_sound_is_repeated() {
        let repeated = |filled: usize| {
            let mut patch = [1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0];
            repeat_until_full(&mut patch, filled);
            patch
        };
        assert_eq!(repeated(2), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0]);
        assert_eq!(repeated(3), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0]);
        for unchanged in [0, 7, 9] {
            assert_eq!(repeated(unchanged), [1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0]);
        }
    }
}
