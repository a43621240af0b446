//! Samples to frames, fewer of them while nothing is heard.
//!
//! Most of what a device does all day is to turn silence into features that nobody reads. While the gate is closed,
//! samples are therefore kept for a moment: [`STEP`] long. Then one frame is computed, the last, and where it is no
//! more than background it stands for all of them. Where it might be a sound, and as soon as a hop is suddenly louder
//! ([`Look`]), all frames are computed from the samples that were kept, so that no sound loses its beginning.

use crate::frontend::{Frontend, FrontendConfig};
use crate::parts::part_mut;

/// Seconds of samples that are kept.
const STEP: f32 = 0.08;

/// Takes the frames of a stream.
pub(super) trait Hearing {
    /// Takes the next frame.
    fn add(&mut self, frame: &[f32]);

    /// Takes a frame of background that stands for the next `times` frames, at least one.
    fn add_background(&mut self, frame: &[f32], times: u32);

    /// Tells whether no sound is heard and the background is known.
    fn is_quiet(&self) -> bool;

    /// Tells whether a frame is far from standing out of the background.
    fn is_background(&self, frame: &[f32]) -> bool;
}

/// A kind of sample.
pub(super) trait Sample: Copy {
    /// Writes the values that features are computed from, and returns how many samples count as silence.
    fn values(samples: &[Self], out: &mut [f32]) -> u32;

    /// Takes samples into a frontend.
    fn push(frontend: &mut Frontend<'_>, samples: &[Self], on_frame: impl FnMut(&[f32]));
}

impl Sample for f32 {
    #[inline(never)]
    fn values(samples: &[Self], out: &mut [f32]) -> u32 {
        let mut invalid = 0;
        for (value, sample) in out.iter_mut().zip(samples) {
            let valid = Frontend::is_valid(*sample);
            invalid += u32::from(!valid);
            *value = if valid { *sample } else { 0.0 };
        }
        invalid
    }

    fn push(frontend: &mut Frontend<'_>, samples: &[Self], on_frame: impl FnMut(&[f32])) {
        frontend.push(samples, on_frame);
    }
}

impl Sample for i16 {
    #[inline(never)]
    fn values(samples: &[Self], out: &mut [f32]) -> u32 {
        // Four at a time: the loop itself would be a third of the work.
        let (fours, last) = samples.as_chunks::<4>();
        let (out_fours, _) = out.as_chunks_mut::<4>();
        for (values, samples) in out_fours.iter_mut().zip(fours) {
            *values = samples.map(Frontend::value_of);
        }
        let rest = out.iter_mut().skip(samples.len() - last.len());
        for (value, sample) in rest.zip(last) {
            *value = Frontend::value_of(*sample);
        }
        0
    }

    fn push(frontend: &mut Frontend<'_>, samples: &[Self], on_frame: impl FnMut(&[f32])) {
        frontend.push_i16(samples, on_frame);
    }
}

/// A frontend that computes only some frames while nothing is heard.
#[derive(Debug)]
pub(super) struct Watch<'b> {
    frontend: Frontend<'b>,
    /// Samples behind the frontend's, in whole hops.
    kept: &'b mut [f32],
    /// How many there are; `None` while every frame is computed.
    filled: Option<usize>,
    look: Look,
}

impl<'b> Watch<'b> {
    /// Returns the number of samples that are kept: whole hops, at least as many as a frame covers.
    pub const fn room(config: &FrontendConfig) -> usize {
        let hop = if config.hop == 0 {
            1
        } else {
            config.hop as usize
        };
        let step = (STEP * config.sample_rate as f32) as usize;
        let window = config.window as usize;
        let most = if step > window { step } else { window };
        most.div_ceil(hop).saturating_mul(hop)
    }

    /// Makes a watch over `frontend` that keeps samples in `kept`, [`Self::room`] values.
    pub fn new(frontend: Frontend<'b>, kept: &'b mut [f32]) -> Self {
        Self {
            frontend,
            kept,
            filled: None,
            look: Look::default(),
        }
    }

    /// Takes samples.
    pub fn push<T: Sample>(&mut self, mut samples: &[T], hearing: &mut impl Hearing) {
        while !samples.is_empty() {
            samples = match self.filled {
                Some(filled) => self.keep(filled, samples, hearing),
                None => self.compute(samples, hearing),
            };
        }
    }

