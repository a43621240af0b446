//! Samples to frames, fewer of them while nothing is heard.
//!
//! Most of what a device does all day is to turn silence into features that nobody reads. While the gate is closed,
//! samples are therefore kept for a moment: [`STEP`] long. Then one frame is computed, the last, and where it is no
//! more than background it stands for all of them. Where it might be a sound, and as soon as a hop is suddenly louder
//! ([`Look`]), all frames are computed from the samples that were kept, so that no sound loses its beginning.

use crate::frontend::{Frontend, FrontendConfig};
use crate::parts::part_mut;

/// Seconds of samples that are kept.
const STEP: f32 = 0.096;

/// Takes the frames of a stream.
pub(super) trait Hearing {
    /// Takes the next frame.
    fn add(&mut self, frame: &[f32]) {
        self.add_background(frame, 1);
    }

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
    pub fn push<T: Sample>(&mut self, mut samples: &[T], hearing: &mut dyn Hearing) {
        while !samples.is_empty() {
            samples = match self.filled {
                Some(filled) => self.keep(filled, samples, hearing),
                None => self.compute(samples, hearing),
            };
        }
    }

    /// Takes samples up to the end of a frame, and returns the others.
    fn compute<'s, T: Sample>(&mut self, samples: &'s [T], hearing: &mut dyn Hearing) -> &'s [T] {
        let (now, later) = samples.split_at(samples.len().min(self.frontend.until_frame()));
        let before = self.frontend.computed_frames();
        add_frames(&mut self.frontend, now, hearing);
        if self.frontend.computed_frames() != before && hearing.is_quiet() {
            self.filled = Some(0);
            // What was usual before the sound, or in it, is not what is usual now.
            let mut last = [0.0];
            if let Some(sample) = now.last() {
                T::values(&[*sample], &mut last);
            }
            self.look = Look::behind(last[0]);
        }
        later
    }

    /// Keeps samples up to the end of a hop, and returns the others.
    fn keep<'s, T: Sample>(
        &mut self,
        filled: usize,
        samples: &'s [T],
        hearing: &mut dyn Hearing,
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
    #[inline(never)]
    fn decide(&mut self, filled: usize, louder: bool, hearing: &mut dyn Hearing) {
        let hop = usize::from(self.frontend.config().hop).max(1);
        self.filled = Some(0);
        if !louder {
            let last = self.frontend.peek(self.kept);
            if hearing.is_background(last) {
                hearing.add_background(last, (filled / hop) as u32);
                self.frontend.skip(self.kept);
                return;
            }
        }
        self.replay(filled, hearing);
        if !hearing.is_quiet() {
            self.filled = None;
        }
    }

    /// Computes every frame of the first `filled` samples that were kept.
    fn replay(&mut self, filled: usize, hearing: &mut dyn Hearing) {
        let samples = self.kept.get(..filled).unwrap_or_default();
        add_frames(&mut self.frontend, samples, hearing);
    }

    /// Ends the stream; see [`Frontend::flush`].
    pub fn flush(&mut self, hearing: &mut dyn Hearing) {
        if let Some(filled) = self.filled.take() {
            self.replay(filled, hearing);
        }
        self.frontend.flush(|frame| hearing.add(frame));
        self.reset();
    }

    /// Forgets all samples: a new stream begins.
    pub fn reset(&mut self) {
        self.frontend.reset();
        self.filled = None;
        self.look = Look::default();
    }

    /// Returns the frontend.
    pub fn frontend(&self) -> &Frontend<'b> {
        &self.frontend
    }
}

