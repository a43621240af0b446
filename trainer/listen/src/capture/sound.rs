//! Cuts single sounds out of a stream, as the listener finds them.

use mtslvr_runtime::frontend::FrontendConfig;
use mtslvr_runtime::listener::{FoundSound, ListenerConfig, ListenerError, SoundFinder};

/// Cuts a stream where a listener's gate opens and closes, so that an example is exactly what the
/// listener will judge.
#[derive(Debug)]
pub struct SoundCutter<'b> {
    finder: SoundFinder<'b>,
    /// The last samples, the first of them being number `first` of the stream.
    kept: Vec<f32>,
    first: u64,
    /// Most samples of a sound.
    most: u64,
    /// Samples that are kept while nothing is heard: the gate opens some time after a sound began.
    memory: u64,
    /// Samples a second.
    rate: u64,
    /// Sounds that begin before this sample are the rest of one that was too long.
    rest_until: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// The background is not known yet, and the gate is always open.
    Settling,
    /// Nothing is heard, or a sound that is to be cut out.
    Ready,
    /// The rest of a sound that was too long.
    Rest,
}

/// Samples after which it is looked whether a sound is too long.
const STEP: usize = 256;

impl<'b> SoundCutter<'b> {
    /// Starts to cut the sounds that a listener with features of `frontend` would judge; a sound is cut
    /// after `seconds`. The contents of `buffer` do not matter.
    ///
    /// # Errors
    /// If the features cannot be computed.
    pub fn new(
        frontend: &FrontendConfig,
        buffer: &'b mut Vec<f32>,
        seconds: f32,
    ) -> Result<Self, ListenerError> {
        buffer.resize(SoundFinder::buffer_len(frontend), 0.0);
        Ok(Self {
            finder: SoundFinder::new(&ListenerConfig::DEFAULT, *frontend, buffer)?,
            kept: Vec::new(),
            first: 0,
            most: (seconds * frontend.sample_rate as f32) as u64,
            memory: 2 * u64::from(frontend.sample_rate),
            rate: frontend.sample_rate.into(),
            rest_until: 0,
            state: State::Settling,
        })
    }

    /// Tells whether the background is known, and nothing is heard above it.
    pub fn is_quiet(&self) -> bool {
        self.state == State::Ready && self.finder.heard().is_none()
    }

    /// Takes samples and returns the sounds that ended in them.
    pub fn push(&mut self, samples: &[f32]) -> Vec<Vec<f32>> {
        let mut sounds = Vec::new();
        for samples in samples.chunks(STEP) {
            self.kept.extend_from_slice(samples);
            let mut found = Vec::new();
            self.finder.push(samples, |sound| found.push(sound));
            for sound in found {
                match self.state {
                    // A steady sound becomes the background; what then stands out from it is no other sound.
                    State::Ready if sound.start >= self.rest_until => {
                        sounds.extend(self.cut(sound));
                    }
                    // One that begins over the rest is another.
                    State::Rest if self.finder.heard().is_some() => {}
                    State::Rest => self.rest_until = sound.end + self.rate,
                    State::Ready | State::Settling => {}
                }
                self.state = State::Ready;
            }
            // The rest of a sound is not cut, so that its samples need not be kept.
            let heard = self.finder.heard();
            let heard = heard.filter(|sound| sound.start >= self.rest_until);
            let is_long = |sound: &FoundSound| sound.end - sound.start >= self.most;
            if let Some(sound) = heard.filter(is_long)
                && self.state == State::Ready
            {
                sounds.extend(self.cut(sound));
                self.state = State::Rest;
            }
            let so_far = self.first + self.kept.len() as u64;
            let remembered = so_far.saturating_sub(self.memory);
            let needed = heard.map_or(remembered, |sound| sound.start.min(remembered));
            let needed = if self.state == State::Ready {
                needed
            } else {
                remembered
            };
            let gone = needed.saturating_sub(self.first) as usize;
            self.kept.drain(..gone);
            self.first += gone as u64;
        }
        sounds
    }

    /// Returns the samples of a sound, no more than it may have.
    fn cut(&self, sound: FoundSound) -> Option<Vec<f32>> {
        let end = sound.end.min(sound.start + self.most);
        let place = |sample: u64| sample.saturating_sub(self.first) as usize;
        Some(self.kept.get(place(sound.start)..place(end))?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_pack::{BackboneFile, ModelSource};
    use mtslvr_runtime::backbone::Backbone;

    const RATE: u32 = 16_000;

    /// Noise, and a louder sound in each span of seconds, by its level.
    fn stream(seconds: u32, sounds: &[(f32, f32, f32)]) -> Vec<f32> {
        let noise = |n: u32| (n.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0;
        let mut stream: Vec<f32> = (0..seconds * RATE).map(|n| 0.001 * noise(n)).collect();
        let place = |seconds: f32| (seconds * RATE as f32) as usize;
        for &(from, to, level) in sounds {
            let sound = stream.iter_mut().enumerate().take(place(to));
            for (n, sample) in sound.skip(place(from)) {
                *sample += level * ((n as f32 * 0.5).sin() + 0.3 * noise(n as u32 / 3));
            }
        }
        stream
    }

    /// The sounds that are cut out of `stream`, of up to 1.2 s.
    fn cut(stream: &[f32]) -> Vec<Vec<f32>> {
        let file = BackboneFile::open(&ModelSource::default(), None).unwrap();
        let frontend = *file.backbone().unwrap().space().frontend();
        let mut buffer = Vec::new();
        let mut cutter = SoundCutter::new(&frontend, &mut buffer, 1.2).unwrap();
        let mut sounds = Vec::new();
        for samples in stream.chunks(1000) {
            sounds.extend(cutter.push(samples));
        }
        assert!(cutter.is_quiet());
        sounds
    }

    fn lengths(sounds: &[Vec<f32>]) -> Vec<f32> {
        let seconds = |sound: &Vec<f32>| sound.len() as f32 / RATE as f32;
        sounds.iter().map(seconds).collect()
    }

    #[test]
    fn each_sound_is_cut_at_its_ends_and_the_long_one_short() {
        let sounds = cut(&stream(
            10,
            &[(3.0, 3.4, 0.3), (5.0, 5.9, 0.3), (7.0, 9.0, 0.3)],
        ));
        let seconds = lengths(&sounds);
        assert_eq!(seconds.len(), 3, "{seconds:?}");
        for (found, expected) in seconds.iter().zip([0.4, 0.9, 1.2]) {
            // Its ends are those of frames, two before and after it.
            assert!((-0.02..0.15).contains(&(found - expected)), "{seconds:?}");
        }
        for sound in &sounds {
            let loud = |samples: &[f32]| samples.iter().any(|sample| sample.abs() > 0.1);
            assert!(loud(&sound[..1600]), "it begins late");
        }
    }

    /// A sound that begins over the rest of one that was too long is cut out.
    #[test]
    fn a_sound_over_the_rest_of_a_long_one_is_cut_too() {
        let long = (3.0, 4.9, 0.02);
        let sounds = cut(&stream(9, &[long, (4.35, 4.65, 0.6)]));
        let seconds = lengths(&sounds);
        assert_eq!(seconds.len(), 2, "{seconds:?}");
        assert!((seconds[1] - 0.3).abs() < 0.15, "{seconds:?}");
        // Within a second of the rest it may be what stands out from a background that has just changed.
        let sounds = cut(&stream(9, &[long, (5.2, 5.5, 0.6)]));
        assert_eq!(sounds.len(), 1, "{:?}", lengths(&sounds));
    }
}
