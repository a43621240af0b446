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

    #[test]
    fn each_sound_is_cut_at_its_ends_and_the_long_one_short() {
        let rate = 16_000;
        let noise = |n: u32| (n.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0;
        let mut stream: Vec<f32> = (0..10 * rate).map(|n| 0.001 * noise(n)).collect();
        for (from, to) in [(3.0, 3.4), (5.0, 5.9), (7.0, 9.0)] {
            let place = |seconds: f32| (seconds * rate as f32) as usize;
            for (n, sample) in stream
                .iter_mut()
                .enumerate()
                .take(place(to))
                .skip(place(from))
            {
                *sample += 0.3 * (n as f32 * 0.5).sin() + 0.1 * noise(n as u32 / 3);
            }
        }
        let file = BackboneFile::open(&ModelSource::default(), None).unwrap();
        let frontend = *file.backbone().unwrap().space().frontend();
        let mut buffer = Vec::new();
        let mut cutter = SoundCutter::new(&frontend, &mut buffer, 1.2).unwrap();
        let mut sounds = Vec::new();
        for samples in stream.chunks(1000) {
            sounds.extend(cutter.push(samples));
        }
        assert!(cutter.is_quiet());
        let seconds: Vec<f32> = sounds
            .iter()
            .map(|s| s.len() as f32 / rate as f32)
            .collect();
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
}
