//! The Hann window and the real Fourier transform of a frame.

/// Fills `half` with `w[0..=n/2]` of the periodic Hann window of `n` samples,
/// `w[i] = 0.5 - 0.5 cos(2 pi i / n)`. The other half mirrors it: `w[n - i] = w[i]`.
pub(super) fn hann(half: &mut [f32]) {
    let n = 2 * (half.len() - 1);
    for (i, w) in half.iter_mut().enumerate() {
        let angle = 2.0 * core::f64::consts::PI * i as f64 / n as f64;
        *w = (0.5 - 0.5 * libm::cos(angle)) as f32;
    }
}

/// Writes `samples`, weighted by the window whose first half is `half`, to `out`.
pub(super) fn weigh(samples: &[f32], half: &[f32], out: &mut [f32]) {
    let middle = samples.len() / 2;
    let (first, second) = samples.split_at(middle);
    let (out_first, out_second) = out.split_at_mut(middle);
    for ((o, s), w) in out_first.iter_mut().zip(first).zip(half) {
        *o = s * w;
    }
    let mirrored = half[1..].iter().rev();
    for ((o, s), w) in out_second.iter_mut().zip(second).zip(mirrored) {
        *o = s * w;
    }
}

/// Replaces a real `signal` by its spectrum: bin `k`, `0 < k < n/2`, is the complex number
/// (`signal[2k]`, `signal[2k + 1]`). Bin 0 holds the (real) values at zero and at the Nyquist
/// frequency.
///
/// # Panics
/// If the length is not a power of two from 64 to 4096; [`super::FrontendConfig::validate`] sees
/// to that.
pub(super) fn transform(signal: &mut [f32]) {
    use microfft::real;
    const LENGTH: &str = "the transform's length was checked with the configuration";
    // The transforms work in place: the returned slice is the same memory seen as complex numbers.
    match signal.len() {
        64 => drop_view(real::rfft_64(signal.try_into().expect(LENGTH))),
        128 => drop_view(real::rfft_128(signal.try_into().expect(LENGTH))),
        256 => drop_view(real::rfft_256(signal.try_into().expect(LENGTH))),
        512 => drop_view(real::rfft_512(signal.try_into().expect(LENGTH))),
        1024 => drop_view(real::rfft_1024(signal.try_into().expect(LENGTH))),
        2048 => drop_view(real::rfft_2048(signal.try_into().expect(LENGTH))),
        4096 => drop_view(real::rfft_4096(signal.try_into().expect(LENGTH))),
        _ => unreachable!("{LENGTH}"),
    }
}

fn drop_view<const N: usize>(_: &mut [microfft::Complex32; N]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_periodic_hann() {
        let mut half = [0.0; 33];
        hann(&mut half);
        let mut out = [0.0; 64];
        weigh(&[1.0; 64], &half, &mut out);
        for (i, w) in out.iter().enumerate() {
            let sine = (std::f64::consts::PI * i as f64 / 64.0).sin();
            assert!((f64::from(*w) - sine * sine).abs() < 1e-7, "sample {i}");
        }
    }

    #[test]
    fn every_length_transforms_in_place() {
        for n in [64_usize, 128, 256, 512, 1024, 2048, 4096] {
            let k = n / 2 - 3;
            let angle = |i: usize| 2.0 * std::f64::consts::PI * ((k * i) % n) as f64 / n as f64;
            let mut signal: Vec<f32> = (0..n).map(|i| angle(i).sin() as f32).collect();
            transform(&mut signal);
            for (bin, value) in signal.chunks(2).enumerate() {
                let expected = if bin == k { -(n as f32) / 2.0 } else { 0.0 };
                assert!(value[0].abs() < 2e-3, "{n}: bin {bin} has {value:?}");
                assert!(
                    (value[1] - expected).abs() < 2e-3,
                    "{n}: bin {bin} has {value:?}"
                );
            }
        }
    }
}
