//! Mixes the channels of a recording down to one.
//!
//! The channels that carry sound are averaged, frame by frame. Two kinds of recording need more care:
//! one channel of a stereo recording may be silent (a microphone in one socket), which an average would
//! make quieter by 6 dB; and channels may cancel each other (one wired the wrong way round), which an
//! average would silence. Which kind it is shows in the first million samples behind digital silence.

use super::error::AudioError;
use super::interleaved::Layout;
use std::path::Path;

/// Samples of all channels that are looked at first: 11 s of 48 kHz stereo, 4 MB.
const WINDOW: usize = 1 << 20;

/// Share of the greatest magnitude that a channel must reach to count as sound: -60 dB.
const SOUNDING: f32 = 1e-3;

/// Share of the loudest channel's energy below which an average counts as cancelled: -30 dB.
const CANCELLED: f64 = 1e-3;

/// Mixes frames to mono samples.
#[derive(Debug)]
pub(super) struct Mixer {
    layout: Layout,
    /// Samples of the window, until the mix is decided.
    waiting: Vec<f32>,
    mix: Mix,
    energies: Energies,
}

#[derive(Debug)]
enum Mix {
    /// Not decided: only silence has come, or the window is not full.
    Undecided,
    /// One channel alone.
    Channel(usize),
    /// The average of all channels that have sounded.
    Average {
        sounding: Vec<bool>,
        /// Magnitude from which another channel counts.
        threshold: f32,
    },
}

/// Energies of the channels and of their average.
#[derive(Debug, Default)]
struct Energies {
    channels: Vec<f64>,
    mean: f64,
}

impl Energies {
    fn add(&mut self, frame: &[f32], mean: f32) {
        for (sum, &sample) in self.channels.iter_mut().zip(frame) {
            *sum += f64::from(sample) * f64::from(sample);
        }
        self.mean += f64::from(mean) * f64::from(mean);
    }

    /// Returns the loudest channel if the average is cancelled.
    fn cancelled(&self) -> Option<usize> {
        let channels = self.channels.iter().enumerate();
        let (loudest, &energy) = channels.max_by(|a, b| a.1.total_cmp(b.1))?;
        (self.mean < CANCELLED * energy).then_some(loudest)
    }
}

impl Mixer {
    pub fn new(layout: Layout) -> Self {
        let mix = match layout.channels {
            1 => Mix::Channel(0),
            _ => Mix::Undecided,
        };
        Self {
            layout,
            waiting: Vec::new(),
            mix,
            energies: Energies {
                channels: vec![0.0; layout.channels],
                mean: 0.0,
            },
        }
    }

    /// Takes whole frames and appends the mono samples that are due to `mono`.
    pub fn push(&mut self, samples: &[f32], mono: &mut Vec<f32>) {
        if !matches!(self.mix, Mix::Undecided) {
            self.mix(samples, mono);
            return;
        }
        if self.waiting.is_empty() && samples.iter().all(|&sample| sample == 0.0) {
            mono.resize(mono.len() + samples.len() / self.layout.channels, 0.0);
            return;
        }
        self.waiting.extend_from_slice(samples);
        if self.waiting.len() >= WINDOW {
            self.decide(mono);
        }
    }

    /// Ends the recording: appends the samples that are left.
    ///
    /// # Errors
    /// [`AudioError::Cancelled`] if the channels cancel each other in most of a recording whose
    /// beginning was of another kind.
    pub fn finish(&mut self, path: &Path, mono: &mut Vec<f32>) -> Result<(), AudioError> {
        if matches!(self.mix, Mix::Undecided) && !self.waiting.is_empty() {
            self.decide(mono);
        }
        match (&self.mix, self.energies.cancelled()) {
            (Mix::Average { .. }, Some(loudest)) => Err(AudioError::Cancelled {
                path: path.to_owned(),
                channels: self.layout.channels,
                loudest,
            }),
            _ => Ok(()),
        }
    }

    /// Decides on the mix by the samples that wait, and mixes them.
    fn decide(&mut self, mono: &mut Vec<f32>) {
        let waiting = std::mem::take(&mut self.waiting);
        let channels = self.layout.channels;
        let mut peaks = vec![0.0f32; channels];
        for frame in waiting.chunks_exact(channels) {
            for (peak, sample) in peaks.iter_mut().zip(frame) {
                *peak = peak.max(sample.abs());
            }
        }
        let threshold = SOUNDING * peaks.iter().fold(0.0f32, |most, &peak| most.max(peak));
        let average = Mix::Average {
            sounding: peaks.iter().map(|&peak| peak >= threshold).collect(),
            threshold,
        };
        self.mix = average;
        let before = mono.len();
        self.mix(&waiting, mono);
        if let Some(loudest) = self.energies.cancelled() {
            self.mix = Mix::Channel(loudest);
            mono.truncate(before);
            self.mix(&waiting, mono);
        }
    }

