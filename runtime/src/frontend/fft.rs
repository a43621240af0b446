//! The Hann window and the power spectrum of a frame, in place.

use core::f64::consts::PI;

/// Longest frame.
const LONGEST: usize = 4096;
/// Steps in a quarter of a turn.
const QUARTER: usize = LONGEST / 4;

/// `sin(2 pi i / LONGEST)` over a quarter of a turn, both ends included: the window and all factors
/// of the transforms are read off it.
static SINE: [f32; QUARTER + 1] = {
    let mut table = [0.0; QUARTER + 1];
    let mut i = 0;
    while i <= QUARTER {
        table[i] = sine(i);
        i += 1;
    }
    table
};

/// A value of [`SINE`], by Taylor's series about the nearer end of the quarter: below an eighth of a
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

/// Weights `samples` with half the periodic Hann window, `0.25 - 0.25 cos(2 pi i / n)`: with the half
/// that [`power_spectrum`] leaves out that is the whole window.
pub(super) fn weigh(samples: &mut [f32]) {
    let n = samples.len();
    let step = LONGEST / n;
    let (first, second) = samples.split_at_mut(n / 2);
    let quarter = n / 4;
    // The window is 0 at the beginning, 1 in the middle, and 1/2 halfway to it.
    first[0] = 0.0;
    first[quarter] *= 0.25;
    second[0] *= 0.5;
    second[quarter] *= 0.25;
    for i in 1..quarter {
        let cosine = 0.25 * SINE[(QUARTER - i * step) % QUARTER];
        let (outer, inner) = (0.25 - cosine, 0.25 + cosine);
        first[i] *= outer;
        first[n / 2 - i] *= inner;
        second[i] *= inner;
        second[n / 2 - i] *= outer;
    }
}

/// Replaces `signal`, `n` real samples, by twice their power spectrum's root, squared: the energy
/// `|2 X[k]|^2` of bin `k`, `0 < k < n / 2`, is at [`bin`]. The ends of the spectrum, which the
/// filters do not use, are not computed.
///
/// The samples are taken as `n / 2` complex ones; their transform (decimation in frequency by the
/// split radix, Duhamel and Hollmann 1984) leaves its result in bit-reversed order, in which the two
/// real halves of it are separated (Sorensen et al. 1987).
pub(super) fn power_spectrum(signal: &mut [f32]) {
    let step = LONGEST / signal.len();
    let (x, _) = signal.as_chunks_mut::<2>();
    transform(x);
    let half = x.len() / 2;
    let place = Reversed::of(x.len());
    for k in 1..half {
        let (low, high) = (place.of_bin(k), place.of_bin(2 * half - k));
        let ([ar, ai], [br, bi]) = (x[low], x[high]);
        // Even and odd samples' spectra, both doubled; the odd ones' turned by half a sample.
        let (er, ei) = (ar + br, ai - bi);
        let (dr, di) = (ar - br, ai + bi);
        let (cosine, sine) = unit(k * step);
        let (or, oi) = (cosine * di - sine * dr, -(cosine * dr) - sine * di);
        let (pr, pi, qr, qi) = (er + or, ei + oi, er - or, ei - oi);
        x[low][0] = pr * pr + pi * pi;
        x[high][0] = qr * qr + qi * qi;
    }
    let [r, i] = x[place.of_bin(half)];
    x[place.of_bin(half)][0] = 4.0 * (r * r + i * i);
}

/// Where [`power_spectrum`] of `n` samples leaves its bins.
#[derive(Clone, Copy)]
pub(super) struct Reversed {
    shift: u32,
}

impl Reversed {
    fn of(complex: usize) -> Self {
        Self {
            shift: 32 - complex.trailing_zeros(),
        }
    }

    fn of_bin(self, k: usize) -> usize {
        ((k as u32).reverse_bits() >> self.shift) as usize
    }
}

/// Gives the place of each bin in the power spectrum of `n` samples.
pub(super) fn bins(n: usize) -> impl Fn(usize) -> usize + Copy {
    let reversed = Reversed::of(n / 2);
    move |k| 2 * reversed.of_bin(k)
}

/// Cosine and sine of `2 pi i / LONGEST`, `i` less than a quarter of a turn.
fn unit(i: usize) -> (f32, f32) {
    let i = i % QUARTER;
    (SINE[QUARTER - i], SINE[i])
}

/// The transform of 4 samples or more in place, its result in bit-reversed order.
fn transform(x: &mut [[f32; 2]]) {
    if let Ok(x) = <&mut [_; 4]>::try_from(&mut *x) {
        *x = four(*x);
    } else if let Ok(x) = <&mut [_; 8]>::try_from(&mut *x) {
        *x = eight(*x);
    } else if x.len() > 8 {
        fold(x);
        let (even, odd) = x.split_at_mut(x.len() / 2);
        let (first, third) = odd.split_at_mut(odd.len() / 2);
        transform(even);
        transform(first);
        transform(third);
    }
}

fn four([a, b, c, d]: [[f32; 2]; 4]) -> [[f32; 2]; 4] {
    let (even, odd) = (add(a, c), add(b, d));
    let [first, third] = turned(sub(a, c), sub(b, d));
    [add(even, odd), sub(even, odd), first, third]
}

