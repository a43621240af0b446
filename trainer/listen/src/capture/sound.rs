//! Cuts single sounds out of a stream, as the listener finds them.

use crate::profile::Memory;
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::Learner;
use mtslvr_runtime::listener::{ListenError, Listener, ListenerConfig, ListenerError};

/// Cuts a stream where a listener's gate opens and closes, so that an example is exactly what the
/// listener will judge.
#[derive(Debug)]
pub struct SoundCutter<'b, B> {
    backbone: &'b mut B,
    /// A listener that knows nothing; only its gate matters.
    learner: Learner<'b>,
    listener: Listener<'b>,
    /// The last samples, the first of them being number `first` of the stream.
    kept: Vec<f32>,
    first: u64,
    /// Most samples of a sound.
    most: u64,
    /// Samples that are kept while nothing is heard: the gate opens some time after a sound began.
    memory: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// The background is not known yet, and the gate is always open.
    Settling,
    /// Nothing is heard.
    Quiet,
    /// A sound, from its first sample to the last so far.
    Sound(u64, u64),
    /// The rest of a sound that was too long.
    Rest,
}

impl<'b, B: Backbone> SoundCutter<'b, B> {
    /// Starts to cut the sounds that `backbone` would judge; a sound is cut after `seconds`. `memory`
    /// is for this backbone; the contents of `buffer` do not matter.
    ///
    /// # Errors
    /// If the backbone's features cannot be computed.
    pub fn new(
        backbone: &'b mut B,
        memory: &'b mut Memory,
        buffer: &'b mut Vec<f32>,
        seconds: f32,
    ) -> Result<Self, ListenerError> {
        let space = backbone.space();
        let frontend = *space.frontend();
        let classes = Memory::CLASSES;
        buffer.resize(Listener::buffer_len(&frontend, space.dim(), classes), 0.0);
        let config = ListenerConfig::DEFAULT;
        Ok(Self {
            listener: Listener::new(config, &space, classes, buffer)?,
            learner: memory.learner(),
            backbone,
            kept: Vec::new(),
            first: 0,
            most: (seconds * frontend.sample_rate as f32) as u64,
            memory: 2 * u64::from(frontend.sample_rate),
            state: State::Settling,
        })
    }

    /// Tells whether the background is known, and nothing is heard above it.
    pub fn is_quiet(&self) -> bool {
        self.state == State::Quiet
    }

    /// Takes samples and returns the sounds that ended in them.
    ///
    /// # Errors
    /// If the backbone fails.
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<Vec<f32>>, ListenError<B::Error>> {
        self.kept.extend_from_slice(samples);
        let mut windows = Vec::new();
        self.listener
            .push(&mut self.learner, self.backbone, samples, |window| {
                windows.push((window.start, window.end, window.onset.is_some()));
            })?;
        let mut sounds = Vec::new();
        for (start, end, heard) in windows {
            sounds.extend(self.window(start, end, heard));
        }
        let needed = match self.state {
            State::Sound(start, _) => start,
            _ => (self.first + self.kept.len() as u64).saturating_sub(self.memory),
        };
        let gone = needed.saturating_sub(self.first) as usize;
        self.kept.drain(..gone);
        self.first += gone as u64;
        Ok(sounds)
    }

    fn window(&mut self, start: u64, end: u64, heard: bool) -> Option<Vec<f32>> {
        let most = self.most;
        let (state, sound) = match self.state {
            State::Settling | State::Rest if heard => (self.state, None),
            State::Settling | State::Rest | State::Quiet if !heard => (State::Quiet, None),
            State::Sound(from, to) if !heard => (State::Quiet, Some((from, to))),
            // The gate has closed and opened again since the window before.
            State::Sound(from, to) if start >= to => (State::Sound(start, end), Some((from, to))),
            State::Sound(from, _) if end - from >= most => (State::Rest, Some((from, from + most))),
            State::Sound(from, _) => (State::Sound(from, end), None),
            _ => (State::Sound(start, end), None),
        };
        self.state = state;
        let (from, to) = sound?;
        let place = |sample: u64| sample.saturating_sub(self.first) as usize;
        Some(self.kept.get(place(from)..place(to))?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_pack::{BackboneFile, ModelSource};

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
        let mut backbone = file.backbone().unwrap();
        let mut memory = Memory::for_backbone(&backbone);
        let mut buffer = Vec::new();
        let mut cutter = SoundCutter::new(&mut backbone, &mut memory, &mut buffer, 1.5).unwrap();
        let mut sounds = Vec::new();
        for samples in stream.chunks(1000) {
            sounds.extend(cutter.push(samples).unwrap());
        }
        assert!(cutter.is_quiet());
        let seconds: Vec<f32> = sounds
            .iter()
            .map(|s| s.len() as f32 / rate as f32)
            .collect();
        assert_eq!(seconds.len(), 3, "{seconds:?}");
        for (found, expected) in seconds.iter().zip([0.4, 0.9, 1.5]) {
            // Its ends are those of frames, two before and after it.
            assert!((-0.02..0.15).contains(&(found - expected)), "{seconds:?}");
        }
        for sound in &sounds {
            let loud = |samples: &[f32]| samples.iter().any(|sample| sample.abs() > 0.1);
            assert!(loud(&sound[..1600]), "it begins late");
        }
    }
}
