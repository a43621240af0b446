//! Finds the sounds in a recording, as the listener would find them in the place.

use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::listener::{ListenerConfig, ListenerError, SoundFinder};

/// Level of the place that a recording is heard in, below its loudest moment, dB. What is quieter is
/// masked in most rooms, and the tail of an echo would otherwise last for seconds.
const PLACE: f32 = 45.0;

/// A recording's own quietest stretch is its background if it is this far below the loudest moment, dB.
const CONTRAST: f32 = 10.0;

/// A recording without such a stretch, and without a moment louder than this, dB of full scale, is
/// background and nothing else.
const FAINT: f32 = -45.0;

/// Longest recording that may be trimmed to its sound, seconds; a longer one in which nothing stands out holds
/// none.
const TRIMMED: f32 = 2.0;

/// Seconds of the place before the recording, in which the gate learns it, and after it, in which the
/// last sound ends.
const BEFORE: f32 = 3.0;
const AFTER: f32 = 1.0;

/// Seconds of a moment, and of the quietest stretch.
const MOMENT: f32 = 0.02;
const STRETCH: f32 = 0.25;

/// A part of a recording, in seconds from its beginning. A sound that begins with the recording begins a
/// moment before it: the listener judges two frames of the place, too.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Cut {
    /// Where it begins.
    pub start: f64,
    /// Where it ends.
    pub end: f64,
}

/// A recording, and the sounds in it.
#[derive(Clone, Debug)]
pub struct Take {
    /// The recording between stretches of the place.
    samples: Vec<f32>,
    /// Where the recording begins and ends in `samples`.
    before: usize,
    after: usize,
    rate: f64,
    cuts: Vec<Cut>,
}

impl Take {
    /// Finds the sounds in `samples`, which are at the rate of `frontend`.
    ///
    /// The gate hears the recording after three seconds of the place: of the recording's own quietest
    /// stretch if that is 10 dB below its loudest moment, and of faint noise 45 dB below that moment. Where
    /// nothing stands out from the stretch, a recording of up to two seconds was trimmed to a sound that fades,
    /// and is heard after the faint noise alone.
    ///
    /// # Errors
    /// If the features cannot be computed.
    pub fn new(samples: &[f32], frontend: &FrontendConfig) -> Result<Self, ListenerError> {
        let rate = frontend.sample_rate as f32;
        let length = |seconds: f32| (seconds * rate) as usize;
        let before = length(BEFORE);
        let mut take = Self {
            samples: Vec::new(),
            before,
            after: before + samples.len(),
            rate: f64::from(frontend.sample_rate),
            cuts: Vec::new(),
        };
        let Some(loudest) = extreme_power(samples, length(MOMENT), f32::max) else {
            return Ok(take);
        };
        let stretch = quietest_stretch(samples, length(STRETCH));
        let own = stretch.filter(|own| decibels(loudest) - decibels(power(own)) >= CONTRAST);
        // A steady recording that is short was trimmed to its sound.
        let is_long = samples.len() > length(TRIMMED);
        if loudest <= 0.0 || (own.is_none() && is_long && decibels(loudest) < FAINT) {
            return Ok(take);
        }
        take.hear(samples, own.unwrap_or(&[]), loudest, frontend)?;
        if take.cuts.is_empty() && own.is_some() && !is_long {
            take.hear(samples, &[], loudest, frontend)?;
        }
        Ok(take)
    }

