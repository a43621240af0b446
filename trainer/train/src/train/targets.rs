//! The targets of a part for each window: its teacher's answer, as fewer values in which a cosine hears
//! more.

use super::heard::{ClipId, Heard};
use super::windows::{Cut, WindowRule};
use crate::net::Levelling;
use anyhow::{Context, Result, ensure};
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

/// Windows that are worked on at once.
const ROWS: usize = 1024;

/// Values of a row whose products with all others are summed on one core.
const COLUMNS: usize = 64;

/// The target of every window of every clip, a direction of `dim` values.
#[derive(Debug)]
pub(super) struct Targets {
    dim: usize,
    /// Number of windows of the clips before each clip.
    first: Vec<usize>,
    /// Rows of unit length, window after window, clip after clip.
    rows: Vec<f32>,
}

/// Reduction of a teacher's answers to targets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reduction {
    /// Principal directions that are kept.
    pub(super) dim: usize,
    /// Exponent by which their deviations are levelled, 0 to 1.
    pub(super) whitening: f64,
}

impl Targets {
    /// Computes the targets of `clips`: what the teacher says of each window, levelled over all windows
    /// ([`Levelling`]) and scaled to unit length.
    ///
    /// `clips` are the samples of each clip by number and their ids, `heard` knows all of them. Returns
    /// also the share of the variance that the directions carry.
    ///
    /// # Errors
    /// If what was heard cannot be read back, or is the same of all windows.
    pub(super) fn new(
        heard: &mut Heard,
        clips: &[(usize, ClipId)],
        rule: WindowRule,
        reduction: Reduction,
    ) -> Result<(Self, f64)> {
        let Reduction { dim, whitening } = reduction;
        let (mean, covariance) = moments(heard, clips)?;
        let levelling = Levelling::new(mean, &covariance, dim, whitening)
            .context("it says the same of every window")?;
        let mut first = Vec::with_capacity(clips.len());
        let mut windows = 0;
        for &(length, _) in clips {
            first.push(windows);
            windows += rule.count(length);
        }
        let mut rows = Vec::with_capacity(windows * dim);
        each_chunk(heard, clips, |chunk| {
            let centred = levelling.centre(chunk);
            let blocks: Vec<_> = centred.axis_chunks_iter(Axis(0), COLUMNS).collect();
            let directed = blocks.into_par_iter().map(|block| {
                let mut block = levelling.project(block);
                for mut row in block.rows_mut() {
                    let length = row.dot(&row).sqrt();
                    if length > 0.0 {
                        row /= length;
                    }
                }
                block.iter().map(|&x| x as f32).collect::<Vec<f32>>()
            });
            rows.extend(directed.collect::<Vec<_>>().concat());
        })?;
        Ok((Self { dim, first, rows }, levelling.carried))
    }

    /// Number of values of a target.
    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// Number of windows.
    pub(super) fn windows(&self) -> usize {
        self.rows.len() / self.dim
    }

    /// Returns the number of a window among all of them.
    pub(super) fn number(&self, cut: Cut) -> usize {
        self.first[cut.clip] + cut.window
    }

    /// Returns the targets of all windows, one after the other.
    pub(super) fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// The target of a window.
    pub(super) fn of(&self, cut: Cut) -> &[f32] {
        &self.rows[self.number(cut) * self.dim..][..self.dim]
    }
}