fn eight([a0, a1, b0, b1, c0, c1, d0, d1]: [[f32; 2]; 8]) -> [[f32; 2]; 8] {
    const DIAGONAL: f32 = core::f32::consts::FRAC_1_SQRT_2;
    let even = four([add(a0, c0), add(a1, c1), add(b0, d0), add(b1, d1)]);
    let [first, third] = turned(sub(a0, c0), sub(b0, d0));
    let [[fr, fi], [tr, ti]] = turned(sub(a1, c1), sub(b1, d1));
    let first1 = [DIAGONAL * (fr + fi), DIAGONAL * (fi - fr)];
    let third1 = [DIAGONAL * (ti - tr), -DIAGONAL * (tr + ti)];
    [
        even[0],
        even[1],
        even[2],
        even[3],
        add(first, first1),
        sub(first, first1),
        add(third, third1),
        sub(third, third1),
    ]
}

/// `u - iv` and `u + iv`.
fn turned(u: [f32; 2], v: [f32; 2]) -> [[f32; 2]; 2] {
    [[u[0] + v[1], u[1] - v[0]], [u[0] - v[1], u[1] + v[0]]]
}

/// One step of decimation: `n` samples become `n / 2` whose transform is that of the even bins, and
/// twice `n / 4` whose transforms are those of the bins `4k + 1` and `4k + 3`.
fn fold(x: &mut [[f32; 2]]) {
    let quarter = x.len() / 4;
    let step = LONGEST / x.len();
    let (front, back) = x.split_at_mut(2 * quarter);
    let (a, b) = front.split_at_mut(quarter);
    let (c, d) = back.split_at_mut(quarter);
    let samples = a.iter_mut().zip(b).zip(c.iter_mut().zip(d));
    for (k, ((a, b), (c, d))) in samples.enumerate() {
        let (u, v) = (sub(*a, *c), sub(*b, *d));
        (*a, *b) = (add(*a, *c), add(*b, *d));
        // To be turned back by k and by 3k steps.
        let [first, third] = turned(u, v);
        if k == 0 {
            (*c, *d) = (first, third);
            continue;
        }
        let (cosine, sine) = unit(k * step);
        // The angle's double and triple: cos 3t = cos t - 2 sin t sin 2t, and so on.
        let twice = sine + sine;
        let (cosine2, sine2) = (1.0 - twice * sine, twice * cosine);
        let (cosine3, sine3) = (cosine - twice * sine2, sine + twice * cosine2);
        *c = turned_back(first, cosine, sine);
        *d = turned_back(third, cosine3, sine3);
    }
}

fn add([ar, ai]: [f32; 2], [br, bi]: [f32; 2]) -> [f32; 2] {
    [ar + br, ai + bi]
}

fn sub([ar, ai]: [f32; 2], [br, bi]: [f32; 2]) -> [f32; 2] {
    [ar - br, ai - bi]
}

/// `z` times `cosine - i sine`.
fn turned_back([r, i]: [f32; 2], cosine: f32, sine: f32) -> [f32; 2] {
    [r * cosine + i * sine, i * cosine - r * sine]
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [usize; 7] = [64, 128, 256, 512, 1024, 2048, 4096];

    #[test]
    fn the_table_is_the_sine_to_the_last_bit() {
        for (i, value) in SINE.iter().enumerate() {
            let exact = (2.0 * PI * i as f64 / LONGEST as f64).sin();
            assert_eq!(*value, exact as f32, "step {i}");
        }
    }

    #[test]
    fn the_window_is_half_of_periodic_hann() {
        for n in LENGTHS {
            let mut window = vec![1.0; n];
            weigh(&mut window);
            for (i, w) in window.iter().enumerate() {
                let sine = (PI * i as f64 / n as f64).sin();
                assert!((f64::from(*w) - 0.5 * sine * sine).abs() < 3e-8, "{n}: {i}");
            }
        }
    }

    /// Noise, transformed by the definition in double precision.
    #[test]
    fn every_length_has_the_spectrum_of_the_definition() {
        for n in LENGTHS {
            let mut state = n as u32;
            let signal: Vec<f32> = (0..n)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    f32::from((state >> 16) as u16 as i16) / 32_768.0
                })
                .collect();
            let mut energies = signal.clone();
            power_spectrum(&mut energies);
            let place = bins(n);
            // All bins of the short ones, some of the long ones.
            for k in (1..n / 2).step_by(1 + n / 512) {
                let (mut re, mut im) = (0.0, 0.0);
                for (i, sample) in signal.iter().enumerate() {
                    let angle = 2.0 * PI * ((k * i) % n) as f64 / n as f64;
                    re += f64::from(*sample) * angle.cos();
                    im -= f64::from(*sample) * angle.sin();
                }
                let exact = (re * re + im * im).sqrt();
                let found = f64::from(energies[place(k)]).sqrt() / 2.0;
                // Relative to the noise's amplitude in any bin.
                let error = (found - exact).abs() / (n as f64 / 3.0).sqrt();
                assert!(error < 2e-6, "{n}: bin {k} has {found}, expected {exact}");
            }
        }
    }
}