    /// Finds the sounds in `samples` between stretches of `place` and faint noise below the power `loudest`.
    fn hear(
        &mut self,
        samples: &[f32],
        place: &[f32],
        loudest: f32,
        frontend: &FrontendConfig,
    ) -> Result<(), ListenerError> {
        let mut state = 1_u32;
        let amplitude = (3.0 * loudest).sqrt() * 10_f32.powf(-PLACE / 20.0);
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            amplitude * ((state >> 8) as f32 / 8_388_608.0 - 1.0)
        };
        let around = |count: usize| (0..count).map(|at| to_and_fro(place, at));
        let after = (AFTER * frontend.sample_rate as f32) as usize;
        let all = around(self.before)
            .chain(samples.iter().copied())
            .chain(around(after));
        self.samples = all.map(|sample| sample + noise()).collect();
        self.find(frontend)
    }

    fn find(&mut self, frontend: &FrontendConfig) -> Result<(), ListenerError> {
        let mut buffer = vec![0.0; SoundFinder::buffer_len(frontend)];
        let mut finder = SoundFinder::new(&ListenerConfig::DEFAULT, *frontend, &mut buffer)?;
        let mut found = Vec::new();
        finder.push(&self.samples, |sound| found.push(sound));
        finder.finish(|sound| found.push(sound));
        let in_it = |sample: u64| (self.before as u64..self.after as u64).contains(&sample);
        found.retain(|sound| in_it(sound.end - 1) || in_it((sound.start + sound.end) / 2));
        let seconds = |sample: u64| (sample as f64 - self.before as f64) / self.rate;
        let cut = |start, end| Cut {
            start: seconds(start),
            end: seconds(end),
        };
        self.cuts = found
            .iter()
            .map(|found| cut(found.start, found.end))
            .collect();
        Ok(())
    }

    /// Returns the recording between stretches of the place, as the gate hears it; empty if it holds no
    /// sound.
    pub fn stream(&self) -> &[f32] {
        &self.samples
    }

    /// Returns where the recording begins in [`Self::stream`], seconds.
    pub fn begins(&self) -> f64 {
        self.before as f64 / self.rate
    }

    /// Returns the sounds in their order.
    pub fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    /// Returns the sound with the most energy.
    pub fn main(&self) -> Option<Cut> {
        let cuts = self.cuts.iter().copied();
        cuts.max_by(|a, b| self.energy(*a).total_cmp(&self.energy(*b)))
    }

    /// Returns the energy of a part: the sum of the squares of its samples.
    pub fn energy(&self, cut: Cut) -> f32 {
        self.samples(cut).iter().map(|s| s * s).sum()
    }

    /// Returns the samples of a part, with those of the place where it reaches beyond the recording.
    pub fn samples(&self, cut: Cut) -> &[f32] {
        let place = |seconds: f64| {
            let sample = (seconds * self.rate).round() + self.before as f64;
            (sample.max(0.0) as usize).min(self.samples.len())
        };
        let (start, end) = (place(cut.start), place(cut.end));
        &self.samples[start.min(end)..end]
    }
}

impl Cut {
    /// Returns its length, seconds.
    pub fn seconds(&self) -> f64 {
        self.end - self.start
    }

    /// Returns the samples of the recording that it holds, at `rate` a second.
    pub fn of<'s>(&self, samples: &'s [f32], rate: u32) -> &'s [f32] {
        let place =
            |seconds: f64| ((seconds * f64::from(rate)).max(0.0) as usize).min(samples.len());
        &samples[place(self.start)..place(self.end)]
    }
}

/// Returns mean power.
fn power(samples: &[f32]) -> f32 {
    samples.iter().map(|s| s * s).sum::<f32>() / samples.len().max(1) as f32
}

fn decibels(power: f32) -> f32 {
    10.0 * power.max(1e-12).log10()
}

/// Returns the greatest or least mean power of moments of `length` samples.
fn extreme_power(samples: &[f32], length: usize, best: fn(f32, f32) -> f32) -> Option<f32> {
    let moments = samples.chunks(length.max(1));
    moments.map(power).reduce(best)
}

/// Returns the `length` samples in a row with the least power, if there are as many.
fn quietest_stretch(samples: &[f32], length: usize) -> Option<&[f32]> {
    let step = (length / 10).max(1);
    let stretches = samples.windows(length.max(1)).step_by(step);
    stretches.min_by(|a, b| power(a).total_cmp(&power(b)))
}

