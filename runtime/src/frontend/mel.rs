//! Triangular filters, equally spaced on the HTK mel scale, in their sparse form.

use super::config::FrontendConfig;

/// Edges of equally spaced bands, Hz, each from the one before it.
///
/// The HTK mel scale is `2595 log10(1 + f / 700)` (O'Shaughnessy 1987): where it is cut in equal
/// steps, `1 + f / 700` grows by one factor from edge to edge.
struct Edges {
    /// `1 + f / 700` of the last edge that was given.
    position: f64,
    factor: f64,
}

impl Edges {
    const CORNER: f64 = 700.0;

    /// Divides `f_min` to `f_max` into `count` steps.
    fn new(f_min: f32, f_max: f32, count: u32) -> Self {
        let position = 1.0 + f64::from(f_min) / Self::CORNER;
        let whole = (1.0 + f64::from(f_max) / Self::CORNER) / position;
        Self {
            position,
            factor: root(whole, count),
        }
    }

    fn next(&mut self) -> f64 {
        self.position *= self.factor;
        Self::CORNER * (self.position - 1.0)
    }
}

/// Computes the root of degree `n` of `x`, which is at least 1, by Newton's iteration. The iteration
/// begins above the root (Bernoulli's inequality) and falls until double precision ends it. The code is
/// smaller than a logarithm and a power from libm, and as exact.
fn root(x: f64, n: u32) -> f64 {
    let degree = f64::from(n);
    let mut root = 1.0 + (x - 1.0) / degree;
    loop {
        let mut below = 1.0;
        for _ in 1..n {
            below *= root;
        }
        let next = root - (below * root - x) / (degree * below);
        if next >= root {
            return root;
        }
        root = next;
    }
}

/// The filters of a configuration, sparse.
///
/// Band `m` rises from edge `m` to its peak of 1 at edge `m + 1` and falls to zero at edge `m + 2`.
/// So a bin between edges `j` and `j + 1` feeds two bands, `j` by its position `r` in the interval
/// and `j - 1` by `1 - r`; within an interval `r` grows by the same step from bin to bin. Where an
/// interval has no bin, or a narrow band none at all, nothing is added and that band is the floor.
///
/// Bin 0 and the Nyquist bin lie on or outside the outer edges, where every filter is zero, so they
/// never count.
#[derive(Debug)]
pub(super) struct Filters<'b> {
    /// First bin at or above each edge, `mels + 2` of them (and one more where that is odd).
    first_bins: &'b [u16],
    /// `r` of each interval's first bin, and its growth from bin to bin.
    slopes: &'b [[f32; 2]],
}

impl<'b> Filters<'b> {
    /// Returns the length in `f32` of the buffer that filters for `mels` bands take.
    pub(super) const fn buffer_len(mels: usize) -> usize {
        (mels + 2).div_ceil(2) + 2 * (mels + 1)
    }

    /// Computes the filters of `config` in `buffer`, [`Self::buffer_len`] long.
    pub(super) fn new(config: &FrontendConfig, buffer: &'b mut [f32]) -> Self {
        let mels = usize::from(config.mels);
        let (first_bins, slopes) = buffer.split_at_mut((mels + 2).div_ceil(2));
        let first_bins: &mut [u16] = bytemuck::cast_slice_mut(first_bins);
        let (slopes, _) = slopes.as_chunks_mut::<2>();

        let bins = usize::from(config.window) / 2;
        let spacing = f64::from(config.sample_rate) / f64::from(config.window);
        let mut edges = Edges::new(config.f_min, config.f_max, u32::from(config.mels) + 1);
        let mut bin = 1;
        let mut first_at_or_above = |edge: f64| {
            while bin < bins && (bin as f64 * spacing) < edge {
                bin += 1;
            }
            bin
        };
        let mut lower = f64::from(config.f_min);
        let mut first = first_at_or_above(lower);
        first_bins[0] = first as u16;
        for (j, slope) in slopes.iter_mut().enumerate() {
            // The last edge is exact, however the steps to it were rounded.
            let upper = match j == mels {
                true => f64::from(config.f_max),
                false => edges.next(),
            };
            let width = upper - lower;
            *slope = [
                ((first as f64 * spacing - lower) / width) as f32,
                (spacing / width) as f32,
            ];
            first = first_at_or_above(upper);
            first_bins[j + 1] = first as u16;
            lower = upper;
        }
        Self { first_bins, slopes }
    }

