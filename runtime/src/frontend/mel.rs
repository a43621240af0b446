//! Triangular filters, equally spaced on the HTK mel scale, in their sparse form.

use super::FrontendConfig;

/// Mel from Hz: `2595 log10(1 + f / 700)` (O'Shaughnessy 1987, as HTK has it).
fn mel_of_hertz(hertz: f64) -> f64 {
    2595.0 * libm::log10(1.0 + hertz / 700.0)
}

fn hertz_of_mel(mel: f64) -> f64 {
    700.0 * (libm::exp(mel / 2595.0 * core::f64::consts::LN_10) - 1.0)
}

/// Computes the filters of `config`.
///
/// Band `m` rises from edge `m` to its peak of 1 at edge `m + 1` and falls to zero at edge `m + 2`.
/// So a bin between edges `j` and `j + 1` feeds two bands, `j` by its position `r` in the interval
/// and `j - 1` by `1 - r`: one number a bin holds the whole bank. Where an interval has no bin, or
/// a narrow band none at all, nothing is added and that band is the floor.
///
/// `first_bins`, `mels + 2` long, gets the first bin at or above each edge; `rises`, `window / 2`
/// long, gets each bin's `r`. Bin 0 and the Nyquist bin lie on or outside the outer edges, where
/// every filter is zero, so they never count.
pub(super) fn filters(config: &FrontendConfig, first_bins: &mut [u32], rises: &mut [f32]) {
    let bins = usize::from(config.window) / 2;
    let spacing = f64::from(config.sample_rate) / f64::from(config.window);
    let (low, high) = (
        mel_of_hertz(f64::from(config.f_min)),
        mel_of_hertz(f64::from(config.f_max)),
    );
    let step = (high - low) / f64::from(config.mels + 1);
    let edge = |j: usize| match j {
        0 => f64::from(config.f_min),
        j if j == usize::from(config.mels) + 1 => f64::from(config.f_max),
        j => hertz_of_mel(low + step * j as f64),
    };

    rises.fill(0.0);
    let mut bin = 1;
    let mut lower = edge(0);
    while bin < bins && bin as f64 * spacing < lower {
        bin += 1;
    }
    first_bins[0] = bin as u32;
    for (j, first) in first_bins.iter_mut().enumerate().skip(1) {
        let upper = edge(j);
        while bin < bins && (bin as f64 * spacing) < upper {
            rises[bin] = ((bin as f64 * spacing - lower) / (upper - lower)) as f32;
            bin += 1;
        }
        *first = bin as u32;
        lower = upper;
    }
}

/// Writes the mel power of every band of `spectrum` (as [`super::fft::transform`] leaves it) to
/// `power`, `mels` values. Sums run in the order of the bins.
pub(super) fn apply(spectrum: &[f32], first_bins: &[u32], rises: &[f32], power: &mut [f32]) {
    let interval = |j: usize| {
        let bins = first_bins[j] as usize..first_bins[j + 1] as usize;
        let values = spectrum[2 * bins.start..2 * bins.end].chunks_exact(2);
        values
            .zip(&rises[bins])
            .fold((0.0_f32, 0.0_f32), |(up, down), (value, rise)| {
                let energy = value[0] * value[0] + value[1] * value[1];
                (up + rise * energy, down + (1.0 - rise) * energy)
            })
    };
    let (mut rising, _) = interval(0);
    for (m, band) in power.iter_mut().enumerate() {
        let (next, falling) = interval(m + 1);
        *band = rising + falling;
        rising = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let (mut first, mut rises) = (vec![0; mels + 2], vec![0.0; bins]);
            filters(&config, &mut first, &mut rises);
            let bank = dense(&config);
            for bin in 0..bins {
                // One bin of unit energy shows that bin's weight in every band. Bin 0 also holds
                // the Nyquist bin, which no filter may see.
                let mut spectrum = vec![0.0; 2 * bins];
                spectrum[2 * bin + 1] = 1.0;
                let mut power = vec![0.0; mels];
                apply(&spectrum, &first, &rises, &mut power);
                for (m, band) in power.iter().enumerate() {
                    let difference = f64::from(*band) - bank[m][bin];
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