    /// Mixes frames in the way that was decided on.
    fn mix(&mut self, samples: &[f32], mono: &mut Vec<f32>) {
        let frames = samples.chunks_exact(self.layout.channels);
        match &mut self.mix {
            Mix::Undecided => {}
            Mix::Channel(_) if self.layout.channels == 1 => mono.extend_from_slice(samples),
            Mix::Channel(channel) => mono.extend(frames.map(|frame| frame[*channel])),
            Mix::Average {
                sounding,
                threshold,
            } => {
                for frame in frames {
                    let mut count = 0;
                    let mut sum = 0.0;
                    for (sample, sounding) in frame.iter().zip(&mut *sounding) {
                        *sounding |= sample.abs() >= *threshold;
                        if *sounding {
                            count += 1;
                            sum += sample;
                        }
                    }
                    let mean = sum * (1.0 / count as f32);
                    self.energies.add(frame, mean);
                    mono.push(mean);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mixes frames that are given in pieces of odd lengths.
    fn mixed<const N: usize>(frames: &[[f32; N]]) -> Result<Vec<f32>, AudioError> {
        let mut mixer = Mixer::new(Layout {
            channels: N,
            rate: 16_000,
        });
        let mut mono = Vec::new();
        for piece in frames.chunks(777) {
            mixer.push(piece.as_flattened(), &mut mono);
        }
        mixer.finish(Path::new("x.wav"), &mut mono)?;
        assert_eq!(mono.len(), frames.len());
        Ok(mono)
    }

    fn tone(n: usize) -> f32 {
        0.5 * (n as f32 * 0.1).sin()
    }

    fn frames<const N: usize>(count: usize, frame: impl Fn(usize) -> [f32; N]) -> Vec<[f32; N]> {
        (0..count).map(frame).collect()
    }

    #[test]
    fn channels_that_sound_are_averaged() {
        let both = frames(2000, |n| [tone(n), 0.5 * tone(n)]);
        let mono = mixed(&both).unwrap();
        assert!((0..2000).all(|n| mono[n] == (tone(n) + 0.5 * tone(n)) * 0.5));
        let three = frames(2000, |n| [tone(n), 0.0, tone(n)]);
        let mono = mixed(&three).unwrap();
        assert!((0..2000).all(|n| (mono[n] - tone(n)).abs() < 1e-6));
    }

    #[test]
    fn a_silent_channel_takes_nothing_from_the_other() {
        // Nothing at all, and the noise of an open socket.
        for noise in [0.0, 1e-5] {
            let left = frames(2000, |n| [tone(n), noise]);
            assert!(
                mixed(&left)
                    .unwrap()
                    .iter()
                    .zip(0..)
                    .all(|(&x, n)| x == tone(n))
            );
            let right = frames(2000, |n| [noise, tone(n)]);
            assert!(
                mixed(&right)
                    .unwrap()
                    .iter()
                    .zip(0..)
                    .all(|(&x, n)| x == tone(n))
            );
        }
        let nothing = frames(2000, |_| [0.0, 0.0]);
        assert!(mixed(&nothing).unwrap().iter().all(|&x| x == 0.0));
    }

    #[test]
    fn channels_that_cancel_each_other_give_the_louder() {
        for gain in [-1.0, -0.99] {
            let wired_wrongly = frames(2000, |n| [gain * tone(n), tone(n)]);
            let mono = mixed(&wired_wrongly).unwrap();
            assert!(mono.iter().zip(0..).all(|(&x, n)| x.abs() == tone(n).abs()));
        }
        // Not quite opposite: an average keeps a sixteenth of the energy.
        let wide = frames(2000, |n| [tone(n), -0.5 * tone(n)]);
        let mono = mixed(&wide).unwrap();
        assert!((0..2000).all(|n| (mono[n] - 0.25 * tone(n)).abs() < 1e-6));
    }

    #[test]
    fn a_long_recording_is_decided_on_by_its_beginning() {
        let length = WINDOW;
        // A second channel that begins after the window is heard.
        let late = frames(length, |n| {
            [tone(n), if n < length / 4 * 3 { 0.0 } else { tone(n) }]
        });
        let mono = mixed(&late).unwrap();
        assert_eq!(mono[10], tone(10));
        assert_eq!(mono[length - 10], tone(length - 10));
        // Silence before the sound does not count.
        let after_silence = frames(2 * length, |n| match n < length {
            true => [0.0, 0.0],
            false => [tone(n), -tone(n)],
        });
        let mono = mixed(&after_silence).unwrap();
        assert_eq!(mono[2 * length - 10].abs(), tone(2 * length - 10).abs());
        // A click at the start does not hide that the rest is gone.
        let click = frames(length, |n| match n {
            0 => [1e-3, 1e-3],
            _ if n < length / 4 * 3 => [0.0, 1e-5],
            _ => [tone(n), -tone(n)],
        });
        let error = mixed(&click).unwrap_err().to_string();
        assert!(error.contains("2 channels cancel"), "{error}");
    }
}