    /// Writes the mel power of every band of `spectrum`, one complex number a bin, to `power`, `mels`
    /// values. Sums run in the order of the bins.
    pub(super) fn apply(&self, spectrum: &[[f32; 2]], power: &mut [f32]) {
        let mut edges = self.first_bins.iter().map(|&bin| usize::from(bin));
        let mut first = edges.next().unwrap_or(0);
        let mut rising = 0.0;
        // An interval ends the falling side of the band before the one that it begins.
        let mut ended = None;
        for (&[r0, step], last) in self.slopes.iter().zip(edges) {
            let (mut up, mut down, mut bins) = (0.0_f32, 0.0_f32, 0.0_f32);
            for [re, im] in &spectrum[first..last] {
                let energy = re * re + im * im;
                let r = r0 + step * bins;
                up += r * energy;
                down += (1.0 - r) * energy;
                bins += 1.0;
            }
            if let Some(band) = ended {
                power[band] = rising + down;
            }
            ended = Some(ended.map_or(0, |band| band + 1));
            rising = up;
            first = last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mel_of_hertz(hertz: f64) -> f64 {
        2595.0 * (1.0 + hertz / 700.0).log10()
    }

    fn hertz_of_mel(mel: f64) -> f64 {
        700.0 * (10.0_f64.powf(mel / 2595.0) - 1.0)
    }

    #[test]
    fn edges_are_equally_spaced_in_mel() {
        for (f_min, f_max, count) in [
            (60.0, 7_800.0, 65),
            (0.0, 192_000.0, 257),
            (0.0, 192_000.0, 2),
            (300.0, 310.0, 2),
            (1_000.0, 1_000.01, 129),
        ] {
            let (low, high) = (mel_of_hertz(f_min.into()), mel_of_hertz(f_max.into()));
            let mut edges = Edges::new(f_min, f_max, count);
            for j in 1..=count {
                let mel = low + (high - low) * f64::from(j) / f64::from(count);
                let (found, expected) = (edges.next(), hertz_of_mel(mel));
                let error = (found - expected).abs() / (expected + 700.0);
                assert!(
                    error < 1e-13,
                    "{f_min} to {f_max}, edge {j} of {count}: {found}"
                );
            }
        }
    }

    fn config(window: u16, mels: u16, f_min: f32, f_max: f32) -> FrontendConfig {
        FrontendConfig {
            sample_rate: 16_000,
            window,
            hop: window / 2,
            mels,
            frames: 10,
            f_min,
            f_max,
            floor: 1e-6,
            mean: 0.0,
            scale: 1.0,
        }
    }

    /// The definition, band by band: max(0, min(up slope, down slope)) at every bin.
    fn dense(config: &FrontendConfig) -> Vec<Vec<f64>> {
        let (low, high) = (
            mel_of_hertz(config.f_min.into()),
            mel_of_hertz(config.f_max.into()),
        );
        let count = usize::from(config.mels) + 2;
        let edges: Vec<f64> = (0..count)
            .map(|j| hertz_of_mel(low + (high - low) * j as f64 / (count - 1) as f64))
            .collect();
        let spacing = f64::from(config.sample_rate) / f64::from(config.window);
        edges
            .windows(3)
            .map(|e| {
                (0..=config.window / 2)
                    .map(|k| f64::from(k) * spacing)
                    .map(|f| ((f - e[0]) / (e[1] - e[0])).min((e[2] - f) / (e[2] - e[1])))
                    .map(|weight| weight.max(0.0))
                    .collect()
            })
            .collect()
    }

    #[test]
    fn the_sparse_bank_is_the_dense_one() {
        for config in [
            config(512, 64, 60.0, 7800.0),
            config(1024, 128, 0.0, 8000.0),
            config(256, 40, 0.0, 8000.0),
            config(64, 256, 20.0, 4000.0),
            config(512, 1, 300.0, 310.0),
        ] {
            let bins = usize::from(config.window) / 2;
            let mels = usize::from(config.mels);
            let mut buffer = vec![f32::NAN; Filters::buffer_len(mels)];
            let filters = Filters::new(&config, &mut buffer);
            let bank = dense(&config);
            for bin in 0..bins {
                // One bin of unit energy shows that bin's weight in every band.
                let mut spectrum = vec![[0.0; 2]; bins];
                spectrum[bin][1] = 1.0;
                let mut power = vec![f32::NAN; mels];
                filters.apply(&spectrum, &mut power);
                for (m, (band, weights)) in power.iter().zip(&bank).enumerate() {
                    let difference = f64::from(*band) - weights[bin];
                    assert!(difference.abs() < 1e-6, "{config:?} bin {bin} band {m}");
                }
            }
            assert!(
                bank.iter().all(|band| band[bins] < 1e-9),
                "Nyquist weighs nothing"
            );
        }
    }
}
