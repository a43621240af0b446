//! The windows of clips that teachers hear, and that views are cut from where there are such teachers:
//! so a view's target is what the teacher said of exactly the sound that the view was made of.

use mtslvr_audio::Samples;

/// Windows as long as a patch, from every so many samples of a clip on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowRule {
    /// Samples of a window.
    pub(crate) samples: usize,
    /// Samples from the beginning of a window to that of the next.
    pub(crate) hop: usize,
}

/// Place that a window was cut from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Index of the clip.
    pub(super) clip: usize,
    /// Index of the window in it.
    pub(super) window: usize,
}

impl WindowRule {
    /// Number of windows of a clip of `length` samples: none of an empty one, one of one that is no
    /// longer than a window, else one for each hop that has begun before the last window that fits,
    /// and that one.
    pub(crate) fn count(self, length: usize) -> usize {
        match length.checked_sub(self.samples) {
            None | Some(0) => usize::from(length > 0),
            Some(last) => 1 + last.div_ceil(self.hop),
        }
    }

    /// First sample of window number `window` of a clip of `length` samples; the last one ends where
    /// the clip ends.
    pub(crate) fn start(self, length: usize, window: usize) -> usize {
        (window * self.hop).min(length.saturating_sub(self.samples))
    }

    /// Numbers of the first and the last window that begin at most `reach` samples from window number
    /// `window`.
    pub(super) fn near(self, length: usize, window: usize, reach: usize) -> (usize, usize) {
        let start = self.start(length, window);
        let from = start.saturating_sub(reach).div_ceil(self.hop);
        let to = start + reach;
        let last = self.count(length).saturating_sub(1);
        let to = match to >= self.start(length, last) {
            true => last,
            false => to / self.hop,
        };
        (from.min(window), to.max(window))
    }

    /// Appends window number `window` of `clip` to `out`; a clip shorter than a window is repeated.
    pub(super) fn append(self, clip: &Samples, window: usize, out: &mut Vec<f32>) {
        out.extend(clip.cut(self.start(clip.len(), window), self.samples));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: WindowRule = WindowRule {
        samples: 100,
        hop: 40,
    };

    #[test]
    fn windows_cover_a_clip_to_its_end() {
        for (length, starts) in [
            (0, &[][..]),
            (1, &[0]),
            (100, &[0]),
            (101, &[0, 1]),
            (140, &[0, 40]),
            (199, &[0, 40, 80, 99]),
        ] {
            let found: Vec<usize> = (0..RULE.count(length))
                .map(|window| RULE.start(length, window))
                .collect();
            assert_eq!(found, starts, "{length}");
        }
    }

    #[test]
    fn near_windows_begin_within_reach() {
        for length in [100, 101, 180, 199, 420] {
            let all = 0..RULE.count(length);
            for reach in [0, 39, 40, 50, 1000] {
                for window in all.clone() {
                    let near = |other: &usize| {
                        let [a, b] = [window, *other].map(|w| RULE.start(length, w));
                        a.abs_diff(b) <= reach
                    };
                    let expected: Vec<usize> = all.clone().filter(near).collect();
                    let (from, to) = RULE.near(length, window, reach);
                    let found: Vec<usize> = (from..=to).collect();
                    assert_eq!(found, expected, "{length}, {reach}, {window}");
                }
            }
        }
    }

    #[test]
    fn a_short_clip_is_repeated() {
        let ramp = |length: usize| -> Samples {
            let values = (0..length).map(|i| i as f32);
            Samples::from(values.collect::<Vec<f32>>())
        };
        let clip = ramp(30);
        let mut out = Vec::new();
        RULE.append(&clip, 0, &mut out);
        assert_eq!((out.len(), out[30], out[99]), (100, 0.0, 9.0));
        let clip = ramp(150);
        out.clear();
        RULE.append(&clip, 2, &mut out);
        assert_eq!((out.len(), out[0], out[99]), (100, 50.0, 149.0));
    }
}
