//! The Hann window and the real Fourier transform of a frame, in place.

use core::f64::consts::PI;

/// Longest window, samples.
pub(super) const LONGEST: usize = if cfg!(feature = "long-windows") {
    4096
} else {
    512
};
/// Steps in a quarter of a turn.
const QUARTER: usize = LONGEST / 4;

/// `sin(2 pi i / LONGEST)` over a quarter of a turn, both ends included: every window is read off it.
static SINE: [f32; QUARTER + 1] = {
    let mut table = [0.0; QUARTER + 1];
    let mut i = 0;
    while i <= QUARTER {
        table[i] = sine(i);
        i += 1;
    }
    table
};

/// Computes a value of [`SINE`], by Taylor's series about the nearer end of the quarter: below an eighth of a
/// turn twelve terms are exact to double precision.
const fn sine(i: usize) -> f32 {
    let from_end = 2 * i > QUARTER;
    let steps = if from_end { QUARTER - i } else { i };
    let x = 2.0 * PI * steps as f64 / LONGEST as f64;
    let mut power = if from_end { 0 } else { 1 };
    let mut term = if from_end { 1.0 } else { x };
    let mut sum = 0.0;
    while power < 24 {
        sum += term;
        term *= -x * x / ((power + 1) * (power + 2)) as f64;
        power += 2;
    }
    sum as f32
}

/// Weights `samples` with the periodic Hann window, `0.5 - 0.5 cos(2 pi i / n)`.
pub(super) fn weigh(samples: &mut [f32]) {
    let n = samples.len();
    let step = LONGEST / n;
    let quarter = n / 4;
    let (first, second) = samples.split_at_mut(n / 2);
    // The window is 0 at the beginning, 1 in the middle, and 1/2 halfway to it.
    first[0] = 0.0;
    first[quarter] *= 0.5;
    second[quarter] *= 0.5;
    for i in 1..quarter {
        let cosine = 0.5 * SINE[(QUARTER - i * step) % QUARTER];
        let (outer, inner) = (0.5 - cosine, 0.5 + cosine);
        first[i] *= outer;
        first[n / 2 - i] *= inner;
        second[i] *= inner;
        second[n / 2 - i] *= outer;
    }
}

/// Replaces a real `signal` by its spectrum: bin `k`, `0 < k < n/2`, is the complex number
/// (`signal[2k]`, `signal[2k + 1]`). Bin 0 holds the (real) values at zero and at the Nyquist
/// frequency.
///
/// # Panics
/// If the length is not a power of two from 64 to [`LONGEST`]; [`super::FrontendConfig::validate`]
/// sees to that.
pub(super) fn transform(signal: &mut [f32]) {
    use microfft::real;
    const LENGTH: &str = "the transform's length was checked with the configuration";
    // The transforms work in place: the returned slice is the same memory seen as complex numbers.
    match signal.len() {
        64 => drop_view(real::rfft_64(signal.try_into().expect(LENGTH))),
        128 => drop_view(real::rfft_128(signal.try_into().expect(LENGTH))),
        256 => drop_view(real::rfft_256(signal.try_into().expect(LENGTH))),
        512 => drop_view(real::rfft_512(signal.try_into().expect(LENGTH))),
        #[cfg(feature = "long-windows")]
        1024 => drop_view(real::rfft_1024(signal.try_into().expect(LENGTH))),
        #[cfg(feature = "long-windows")]
        2048 => drop_view(real::rfft_2048(signal.try_into().expect(LENGTH))),
        #[cfg(feature = "long-windows")]
        4096 => drop_view(real::rfft_4096(signal.try_into().expect(LENGTH))),
        _ => unreachable!("{LENGTH}"),
    }
}

fn drop_view<const N: usize>(_: &mut [microfft::Complex32; N]) {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Powers of two from 64 on.
    fn lengths() -> impl Iterator<Item = usize> {
        core::iter::successors(Some(64), |n| Some(2 * n)).take_while(|n| *n <= LONGEST)
    }

    #[test]
    fn the_table_is_the_sine_to_the_last_bit() {
        for (i, value) in SINE.iter().enumerate() {
            let exact = (2.0 * PI * i as f64 / LONGEST as f64).sin();
            assert_eq!(*value, exact as f32, "step {i}");
        }
    }

    #[test]
    fn the_window_is_periodic_hann() {
        for n in lengths() {
            let mut window = vec![1.0; n];
            weigh(&mut window);
            for (i, w) in window.iter().enumerate() {
                let sine = (PI * i as f64 / n as f64).sin();
                assert!((f64::from(*w) - sine * sine).abs() < 6e-8, "{n}: {i}");
            }
        }
    }

    #[test]
    fn every_length_transforms_in_place() {
        for n in lengths() {
            let k = n / 2 - 3;
            let angle = |i: usize| 2.0 * PI * ((k * i) % n) as f64 / n as f64;
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