/// Computes every frame that samples complete. Not inlined: the frontend's code is in it.
#[inline(never)]
fn add_frames<T: Sample>(frontend: &mut Frontend<'_>, samples: &[T], hearing: &mut dyn Hearing) {
    T::push(frontend, samples, |frame| hearing.add(frame));
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
    /// Looks at what comes behind a sample: the first hop is louder than nothing.
    fn behind(last: f32) -> Self {
        Self {
            last,
            ..Self::default()
        }
    }

    /// Takes samples. Not inlined, so that every firmware runs the same code.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::FrontendForm;
    use proptest::prelude::*;

    const CONFIG: FrontendConfig = FrontendConfig {
        sample_rate: 8000,
        window: 128,
        hop: 64,
        mels: 8,
        frames: 50,
        f_min: 100.0,
        f_max: 3900.0,
        floor: 1e-5,
        mean: -4.0,
        scale: 0.25,
        form: FrontendForm::PLAIN,
    };

    /// Frames that one stands for.
    const STEPS: usize = Watch::room(&CONFIG) / CONFIG.hop as usize;

    /// Mean of a frame that noise does not reach, and a click does.
    const LOUD: f32 = -0.2;

    /// Notes the frames. A frame whose mean is below `loud` is background.
    struct Notes {
        frames: Vec<Vec<u32>>,
        /// How many of them another stood for.
        stood_for: usize,
        loud: f32,
    }

    impl Notes {
        fn is_loud(&self, frame: &[f32]) -> bool {
            frame.iter().sum::<f32>() / frame.len() as f32 >= self.loud
        }
    }

    impl Hearing for Notes {
        fn add_background(&mut self, frame: &[f32], times: u32) {
            let bits: Vec<u32> = frame.iter().map(|value| value.to_bits()).collect();
            self.frames.extend(vec![bits; times as usize]);
            self.stood_for += times as usize - 1;
        }

        fn is_quiet(&self) -> bool {
            let newest: Option<Vec<f32>> =
                (self.frames.last()).map(|bits| bits.iter().copied().map(f32::from_bits).collect());
            newest.is_none_or(|newest| !self.is_loud(&newest))
        }

        fn is_background(&self, frame: &[f32]) -> bool {
            !self.is_loud(frame)
        }
    }

    /// Noise, with a burst of `burst` samples that is a hundred times louder.
    fn noise(len: usize, burst: core::ops::Range<usize>) -> Vec<i16> {
        noise_with(len, &[(burst, 100)])
    }

    /// Noise, with bursts that are so many times louder.
    fn noise_with(len: usize, bursts: &[(core::ops::Range<usize>, i16)]) -> Vec<i16> {
        let mut state = 1_u32;
        let mut next = |at: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let sample = (state >> 24) as i16 - 128;
            let burst = bursts.iter().find(|(burst, _)| burst.contains(&at));
            sample * burst.map_or(1, |(_, times)| *times)
        };
        (0..len).map(&mut next).collect()
    }

    /// Returns what is heard of `samples`, cut into calls of `chunks` samples in turn, and the frames that were computed.
    fn watch<T: Sample>(samples: &[T], chunks: &[usize], loud: f32) -> (Notes, u32) {
        let mut buffer = vec![f32::NAN; CONFIG.buffer_len()];
        let mut kept = vec![f32::NAN; Watch::room(&CONFIG)];
        let frontend = Frontend::new(CONFIG, &mut buffer).unwrap();
        let mut watch = Watch::new(frontend, &mut kept);
        let mut notes = Notes {
            frames: Vec::new(),
            stood_for: 0,
            loud,
        };
        let mut rest = samples;
        for chunk in chunks.iter().cycle() {
            let (now, later) = rest.split_at((*chunk).min(rest.len()));
            watch.push(now, &mut notes);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let computed = watch.frontend().computed_frames();
        watch.flush(&mut notes);
        (notes, computed)
    }

    /// Every frame of `samples`.
    fn all_frames(samples: &[i16]) -> Vec<Vec<u32>> {
        let mut buffer = vec![f32::NAN; CONFIG.buffer_len()];
        let mut frontend = Frontend::new(CONFIG, &mut buffer).unwrap();
        let mut frames = Vec::new();
        let mut note =
            |frame: &[f32]| frames.push(frame.iter().map(|value| value.to_bits()).collect());
        frontend.push_i16(samples, &mut note);
        frontend.flush(note);
        frames
    }

    #[test]
    fn in_silence_a_frame_stands_for_several() {
        let samples = noise(64_000, 0..0);
        let all = all_frames(&samples);
        let (notes, computed) = watch(&samples, &[160], f32::INFINITY);
        assert_eq!(notes.frames.len(), all.len());
        let expected = all.len() / STEPS;
        // Noise of 64 samples is seldom 3 dB louder than usual.
        assert!(
            (expected..expected * 3 / 2).contains(&(computed as usize)),
            "{computed} of {}",
            all.len()
        );
        // The last of a step is the frame itself, wherever the steps begin.
        let same = notes.frames.iter().zip(&all).filter(|(a, b)| a == b);
        assert!(same.count() >= expected);
    }

    #[test]
    fn where_nothing_is_background_every_frame_is_computed() {
        let samples = noise(20_000, 0..0);
        let (notes, _) = watch(&samples, &[100], f32::NEG_INFINITY);
        assert!(notes.frames == all_frames(&samples) && notes.stood_for == 0);
    }

    /// A click that ends before a step does is heard: its hop is louder.
    #[test]
    fn no_frame_of_a_short_sound_is_left_out() {
        for at in (32_000..32_000 + 64 * STEPS).step_by(50) {
            let samples = noise(48_000, at..at + 80);
            let all = all_frames(&samples);
            let (notes, _) = watch(&samples, &[160], LOUD);
            // The frames that the click is in, and those before it since the step began.
            let first = (at - 127).div_ceil(64);
            let clicked = first..=(at + 79) / 64;
            assert!(notes.frames[clicked.clone()] == all[clicked], "{at}");
            assert!(2 * notes.stood_for > all.len(), "{}", notes.stood_for);
        }
        // So is a fainter one soon after it.
        for at in (33_200..33_200 + 64 * STEPS).step_by(50) {
            let samples = noise_with(48_000, &[(32_000..32_080, 100), (at..at + 80, 18)]);
            let all = all_frames(&samples);
            let (notes, _) = watch(&samples, &[160], LOUD);
            let clicked = (at - 127).div_ceil(64)..=(at + 79) / 64;
            assert!(notes.frames[clicked.clone()] == all[clicked], "{at}");
            assert!(2 * notes.stood_for > all.len(), "{}", notes.stood_for);
        }
    }

    #[test]
    fn another_stream_begins_as_the_first_did() {
        let samples = noise(16_000, 9000..9500);
        let mut buffer = vec![0.0; CONFIG.buffer_len()];
        let mut kept = vec![0.0; Watch::room(&CONFIG)];
        let frontend = Frontend::new(CONFIG, &mut buffer).unwrap();
        let mut watch = Watch::new(frontend, &mut kept);
        let mut heard = || {
            let mut notes = Notes {
                frames: Vec::new(),
                stood_for: 0,
                loud: f32::INFINITY,
            };
            watch.push(&samples, &mut notes);
            watch.flush(&mut notes);
            notes.frames
        };
        let first = heard();
        assert!(heard() == first);
    }

    #[test]
    fn samples_that_count_as_silence_are_counted_once() {
        let mut samples: Vec<f32> = noise(40_000, 20_000..21_000)
            .iter()
            .map(|sample| f32::from(*sample) / 32_768.0)
            .collect();
        for at in (0..40_000).step_by(1000) {
            samples[at] = f32::NAN;
        }
        let mut buffer = vec![0.0; CONFIG.buffer_len()];
        let mut kept = vec![0.0; Watch::room(&CONFIG)];
        let frontend = Frontend::new(CONFIG, &mut buffer).unwrap();
        let mut watch = Watch::new(frontend, &mut kept);
        let mut notes = Notes {
            frames: Vec::new(),
            stood_for: 0,
            loud: LOUD,
        };
        watch.push(&samples, &mut notes);
        assert_eq!(watch.frontend().invalid_samples(), 40);
    }

    proptest! {
        /// Cuts into calls and kinds of samples change nothing.
        #[test]
        fn chunks_and_kinds_do_not_matter(
            chunks in prop::collection::vec(1_usize..700, 1..5),
            from in 0_usize..20_000,
            len in 0_usize..3000,
        ) {
            let samples = noise(24_000, from..from + len);
            let floats: Vec<f32> =
                samples.iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
            let (whole, computed) = watch(&samples, &[usize::MAX], LOUD);
            let (cut, cut_computed) = watch(&floats, &chunks, LOUD);
            prop_assert!(whole.frames == cut.frames && whole.stood_for > 0);
            prop_assert_eq!(computed, cut_computed);
        }
    }
}
