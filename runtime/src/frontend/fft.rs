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

/// Tells whether the weights of a window of `len` samples are read off the sine table.
pub(super) const fn is_in_table(len: usize) -> bool {
    len >= 4 && LONGEST.is_multiple_of(len)
}

/// Writes the first half of the periodic Hann window of any even length `n`, and the weight in its middle:
/// `n / 2 + 1` values. The cosine goes round by rotation, in double precision.
pub(super) fn half_window(half: &mut [f32]) {
    let n = 2 * (half.len() - 1);
    let step = 2.0 * PI / n as f64;
    // The table's series is of an eighth of a turn at most; the angle of a step is halved until it is.
    let (mut sine, mut cosine) = turn(step / 4.0);
    for _ in 0..2 {
        (sine, cosine) = (2.0 * sine * cosine, cosine * cosine - sine * sine);
    }
    let (mut s, mut c) = (0.0, 1.0);
    for weight in half {
        *weight = (0.5 - 0.5 * c) as f32;
        (s, c) = (s * cosine + c * sine, c * cosine - s * sine);
    }
}

/// Computes sine and cosine of an angle between 0 and an eighth of a turn, by Taylor's series.
fn turn(angle: f64) -> (f64, f64) {
    let (mut sine, mut cosine) = (0.0, 0.0);
    let mut term = 1.0;
    let mut power = 0;
    // Until a term changes nothing: a count would be unrolled, and the code be long.
    while term > 1e-18 {
        match power % 4 {
            0 => cosine += term,
            1 => sine += term,
            2 => cosine -= term,
            _ => sine -= term,
        }
        power += 1;
        term *= angle / f64::from(power);
    }
    (sine, cosine)
}

/// Weights `samples` with a window whose first half and middle are given.
pub(super) fn weigh_by(half: &[f32], samples: &mut [f32]) {
    let middle = half.len().saturating_sub(1).min(samples.len());
    let (first, second) = samples.split_at_mut(middle);
    for (sample, weight) in first.iter_mut().zip(half) {
        *sample *= weight;
    }
    for (sample, weight) in second.iter_mut().zip(half.iter().rev()) {
        *sample *= weight;
    }
}

/// Weights `samples` with the periodic Hann window, `0.5 - 0.5 cos(2 pi i / n)`, for a length that
/// [`is_in_table`]; other lengths stay as they are.
pub(super) fn weigh(samples: &mut [f32]) {
    let n = samples.len();
    if !is_in_table(n) {
        return;
    }
    let step = (LONGEST / n).max(1);
    let Some((first, second)) = samples.split_at_mut_checked(n / 2) else {
        return;
    };
    let quarter = n / 4;
    let weigh_one = |half: &mut [f32], at: usize, weight: f32| {
        if let Some(sample) = half.get_mut(at) {
            *sample *= weight;
        }
    };
    // The window is 0 at the beginning, 1 in the middle, and 1/2 halfway to it.
    if let Some(sample) = first.first_mut() {
        *sample = 0.0;
    }
    weigh_one(first, quarter, 0.5);
    weigh_one(second, quarter, 0.5);
    let mut angle = QUARTER;
    for i in 1..quarter {
        angle = angle.wrapping_sub(step);
        let cosine = 0.5 * SINE.get(angle).copied().unwrap_or_default();
        let (outer, inner) = (0.5 - cosine, 0.5 + cosine);
        weigh_one(first, i, outer);
        weigh_one(first, n / 2 - i, inner);
        weigh_one(second, i, inner);
        weigh_one(second, n / 2 - i, outer);
    }
}

/// Replaces a real `signal` by its spectrum: bin `k`, `0 < k < n/2`, is the complex number
/// (`signal[2k]`, `signal[2k + 1]`). Bin 0 holds the (real) values at zero and at the Nyquist
/// frequency.
///
/// The length is a power of two from 64 to [`LONGEST`], which [`super::FrontendConfig::validate`] sees to; a
/// signal of another length stays as it is.
pub(super) fn transform(signal: &mut [f32]) {
    use microfft::real;
    // The transforms work in place: what they return is the same memory seen as complex numbers.
    match signal.len() {
        64 => drop_view(signal.try_into().ok().map(real::rfft_64)),
        128 => drop_view(signal.try_into().ok().map(real::rfft_128)),
        256 => drop_view(signal.try_into().ok().map(real::rfft_256)),
        512 => drop_view(signal.try_into().ok().map(real::rfft_512)),
        #[cfg(feature = "long-windows")]
        1024 => drop_view(signal.try_into().ok().map(real::rfft_1024)),
        #[cfg(feature = "long-windows")]
        2048 => drop_view(signal.try_into().ok().map(real::rfft_2048)),
        #[cfg(feature = "long-windows")]
        4096 => drop_view(signal.try_into().ok().map(real::rfft_4096)),
        _ => {}
    }
}

fn drop_view<const N: usize>(_: Option<&mut [microfft::Complex32; N]>) {}

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
    fn windows_of_any_even_length_are_periodic_hann() {
        for n in [2, 6, 100, 400, 480, 512, 1_102, 4_094] {
            let mut half = vec![f32::NAN; n / 2 + 1];
            half_window(&mut half);
            let mut window = vec![1.0; n];
            weigh_by(&half, &mut window);
            for (i, w) in window.iter().enumerate() {
                let sine = (PI * i as f64 / n as f64).sin();
                assert!((f64::from(*w) - sine * sine).abs() < 6e-8, "{n}: {i}: {w}");
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