    /// Takes samples up to the end of a frame, and returns the others.
    fn compute<'s, T: Sample>(&mut self, samples: &'s [T], hearing: &mut impl Hearing) -> &'s [T] {
        let (now, later) = samples.split_at(samples.len().min(self.frontend.until_frame()));
        let mut quiet = false;
        T::push(&mut self.frontend, now, |frame| {
            hearing.add(frame);
            quiet = hearing.is_quiet();
        });
        if quiet {
            self.filled = Some(0);
        }
        later
    }

    /// Keeps samples up to the end of a hop, and returns the others.
    fn keep<'s, T: Sample>(
        &mut self,
        filled: usize,
        samples: &'s [T],
        hearing: &mut impl Hearing,
    ) -> &'s [T] {
        let hop = usize::from(self.frontend.config().hop).max(1);
        let (now, later) = samples.split_at(samples.len().min(hop - filled % hop));
        let room = part_mut(self.kept, filled, now.len()).unwrap_or_default();
        self.frontend.count_invalid(T::values(now, room));
        self.look.add(room);
        let filled = filled + now.len();
        self.filled = Some(filled);
        if filled.is_multiple_of(hop) {
            let louder = self.look.is_louder();
            if louder || filled >= self.kept.len() {
                self.decide(filled, louder, hearing);
            }
        }
        later
    }

    /// Computes the frames of what was kept: all of them if it is `louder` or the last may be a sound, else that
    /// one for all.
    fn decide(&mut self, filled: usize, louder: bool, hearing: &mut impl Hearing) {
        let hop = usize::from(self.frontend.config().hop).max(1);
        self.filled = Some(0);
        if !louder {
            let (last, kept) = self.frontend.peek(self.kept);
            if hearing.is_background(last) {
                hearing.add_background(last, (filled / hop) as u32);
                self.frontend.skip(kept);
                return;
            }
        }
        self.replay(filled, hearing);
        if !hearing.is_quiet() {
            self.filled = None;
        }
    }

    /// Computes every frame of the first `filled` samples that were kept.
    fn replay(&mut self, filled: usize, hearing: &mut impl Hearing) {
        let samples = self.kept.get(..filled).unwrap_or_default();
        self.frontend.push(samples, |frame| hearing.add(frame));
    }

    /// Computes the frames of what is kept.
    pub fn catch_up(&mut self, hearing: &mut impl Hearing) {
        if let Some(filled) = self.filled.take() {
            self.replay(filled, hearing);
        }
    }

    /// Ends the stream; see [`Frontend::flush`].
    pub fn flush(&mut self, hearing: &mut impl Hearing) {
        self.catch_up(hearing);
        self.frontend.flush(|frame| hearing.add(frame));
        self.reset();
    }

    /// Forgets all samples: a new stream begins.
    pub fn reset(&mut self) {
        self.frontend.reset();
        self.filled = None;
    }

    /// Returns the frontend.
    pub fn frontend(&self) -> &Frontend<'b> {
        &self.frontend
    }
}

/// How much louder a hop has to be than those before it, in power: 3 dB.
const LOUDER: f32 = 2.0;

/// Share of a hop in the power that the next ones are compared with.
const RATE: f32 = 0.1;

/// Compares the power of hops, and of their differences from sample to sample, in which a click or a hiss is louder
/// than a hum.
#[derive(Debug, Default)]
struct Look {
    last: f32,
    /// Sums of squares of this hop: of its samples and of their differences.
    sums: [f32; 2],
    /// The usual sums.
    usual: [f32; 2],
}

impl Look {
    /// Takes samples. Not inlined: a firmware that is optimised for size would compile it so, too.
    #[inline(never)]
    fn add(&mut self, samples: &[f32]) {
        let (mut last, [mut power, mut rise]) = (self.last, self.sums);
        let mut add = |sample: f32| {
            let difference = sample - last;
            last = sample;
            power += sample * sample;
            rise += difference * difference;
        };
        // Four at a time, as above.
        let (fours, rest) = samples.as_chunks::<4>();
        for four in fours {
            four.iter().copied().for_each(&mut add);
        }
        rest.iter().copied().for_each(add);
        (self.last, self.sums) = (last, [power, rise]);
    }

    /// Ends a hop, and tells whether it is louder than usual. What was louder is usual next time.
    fn is_louder(&mut self) -> bool {
        let mut louder = false;
        for (usual, sum) in self.usual.iter_mut().zip(&mut self.sums) {
            if *sum > LOUDER * *usual {
                louder = true;
                *usual = *sum;
            } else {
                *usual += RATE * (*sum - *usual);
            }
            *sum = 0.0;
        }
        louder
    }
}
