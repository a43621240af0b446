//! Triangular filters, equally spaced on a mel scale, in their sparse form.

use super::config::FrontendConfig;
use super::form::{BandNorm, MelScale, Spectrum};

/// Edges of equally spaced bands, Hz, each from the one before it.
enum Edges {
    Htk(Htk),
    Slaney(Slaney),
}

impl Edges {
    /// Divides `f_min` to `f_max` into `count` steps.
    fn new(scale: MelScale, f_min: f32, f_max: f32, count: u32) -> Self {
        match scale {
            MelScale::Htk => Self::Htk(Htk::new(f_min, f_max, count)),
            MelScale::Slaney => Self::Slaney(Slaney::new(f_min, f_max, count)),
        }
    }

    fn next(&mut self) -> f64 {
        match self {
            Self::Htk(edges) => edges.next(),
            Self::Slaney(edges) => edges.next(),
        }
    }
}

/// The HTK mel scale is `2595 log10(1 + f / 700)` (O'Shaughnessy 1987): where it is cut in equal
/// steps, `1 + f / 700` grows by one factor from edge to edge.
struct Htk {
    /// `1 + f / 700` of the last edge that was given.
    position: f64,
    factor: f64,
}

impl Htk {
    const CORNER: f64 = 700.0;

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

/// Slaney's mel scale: `3 f / 200` up to 1 kHz, `15 + 27 ln(f / 1000) / ln 6.4` above.
struct Slaney {
    /// Mel of the last edge that was given.
    mel: f64,
    step: f64,
}

impl Slaney {
    const HERTZ_PER_MEL: f64 = 200.0 / 3.0;
    /// 1 kHz.
    const CORNER: f64 = 15.0;
    /// `ln 6.4 / 27`.
    const LN_PER_MEL: f64 = 0.068_751_777_420_949_12;

    fn new(f_min: f32, f_max: f32, count: u32) -> Self {
        let [low, high] = [f_min, f_max].map(|hertz| Self::mel_of(f64::from(hertz)));
        Self {
            mel: low,
            step: (high - low) / f64::from(count),
        }
    }

    fn mel_of(hertz: f64) -> f64 {
        match hertz < 1000.0 {
            true => hertz / Self::HERTZ_PER_MEL,
            false => Self::CORNER + ln(hertz / 1000.0) / Self::LN_PER_MEL,
        }
    }

    fn next(&mut self) -> f64 {
        self.mel += self.step;
        match self.mel < Self::CORNER {
            true => self.mel * Self::HERTZ_PER_MEL,
            false => 1000.0 * exp((self.mel - Self::CORNER) * Self::LN_PER_MEL),
        }
    }
}

/// Computes the natural logarithm of `x`, which is at least 1 and far from infinite: square roots by
/// [`root`] until the series of the inverse hyperbolic tangent is short. Small code again.
fn ln(x: f64) -> f64 {
    let (mut x, mut factor) = (x, 2.0);
    while x > 1.1 {
        x = root(x, 2);
        factor *= 2.0;
    }
    let z = (x - 1.0) / (x + 1.0);
    let (mut sum, mut power, mut degree) = (0.0, z, 1.0);
    // Until a term changes nothing: a count would be unrolled, and the code be long.
    while power > 1e-18 {
        sum += power / degree;
        power *= z * z;
        degree += 2.0;
    }
    factor * sum
}

/// Computes the exponential of `x`, which is at least 0, by Taylor's series of a small part of it.
fn exp(x: f64) -> f64 {
    let (mut x, mut squarings) = (x, 0);
    while x > 0.1 {
        x *= 0.5;
        squarings += 1;
    }
    let (mut sum, mut term, mut count) = (0.0, 1.0, 1.0);
    while term > 1e-18 {
        sum += term;
        term *= x / count;
        count += 1.0;
    }
    for _ in 0..squarings {
        sum *= sum;
    }
    sum
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
    spectrum: Spectrum,
    /// Area of a filter over twice the reciprocal widths of its sides; `None` where peaks are 1.
    area: Option<f32>,
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

        let transform = config.transform_len();
        let bins = transform / 2;
        let spacing = f64::from(config.sample_rate) / transform as f64;
        let steps = u32::from(config.mels) + 1;
        let mut edges = Edges::new(config.form.mel_scale, config.f_min, config.f_max, steps);
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
        Self {
            first_bins,
            slopes,
            spectrum: config.form.spectrum,
            area: match config.form.band_norm {
                BandNorm::Peak => None,
                BandNorm::Area => Some((2.0 / spacing) as f32),
            },
        }
    }

    /// Writes the sum of every band of `spectrum`, one complex number a bin, to `power`, `mels`
    /// values. Sums run in the order of the bins.
    pub(super) fn apply(&self, spectrum: &[[f32; 2]], power: &mut [f32]) {
        match self.spectrum {
            Spectrum::Power => self.add_up(spectrum, power, |[re, im]| re * re + im * im),
            Spectrum::Magnitude => {
                self.add_up(spectrum, power, |[re, im]| libm::sqrtf(re * re + im * im));
            }
        }
        if let Some(area) = self.area {
            // A side is as wide as the reciprocal of its step, in bins; the area is half of both together.
            let sides = self.slopes.iter().zip(self.slopes.iter().skip(1));
            for (power, (&[_, rising], &[_, falling])) in power.iter_mut().zip(sides) {
                *power *= area / (1.0 / rising + 1.0 / falling);
            }
        }
    }