/// Returns sample `at` of a stretch that is played to and fro without end: a joint would be a click.
fn to_and_fro(stretch: &[f32], at: usize) -> f32 {
    let last = match stretch.len() {
        0 => return 0.0,
        1 => return stretch[0],
        length => length - 1,
    };
    let at = at % (2 * last);
    stretch[at.min(2 * last - at)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRONTEND: FrontendConfig = FrontendConfig {
        sample_rate: 16_000,
        window: 512,
        hop: 256,
        mels: 64,
        frames: 61,
        f_min: 50.0,
        f_max: 8000.0,
        floor: 1e-5,
        mean: -4.0,
        scale: 0.25,
        form: mtslvr_runtime::frontend::FrontendForm::PLAIN,
    };

    fn noise(seconds: f32, level: f32) -> Vec<f32> {
        let sample = |n: u32| (n.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0;
        let length = (seconds * 16_000.0) as u32;
        (0..length).map(|n| level * sample(n)).collect()
    }

    fn add_tone(samples: &mut [f32], from: f32, seconds: f32, level: f32) {
        let first = (from * 16_000.0) as usize;
        let tone = samples.iter_mut().enumerate().skip(first);
        for (n, sample) in tone.take((seconds * 16_000.0) as usize) {
            *sample += level * (n as f32 * 0.5).sin();
        }
    }

    fn lengths(samples: &[f32]) -> Vec<(f64, f64)> {
        let take = Take::new(samples, &FRONTEND).unwrap();
        take.cuts().iter().map(|c| (c.start, c.seconds())).collect()
    }

    #[test]
    fn sounds_are_found_in_long_short_and_trimmed_recordings() {
        // 0.6 of 5 s, over digital silence and over noise.
        for level in [0.0, 0.001] {
            let mut clip = noise(5.0, level);
            add_tone(&mut clip, 2.0, 0.6, 0.3);
            let found = lengths(&clip);
            assert_eq!(found.len(), 1, "{found:?}");
            let (start, seconds) = found[0];
            assert!(
                (start - 2.0).abs() < 0.1 && (seconds - 0.6).abs() < 0.15,
                "{found:?}"
            );
        }
        // Trimmed to the sound: all of it.
        for seconds in [0.05, 0.3, 1.0] {
            let mut clip = vec![0.0; (seconds * 16_000.0) as usize];
            add_tone(&mut clip, 0.0, seconds, 0.3);
            let found = lengths(&clip);
            assert_eq!(found.len(), 1, "{seconds}: {found:?}");
            assert!(found[0].1 >= f64::from(seconds) && found[0].1 < f64::from(seconds) + 0.2);
        }
        // Trimmed to a sound that fades: its quiet end is no background.
        let mut fading = vec![0.0; 9_600];
        add_tone(&mut fading, 0.0, 0.6, 0.3);
        for (n, sample) in fading.iter_mut().enumerate() {
            *sample *= 10_f32.powf(-(n as f32) / 9_600.0);
        }
        let found = lengths(&fading);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].1 > 0.5, "{found:?}");
        // Three in one take, the second one the loudest.
        let mut clip = noise(8.0, 0.001);
        for (from, level) in [(1.0, 0.1), (3.0, 0.4), (6.0, 0.2)] {
            add_tone(&mut clip, from, 0.4, level);
        }
        let take = Take::new(&clip, &FRONTEND).unwrap();
        assert_eq!(take.cuts().len(), 3, "{:?}", take.cuts());
        assert_eq!(take.main(), Some(take.cuts()[1]));
        let loud = take.samples(take.cuts()[1]);
        assert!(loud.iter().any(|sample| sample.abs() > 0.3));
    }

    #[test]
    fn a_recording_of_the_place_holds_no_sound_and_a_machine_is_one() {
        assert!(lengths(&[]).is_empty());
        assert!(lengths(&[0.0; 40_000]).is_empty());
        assert!(lengths(&noise(5.0, 0.004)).is_empty());
        // The listener hears a machine until that is the background.
        let machine = lengths(&noise(5.0, 0.3));
        assert_eq!(machine.len(), 1, "{machine:?}");
        assert!((1.0..2.2).contains(&machine[0].1), "{machine:?}");
    }
}
