//! Converts sample rates through rubato: of whole clips, and of streams.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

/// Least samples of an FFT block at the rate that comes in.
const BLOCK: usize = 1024;

/// Least samples of an FFT block at the lower of the two rates. The filter is as steep as the block is
/// long there: from 341 on it keeps all but 0.5 dB up to 0.925 of the lower Nyquist frequency.
const LOW_BLOCK: u64 = 341;

/// Converts `samples` from `from` Hz to `to` Hz. The result is aligned in time and has `len * to /
/// from` samples.
///
/// # Panics
/// If a rate is 0.
pub fn resample(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    let mut resampler = AlignedResampler::new(from, to);
    let mut out = Vec::new();
    resampler.push(samples, &mut out);
    resampler.finish(&mut out);
    out
}

/// Converts the rate of a recording that comes in pieces. All samples together are aligned in time with
/// those that came, and there are `len * to / from` of them, rounded up.
pub(super) struct AlignedResampler {
    stream: StreamResampler,
    /// Samples that came.
    taken: u64,
    /// Samples that were given.
    given: u64,
    /// Samples at the start that are the resampler's delay.
    to_drop: usize,
}

impl AlignedResampler {
    /// Starts a conversion from `from` to `to` Hz.
    ///
    /// # Panics
    /// If a rate is 0.
    pub fn new(from: u32, to: u32) -> Self {
        let stream = StreamResampler::new(from, to);
        let resampler = stream.resampler.as_ref();
        Self {
            to_drop: resampler.map_or(0, Resampler::output_delay),
            stream,
            taken: 0,
            given: 0,
        }
    }

    /// Takes samples and appends those that are due to `out`.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.taken += samples.len() as u64;
        let due = self.stream.push(samples);
        let dropped = self.to_drop.min(due.len());
        self.to_drop -= dropped;
        self.given += (due.len() - dropped) as u64;
        out.extend_from_slice(&due[dropped..]);
    }

    /// Appends the samples that are left to `out`: the last ones of the recording.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        let Some(resampler) = &self.stream.resampler else {
            return;
        };
        let taken = self.taken;
        let expected = (resampler.resample_ratio() * taken as f64).ceil() as u64;
        let silence = vec![0.0; resampler.input_frames_max()];
        while self.given < expected {
            self.push(&silence, out);
        }
        // What came last may hold more than is left.
        let surplus = (self.given - expected) as usize;
        out.truncate(out.len() - surplus.min(out.len()));
        (self.taken, self.given) = (taken, expected);
    }
}

/// Converts the rate of a stream. The output lags behind by half a block, some 40 ms.
pub struct StreamResampler {
    resampler: Option<Fft<f32>>,
    /// Samples that do not fill a block yet.
    waiting: Vec<f32>,
}

impl std::fmt::Debug for StreamResampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamResampler")
            .field("converts", &self.resampler.is_some())
            .field("waiting", &self.waiting.len())
            .finish()
    }
}

impl StreamResampler {
    /// Starts a conversion from `from` to `to` Hz.
    ///
    /// # Panics
    /// If a rate is 0.
    pub fn new(from: u32, to: u32) -> Self {
        Self {
            resampler: (from != to).then(|| resampler(from, to)),
            waiting: Vec::new(),
        }
    }

    /// Takes samples and returns those that are due.
    pub fn push(&mut self, samples: &[f32]) -> Vec<f32> {
        let Some(resampler) = &mut self.resampler else {
            return samples.to_vec();
        };
        self.waiting.extend_from_slice(samples);
        let (block, mut done, mut out) = (resampler.input_frames_max(), 0, Vec::new());
        while let Some(input) = self.waiting.get(done..done + block) {
            let input = InterleavedSlice::new(input, 1, block).expect("one channel fills it");
            let output = resampler.process(&input, None);
            out.extend(
                output
                    .expect("the block is as long as it wants")
                    .take_data(),
            );
            done += block;
        }
        self.waiting.drain(..done);
        out
    }
}

fn resampler(from: u32, to: u32) -> Fft<f32> {
    // The resampler delays by half a block. An even number of the shortest blocks that both rates fill
    // with whole samples makes the delay a whole number too, so that the trimming is exact.
    let pair = 2 * (from / greatest_common_divisor(from, to)) as usize;
    let low_block = (LOW_BLOCK * u64::from(from)).div_ceil(u64::from(to.min(from))) as usize;
    let block = BLOCK.max(low_block);
    Fft::<f32>::new_custom(
        from as usize,
        to as usize,
        pair * block.div_ceil(pair),
        1,
        1,
        WindowFunction::BlackmanHarris2,
        FixedSync::Input,
    )
    .expect("both rates and the block are positive")
}

fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    fn sine(frequency: f64, rate: u32, n: usize) -> f32 {
        (TAU * frequency * n as f64 / f64::from(rate)).sin() as f32
    }

    #[test]
    fn tones_keep_time_and_level_at_any_pair_of_rates() {
        for (from, to) in [
            (44_100, 16_000),
            (48_000, 16_000),
            (8_000, 16_000),
            (22_051, 16_000),
            (16_000, 11_025),
        ] {
            let samples: Vec<f32> = (0..from as usize / 2)
                .map(|n| sine(700.0, from, n))
                .collect();
            let resampled = resample(&samples, from, to);
            assert!(resampled.len().abs_diff(to as usize / 2) <= 1);
            let inner = 600..resampled.len() - 600;
            for (n, sample) in inner.clone().zip(&resampled[inner]) {
                let error = (sample - sine(700.0, to, n)).abs();
                assert!(error < 0.001, "{from} -> {to}: {error} at {n}");
            }
        }
    }

    /// Amplitude of a tone of `frequency` Hz, 1 when it comes in, and of all that is not the tone.
    fn response(frequency: f64, from: u32, to: u32) -> (f64, f64) {
        let block = resampler(from, to).input_frames_max();
        let length = 4 * block;
        let tone: Vec<f32> = (0..length).map(|n| sine(frequency, from, n)).collect();
        let resampled = resample(&tone, from, to);
        // The filter is as long as a block.
        let edge = resampled.len() * 3 / 10;
        let inner = edge..resampled.len() - edge;
        let count = inner.len() as f64;
        // The least squares: the samples are few periods of a low tone, and not whole ones.
        let angle = |n: usize| TAU * frequency * n as f64 / f64::from(to);
        let (mut cc, mut cs, mut ss, mut xc, mut xs) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for n in inner.clone() {
            let (sin, cos) = angle(n).sin_cos();
            let x = f64::from(resampled[n]);
            (cc, cs, ss) = (cc + cos * cos, cs + cos * sin, ss + sin * sin);
            (xc, xs) = (xc + x * cos, xs + x * sin);
        }
        let determinant = cc * ss - cs * cs;
        let re = (xc * ss - xs * cs) / determinant;
        let im = (xs * cc - xc * cs) / determinant;
        let rest: f64 = inner
            .map(|n| f64::from(resampled[n]) - re * angle(n).cos() - im * angle(n).sin())
            .map(|rest| rest * rest)
            .sum();
        (re.hypot(im), (2.0 * rest / count).sqrt())
    }

    const MINUS_80_DB: f64 = 1e-4;

    #[test]
    fn the_treble_is_kept_and_nothing_is_mirrored_at_any_rate() {
        let rates = [
            1_000, 2_000, 4_000, 8_000, 11_025, 12_000, 22_050, 24_000, 32_000, 37_800, 44_056,
            44_100, 47_952, 48_000, 50_000, 64_000, 88_200, 96_000, 176_400, 192_000, 250_000,
            352_800, 384_000, 500_000, 705_600, 768_000,
        ];
        for from in rates {
            let to = 16_000;
            let nyquist = f64::from(from.min(to)) / 2.0;
            for share in [0.02, 0.31, 0.77, 0.925] {
                let frequency = share * nyquist;
                let (level, rest) = response(frequency, from, to);
                let decibels = 20.0 * level.log10();
                assert!(decibels.abs() < 0.5, "{from}: {decibels} dB at {frequency}");
                assert!(rest < MINUS_80_DB, "{from}: {rest} beside {frequency}");
            }
            if from <= to {
                continue;
            }
            let above = f64::from(from) / 2.0 - nyquist;
            for share in [0.001, 0.03, 0.2, 0.5, 0.9] {
                let frequency = nyquist + share * above;
                let tone: Vec<f32> = (0..4 * resampler(from, to).input_frames_max())
                    .map(|n| sine(frequency, from, n))
                    .collect();
                let out = resample(&tone, from, to);
                let inner = &out[out.len() * 3 / 10..out.len() * 7 / 10];
                let power: f64 = inner.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
                let level = (2.0 * power / inner.len() as f64).sqrt();
                assert!(level < MINUS_80_DB, "{from}: {level} of {frequency}");
            }
        }
    }

    #[test]
    fn rates_without_a_common_divisor_are_converted_too() {
        for from in [7_999, 22_051, 96_001] {
            let frequency = 0.7 * f64::from(from.min(16_000)) / 2.0;
            let (level, rest) = response(frequency, from, 16_000);
            assert!((level - 1.0).abs() < 0.01, "{from}: {level}");
            assert!(rest < MINUS_80_DB, "{from}: {rest}");
        }
    }

    #[test]
    fn a_stream_is_the_clip_however_it_is_cut() {
        for (from, to) in [
            (44_100, 16_000),
            (48_000, 16_000),
            (8_000, 16_000),
            (16_000, 16_000),
        ] {
            let samples: Vec<f32> = (0..from as usize).map(|n| sine(440.0, from, n)).collect();
            let whole = resample(&samples, from, to);
            let mut stream = StreamResampler::new(from, to);
            let streamed: Vec<f32> = samples.chunks(333).flat_map(|c| stream.push(c)).collect();
            let least_error = (0..2000).map(|lag| {
                let pairs = whole[2000..6000].iter().zip(&streamed[2000 + lag..]);
                pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
            });
            let error = least_error.fold(f32::INFINITY, f32::min);
            assert!(error < 1e-3, "{from} -> {to}: {error}");
            let late = whole.len().abs_diff(streamed.len());
            assert!(
                late < to as usize / 5,
                "{from} -> {to}: {late} of {} samples",
                whole.len()
            );
        }
    }

    #[test]
    fn the_shortest_clips_pass() {
        assert!(resample(&[], 8_000, 16_000).is_empty());
        assert_eq!(resample(&[0.5], 16_000, 16_000), [0.5]);
        assert_eq!(resample(&[0.5], 8_000, 16_000).len(), 2);
        assert_eq!(resample(&[0.5, 0.5], 48_000, 16_000).len(), 1);
    }
}