    #[inline(always)]
    fn add_up(&self, spectrum: &[[f32; 2]], power: &mut [f32], value: impl Fn([f32; 2]) -> f32) {
        let mut edges = self.first_bins.iter().map(|&bin| usize::from(bin));
        let mut first = edges.next().unwrap_or(0);
        let mut rising = 0.0;
        // An interval ends the falling side of the band before the one that it begins.
        let mut ended = None;
        for (&[r0, step], last) in self.slopes.iter().zip(edges) {
            let (mut up, mut down, mut bins) = (0.0_f32, 0.0_f32, 0.0_f32);
            let Some(interval) = spectrum.get(first..last) else {
                return;
            };
            for &bin in interval {
                let energy = value(bin);
                let r = r0 + step * bins;
                up += r * energy;
                down += (1.0 - r) * energy;
                bins += 1.0;
            }
            if let Some(band) = ended {
                let Some(power) = power.get_mut(band) else {
                    return;
                };
                *power = rising + down;
            }
            ended = Some(ended.map_or(0, |band| band + 1));
            rising = up;
            first = last;
        }
    }
}

/// The filters of a configuration as tables, for programs that compute the same features elsewhere.
///
/// Between edges `j` and `j + 1` of bands, `0 <= j <= mels`, lie the bins from `first_bins[j]` up to
/// `first_bins[j + 1]`. The `i`-th of them counts `r = slopes[j][0] + i * slopes[j][1]` in band `j` and `1 - r` in
/// band `j - 1`.
#[cfg(feature = "std")]
#[derive(Clone, Debug, PartialEq)]
pub struct BandTables {
    /// First bin at or above each edge, `mels + 2` of them.
    pub first_bins: std::vec::Vec<u16>,
    /// Share of the first bin of each interval, and its growth from bin to bin; `mels + 1` of them.
    pub slopes: std::vec::Vec<[f32; 2]>,
}

#[cfg(feature = "std")]
impl FrontendConfig {
    /// Returns the filters of a configuration that [`FrontendConfig::validate`] accepts.
    pub fn band_tables(&self) -> BandTables {
        let mels = usize::from(self.mels);
        let mut buffer = std::vec![0.0; Filters::buffer_len(mels)];
        let filters = Filters::new(self, &mut buffer);
        BandTables {
            first_bins: filters.first_bins[..mels + 2].to_vec(),
            slopes: filters.slopes[..=mels].to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::FrontendForm;

    fn mel_of_hertz(scale: MelScale, hertz: f64) -> f64 {
        match scale {
            MelScale::Htk => 2595.0 * (1.0 + hertz / 700.0).log10(),
            MelScale::Slaney if hertz < 1000.0 => 3.0 * hertz / 200.0,
            MelScale::Slaney => 15.0 + 27.0 * (hertz / 1000.0).ln() / 6.4_f64.ln(),
        }
    }

    fn hertz_of_mel(scale: MelScale, mel: f64) -> f64 {
        match scale {
            MelScale::Htk => 700.0 * (10.0_f64.powf(mel / 2595.0) - 1.0),
            MelScale::Slaney if mel < 15.0 => 200.0 * mel / 3.0,
            MelScale::Slaney => 1000.0 * 6.4_f64.powf((mel - 15.0) / 27.0),
        }
    }

    #[test]
    fn edges_are_equally_spaced_in_mel() {
        let ranges = [
            (60.0, 7_800.0, 65),
            (0.0, 192_000.0, 257),
            (0.0, 192_000.0, 2),
            (300.0, 310.0, 2),
            (1_000.0, 1_000.01, 129),
        ];
        for (&scale, (f_min, f_max, count)) in MelScale::ALL
            .iter()
            .flat_map(|scale| ranges.map(|range| (scale, range)))
        {
            let [low, high] = [f_min, f_max].map(|hertz: f32| mel_of_hertz(scale, hertz.into()));
            let mut edges = Edges::new(scale, f_min, f_max, count);
            for j in 1..=count {
                let mel = low + (high - low) * f64::from(j) / f64::from(count);
                let (found, expected) = (edges.next(), hertz_of_mel(scale, mel));
                let error = (found - expected).abs() / (expected + 700.0);
                assert!(
                    error < 1e-13,
                    "{scale:?}, {f_min} to {f_max}, edge {j} of {count}: {found}, {expected}"
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
            form: FrontendForm::PLAIN,
        }
    }

    /// `config` with a transform twice as long as the window, Slaney's scale and areas of 1.
    fn foreign(config: FrontendConfig) -> FrontendConfig {
        FrontendConfig {
            form: FrontendForm {
                transform: Some(2 * config.window),
                mel_scale: MelScale::Slaney,
                band_norm: BandNorm::Area,
                ..config.form
            },
            ..config
        }
    }

    /// The definition, band by band: max(0, min(up slope, down slope)) at every bin.
    fn dense(config: &FrontendConfig) -> Vec<Vec<f64>> {
        let scale = config.form.mel_scale;
        let [low, high] =
            [config.f_min, config.f_max].map(|hertz| mel_of_hertz(scale, hertz.into()));
        let count = usize::from(config.mels) + 2;
        let edges: Vec<f64> = (0..count)
            .map(|j| hertz_of_mel(scale, low + (high - low) * j as f64 / (count - 1) as f64))
            .collect();
        let transform = config.transform_len();
        let spacing = f64::from(config.sample_rate) / transform as f64;
        edges
            .windows(3)
            .map(|e| {
                let peak = match config.form.band_norm {
                    BandNorm::Peak => 1.0,
                    BandNorm::Area => 2.0 / (e[2] - e[0]),
                };
                (0..=transform / 2)
                    .map(|k| k as f64 * spacing)
                    .map(|f| ((f - e[0]) / (e[1] - e[0])).min((e[2] - f) / (e[2] - e[1])))
                    .map(|weight| peak * weight.max(0.0))
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
            foreign(config(256, 64, 60.0, 7800.0)),
            foreign(config(512, 128, 0.0, 8000.0)),
        ] {
            let bins = config.transform_len() / 2;
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