/// Calls `work` with what was heard of the windows of `clips`, `[windows, values]`, [`ROWS`] or fewer at
/// a time and always the same ones together.
fn each_chunk(
    heard: &mut Heard,
    clips: &[(usize, ClipId)],
    mut work: impl FnMut(ArrayView2<'_, f64>),
) -> Result<()> {
    let values = heard.dim();
    let mut waiting = Vec::new();
    for (length, id) in clips {
        if *length > 0 {
            heard.read(id, &mut waiting)?;
        }
        let mut worked = 0;
        for chunk in waiting.chunks_exact(ROWS * values) {
            work(ArrayView2::from_shape((ROWS, values), chunk).expect("a whole chunk"));
            worked += chunk.len();
        }
        waiting.drain(..worked);
    }
    let rest = waiting.len() / values;
    if rest > 0 {
        work(ArrayView2::from_shape((rest, values), &waiting).expect("whole rows"));
    }
    Ok(())
}

/// Mean and covariance of what was heard of all windows, in one pass.
fn moments(heard: &mut Heard, clips: &[(usize, ClipId)]) -> Result<(Array1<f64>, Array2<f64>)> {
    let values = heard.dim();
    let mut count = 0.0;
    // About the first chunk's mean, so that little is lost where deviations are small beside it.
    let mut about: Option<Array1<f64>> = None;
    let mut sums = Array1::<f64>::zeros(values);
    let mut products = Array2::<f64>::zeros((values, values));
    each_chunk(heard, clips, |chunk| {
        let about = about.get_or_insert_with(|| chunk.mean_axis(Axis(0)).expect("has rows"));
        let centred = &chunk - &*about;
        count += centred.nrows() as f64;
        sums += &centred.sum_axis(Axis(0));
        let blocks: Vec<_> = products.axis_chunks_iter_mut(Axis(0), COLUMNS).collect();
        blocks
            .into_par_iter()
            .enumerate()
            .for_each(|(index, mut block)| {
                let from = index * COLUMNS;
                let columns = centred.slice(s![.., from..from + block.nrows()]);
                block += &columns.t().dot(&centred);
            });
    })?;
    ensure!(count > 0.0, "there are no windows");
    let offset = sums / count;
    let column = offset.view().insert_axis(Axis(1));
    let row = offset.view().insert_axis(Axis(0));
    let covariance = products / count - column.dot(&row);
    Ok((about.expect("there are windows") + &offset, covariance))
}

#[cfg(test)]
mod tests {
    use super::super::heard::{Origin, hash_of};
    use super::*;
    use half::f16;
    use mtslvr_audio::Samples;

    const RULE: WindowRule = WindowRule {
        samples: 10,
        hop: 5,
    };

    fn id(sample: f32) -> ClipId {
        ClipId::of(&Samples::from(vec![sample; 25]))
    }

    /// `clips` clips of 25 samples, so of 4 windows, of which a teacher says 5 values: around (3, 3, 3,
    /// 3, 3), with deviations 4, 1 and 0.25 along axes.
    fn heard(folder: &std::path::Path, clips: usize) -> (Heard, Vec<(usize, ClipId)>) {
        let origin = Origin {
            teacher: hash_of(b""),
            output: "embedding".into(),
            dim: 5,
            rule: RULE,
        };
        let mut heard = Heard::open(folder, &origin).unwrap();
        let clips: Vec<(usize, ClipId)> = (0..clips).map(|clip| (25, id(clip as f32))).collect();
        for (index, (_, id)) in clips.iter().enumerate() {
            let mut values = Vec::new();
            for window in 0..RULE.count(25) {
                let bits = index * 4 + window;
                let sign = |bit: usize| if bits >> bit & 1 == 1 { 1.0 } else { -1.0 };
                let moved = [4.0 * sign(0), sign(1), 0.25 * sign(2), 0.0, 0.0];
                values.extend(moved.map(|x: f32| f16::from_f32(3.0 + x)));
            }
            heard.append(*id, &values).unwrap();
        }
        (heard, clips)
    }

    #[test]
    fn directions_are_centred_levelled_and_of_unit_length() {
        let directory = tempfile::tempdir().unwrap();
        // More windows than go together.
        let (mut heard, clips) = heard(directory.path(), 600);
        for (whitening, shares) in [(0.0, [4.0, 1.0]), (0.5, [2.0, 1.0]), (1.0, [1.0, 1.0])] {
            let reduction = Reduction { dim: 2, whitening };
            let (targets, carried) = Targets::new(&mut heard, &clips, RULE, reduction).unwrap();
            assert_eq!((targets.windows(), targets.dim()), (2400, 2));
            assert!((carried - 17.0 / (17.0 + 1.0 / 16.0)).abs() < 1e-9);
            let [a, b] = shares;
            let length = f64::hypot(a, b);
            for (clip, window) in [(0, 0), (17, 3), (599, 1)] {
                let bits = clip * 4 + window;
                let sign = |bit: usize| if bits >> bit & 1 == 1 { 1.0 } else { -1.0 };
                let expected = [a * sign(0) / length, b * sign(1) / length];
                let found = targets.of(Cut { clip, window });
                for (found, expected) in found.iter().zip(expected) {
                    // The ridge takes a little off.
                    assert!(
                        (f64::from(*found) - expected).abs() < 5e-3,
                        "{whitening}: {found}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_tells_nothing_apart_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (mut heard, clips) = heard(directory.path(), 2);
        let constant = (20, id(0.5));
        heard.append(constant.1, &[f16::ONE; 3 * 5]).unwrap();
        let reduction = Reduction {
            dim: 2,
            whitening: 0.5,
        };
        let mut error = |clips: &[(usize, ClipId)]| {
            let targets = Targets::new(&mut heard, clips, RULE, reduction);
            targets.unwrap_err().to_string()
        };
        assert!(error(&[constant, constant]).contains("the same"));
        assert!(error(&[]).contains("no windows"));
        assert!(Targets::new(&mut heard, &clips, RULE, reduction).is_ok());
    }
}
