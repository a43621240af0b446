//! The energy gate finds the frames that stand out from the background.
//!
//! Noise never lies still at its own mean: some bands of every frame are above it. So a sound is not
//! told by how far a frame is above the background, but by how much farther it is than the background's
//! own frames usually are.

use super::config::frames_in;
use super::level::excess;
use super::steady::Steady;
use super::surge::Surge;
use crate::frontend::FrontendConfig;
use crate::parts::{clamp, copy};

/// Seconds in which the background is followed.
const FOLLOW: f32 = 5.0;

/// Largest distance of a frame from the background that counts while it is followed, dB. A sound moves
/// the background by no more than this in [`FOLLOW`] seconds.
const BAND_STEP: f32 = 6.0;
const LEVEL_STEP: f32 = 1.5;

/// A frame whose mean over bands is below the background by more than this, dB, is a quieter place:
/// noise of many bands does not get there by itself. It is followed within [`FALL`] seconds.
const DROP: f32 = 6.0;
const FALL: f32 = 0.3;

/// Seconds from the stream's beginning for which the gate is open and the background is the mean of
/// all that was heard.
const SETTLING: f32 = 2.0;

/// Follows the background's level in every band and says when something is above it.
#[derive(Debug)]
pub(super) struct Gate<'b> {
    /// Mean of the background in each band, in units of features.
    background: &'b mut [f32],
    /// Usual level of the background's own frames, dB.
    usual: f32,
    /// dB that one unit of a feature is worth.
    decibels: f32,
    follow: f32,
    fall: f32,
    /// Frames so far, up to those of [`SETTLING`].
    settled: u32,
    settling: u32,
    /// How far the level of a frame has to be above the usual one, dB.
    threshold: f32,
    /// Frames for which it stays open.
    hold: u32,
    /// Frames until it closes; 0 while closed.
    open: u32,
    /// Finds out whether what the gate is open for is noise that has risen.
    steady: Steady<'b>,
    /// Finds a sound that begins over a fainter one.
    surge: Surge,
    /// Whether a new sound begins with the newest frame while the gate is open.
    onset: bool,
}

impl<'b> Gate<'b> {
    /// Makes a gate in `room`, [`Self::room`] values.
    pub(super) fn new(
        config: &FrontendConfig,
        threshold: f32,
        hold: u32,
        room: &'b mut [f32],
    ) -> Self {
        let frames = config.frames_per_second();
        let decibels = 10.0 / (core::f32::consts::LN_10 * config.scale);
        let (background, room) = room.split_at_mut(config.mels.into());
        let rate = |seconds: f32| (1.0 / (seconds * frames)).min(1.0);
        Self {
            background,
            usual: 0.0,
            decibels,
            follow: rate(FOLLOW),
            fall: rate(FALL),
            settled: 0,
            settling: frames_in(SETTLING, frames),
            threshold,
            hold,
            open: 0,
            steady: Steady::new(room, decibels, frames),
            surge: Surge::new(frames),
            onset: false,
        }
    }

    /// Returns the number of values that it needs room for, for frames of `mels` bands.
    pub(super) const fn room(mels: usize) -> usize {
        mels.saturating_mul(3)
    }

    /// Forgets the background.
    pub(super) fn reset(&mut self) {
        self.background.fill(0.0);
        self.usual = 0.0;
        self.settled = 0;
        self.open = 0;
        self.steady.reset();
        self.surge.reset();
        self.onset = false;
    }

    /// Takes a frame and returns how far it stands out, dB: its level less the usual one. The level is
    /// the mean over bands of the excess over the background, by its fourth power: a tone in one band
    /// of 64 would hardly change a plain mean.
    ///
    /// A frame of background may stand for several, `times`. Not inlined, so that every firmware runs the same code.
    #[inline(never)]
    pub(super) fn push(&mut self, frame: &[f32], times: u32) -> f32 {
        let bands = frame.len() as f32;
        let [follow, fall] = [self.follow, self.fall].map(|rate| (rate * times as f32).min(1.0));
        let (stands_out, sum) = self.excess(frame);
        let settling = self.settled < self.settling;
        if settling {
            self.settled += 1;
            self.follow_background(frame, 1.0 / self.settled as f32, f32::INFINITY);
            self.usual += stands_out / self.settled as f32;
        } else if sum * self.decibels < -DROP * bands {
            self.follow_background(frame, fall, f32::INFINITY);
        } else {
            self.follow_background(frame, follow, BAND_STEP / self.decibels);
            self.usual += follow * stands_out.min(LEVEL_STEP);
        }
        self.open = if settling || stands_out >= self.threshold {
            self.hold
        } else {
            self.open.saturating_sub(1)
        };
        self.onset = false;
        if self.open > 0 && !settling {
            self.follow_steady(frame);
        }
        if self.open == 0 {
            self.steady.reset();
        }
        if self.open == 0 || self.onset {
            // The next level is that of another sound, or over another background.
            self.surge.reset();
        } else if !settling {
            self.onset = self.surge.push(stands_out) && self.stands_out();
        }
        stands_out
    }

    /// Returns how far a frame stands out, dB, and the sum over bands of its excess over the background.
    fn excess(&self, frame: &[f32]) -> (f32, f32) {
        let (level, sum) = excess(frame, self.background);
        (self.decibels * level - self.usual, sum)
    }

    /// Tells whether a frame stands out by less than half of what opens the gate, and is no quieter place.
    pub(super) fn is_background(&self, frame: &[f32]) -> bool {
        let (stands_out, sum) = self.excess(frame);
        // Half of a negative threshold is above it.
        stands_out < self.threshold
            && 2.0 * stands_out < self.threshold
            && sum * self.decibels >= -DROP * frame.len() as f32
    }

    /// Tells whether it is closed and the background is known.
    pub(super) fn is_quiet(&self) -> bool {
        self.open == 0 && self.settled == self.settling
    }

    /// Takes a frame while the gate is open. A sound that stays as it is becomes the background, and the
    /// gate closes; one that stands out from a steady sound is a new sound over that background.
    fn follow_steady(&mut self, frame: &[f32]) {
        let above = self.steady.level_of(frame);
        let usual = self.steady.usual().unwrap_or(self.usual);
        self.onset = above.is_some_and(|level| level - usual >= self.threshold);
        let stands_out = self.open == self.hold;
        let noise = !self.onset && self.steady.add(frame, self.background, stands_out);
        if noise || self.onset {
            let _ = copy(self.steady.mean(), self.background);
            self.usual = self.steady.usual().unwrap_or(self.usual);
            self.steady.reset();
        }
        if noise {
            self.open = 0;
        } else if self.onset {
            self.open = self.hold;
        }
    }

    /// Moves the background by `rate` of its distance from `frame`, of which no more than `most`
    /// counts.
    fn follow_background(&mut self, frame: &[f32], rate: f32, most: f32) {
        for (background, value) in self.background.iter_mut().zip(frame) {
            *background += rate * clamp(value - *background, -most, most);
        }
    }

    /// Tells whether a new sound begins with the newest frame while the gate is open for another.
    pub(super) fn has_onset(&self) -> bool {
        self.onset
    }

    pub(super) fn is_open(&self) -> bool {
        self.open > 0
    }

    /// Tells whether the newest frame itself stands out. The gate stays open for a while after it.
    pub(super) fn stands_out(&self) -> bool {
        self.open > 0 && self.open == self.hold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: FrontendConfig = FrontendConfig {
        sample_rate: 16_000,
        window: 512,
        hop: 160,
        mels: 4,
        frames: 50,
        f_min: 60.0,
        f_max: 7800.0,
        floor: 1e-5,
        mean: -4.0,
        scale: 0.25,
        form: crate::frontend::FrontendForm::PLAIN,
    };

    /// Returns how many of so many frames that are all alike the gate is open for.
    fn open(gate: &mut Gate<'_>, frame: &[f32; 4], frames: usize) -> usize {
        let opens = |_: &usize| {
            gate.push(frame, 1);
            gate.is_open()
        };
        (0..frames).filter(opens).count()
    }

    #[test]
    fn it_opens_for_what_stands_out_and_follows_the_background() {
        let mut room = [f32::NAN; 12];
        let mut gate = Gate::new(&CONFIG, 4.0, 10, &mut room);
        gate.reset();
        let quiet = [-1.0, 0.0, 0.5, 1.0];
        // Open until the background is known, and then for as long as it holds.
        assert_eq!(open(&mut gate, &quiet, 1000), 209);
        // 4 dB is 0.23 in these features' unit: one band of four that is 0.33 above is as much.
        let sound = [-0.6, 0.0, 0.5, 1.0];
        assert_eq!(open(&mut gate, &sound, 30), 30);
        assert_eq!(open(&mut gate, &quiet, 100), 9);
        // A sound that stays as it is, 35 dB louder, becomes the background within two seconds; a
        // quieter place in no time.
        let loud = quiet.map(|value| value + 2.0);
        let lasting = open(&mut gate, &loud, 6000);
        assert!((100..200).contains(&lasting), "{lasting}");
        assert_eq!(open(&mut gate, &quiet, 300), 0);
        assert_eq!(open(&mut gate, &loud, 1), 1);
    }

    #[test]
    fn the_level_is_the_fourth_power_mean_of_what_is_above_in_decibels() {
        let mut room = [0.0; 12];
        let mut gate = Gate::new(&CONFIG, 4.0, 10, &mut room);
        gate.reset();
        open(&mut gate, &[0.0; 4], 300);
        // A factor of 10 in power is ln(10) * scale in a feature; what is below does not count.
        let ten = core::f32::consts::LN_10 * CONFIG.scale;
        let level = gate.push(&[ten, -ten, 3.0 * ten, 0.0], 1);
        let mean = (10_f32.powi(4) + 30_f32.powi(4)) / 4.0;
        assert!((level - mean.powf(0.25)).abs() < 1e-3, "{level}");
    }

    /// A gate below the usual level takes no frame for background that opens it.
    #[test]
    fn no_background_opens_the_gate() {
        for threshold in [-20.0, -5.0, 0.0, 6.0] {
            let mut room = [0.0; 12];
            let mut gate = Gate::new(&CONFIG, threshold, 1, &mut room);
            gate.reset();
            let unit = core::f32::consts::LN_10 * CONFIG.scale / 10.0;
            let usual = |at: usize| [if at.is_multiple_of(2) { 24.0 } else { 0.0 } * unit; 4];
            (0..300).for_each(|at| _ = gate.push(&usual(at), 1));
            for level in 0_u8..40 {
                let frame = [f32::from(level) * unit; 4];
                let is_background = gate.is_background(&frame);
                let (stands_out, _) = gate.excess(&frame);
                assert!(
                    !is_background || stands_out < threshold,
                    "{threshold}, {level}"
                );
            }
        }
    }

    /// While the background settles the gate is open with nothing that stands out: no sound begins then.
    #[test]
    fn what_does_not_stand_out_begins_no_sound() {
        let mut room = [0.0; 12];
        let mut gate = Gate::new(&CONFIG, 6.0, 50, &mut room);
        gate.reset();
        // Levels that change all the time are the usual ones, and 15 dB below them are quiet frames.
        let unit = core::f32::consts::LN_10 * CONFIG.scale / 10.0;
        let settling = (0..200).map(|at| if at % 2 == 0 { 30.0 } else { 0.0 });
        let later = (0..45).map(|at| if at < 40 { 0.0 } else { 16.0 });
        for (at, level) in settling.chain(later).enumerate() {
            let stands_out = gate.push(&[level * unit; 4], 1);
            assert!(stands_out < 6.0 || at < 200, "{at}: {stands_out}");
            assert!(!gate.has_onset(), "{at}");
        }
    }

    /// Frames of white noise in 64 bands of one FFT bin each: the powers are exponential, in dB with
    /// a deviation of 5.6.
    fn noise(frames: usize, scale: f32) -> Vec<[f32; 64]> {
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let uniform = ((state >> 8) as f32 + 0.5) / 16_777_216.0;
            scale * (-uniform.ln()).ln()
        };
        (0..frames)
            .map(|_| core::array::from_fn(|_| next()))
            .collect()
    }

    #[test]
    fn it_closes_in_noise_and_opens_for_a_tone_in_it() {
        let config = FrontendConfig { mels: 64, ..CONFIG };
        let mut room = [0.0; 192];
        let mut gate = Gate::new(&config, 3.0, 10, &mut room);
        gate.reset();
        let mut frames = noise(6000, config.scale);
        // 25 dB above the noise of its band, 7 dB above all of it.
        for frame in &mut frames[5000..5030] {
            frame[20] += 2.5 * core::f32::consts::LN_10 * config.scale;
        }
        let opens: Vec<bool> = frames
            .iter()
            .map(|frame| {
                gate.push(frame, 1);
                gate.stands_out()
            })
            .collect();
        let count = |range: core::ops::Range<usize>| opens[range].iter().filter(|o| **o).count();
        assert!(count(300..5000) < 10, "{}", count(300..5000));
        assert!(count(5000..5030) > 20, "{}", count(5000..5030));
        assert_eq!(count(5030..6000), 0);
    }

    /// Noise that rises by 10, 20 or 30 dB is the background within two seconds, and a tone in it opens
    /// the gate again.
    #[test]
    fn it_follows_noise_that_rises() {
        let config = FrontendConfig { mels: 64, ..CONFIG };
        let unit = core::f32::consts::LN_10 * config.scale / 10.0;
        for rise in [10.0, 20.0, 30.0] {
            let mut room = [0.0; 192];
            let mut gate = Gate::new(&config, 4.0, 50, &mut room);
            gate.reset();
            let mut frames = noise(3000, config.scale);
            for frame in &mut frames[1000..] {
                for value in frame.iter_mut() {
                    *value += rise * unit;
                }
            }
            for frame in &mut frames[1400..1430] {
                frame[20] += 25.0 * unit;
            }
            let opens: Vec<bool> = frames
                .iter()
                .map(|frame| {
                    gate.push(frame, 1);
                    gate.is_open()
                })
                .collect();
            let count =
                |range: core::ops::Range<usize>| opens[range].iter().filter(|o| **o).count();
            let rest = count(1200..1400);
            assert!(count(1000..1010) == 10 && rest < 60, "{rise}: {rest}");
            assert!(count(1400..1430) > 20, "{rise}");
            assert!(count(1500..3000) < 150, "{rise}: {}", count(1500..3000));
        }
    }

    /// A tone over noise that has risen a second ago, and is not the background yet, is a sound of its
    /// own, and so is a knock over a gust; what fades away, or changes all the time, is not cut into sounds.
    #[test]
    fn a_new_sound_in_a_steady_one_is_an_onset() {
        let config = FrontendConfig { mels: 64, ..CONFIG };
        let unit = core::f32::consts::LN_10 * config.scale / 10.0;
        let onsets = |change: &dyn Fn(usize, &mut [f32; 64])| {
            let mut room = [0.0; 192];
            let mut gate = Gate::new(&config, 4.0, 50, &mut room);
            gate.reset();
            let mut frames = noise(1400, config.scale);
            frames
                .iter_mut()
                .enumerate()
                .skip(1000)
                .for_each(|(at, frame)| change(at - 1000, frame));
            let found = frames.iter().enumerate().filter(|(_, frame)| {
                gate.push(&frame[..], 1);
                gate.has_onset()
            });
            found.map(|(at, _)| at).collect::<Vec<usize>>()
        };
        let louder = |frame: &mut [f32; 64], level: f32| {
            for value in frame.iter_mut() {
                *value += level * unit;
            }
        };
        let found = onsets(&|at, frame| {
            louder(frame, 20.0);
            if (120..140).contains(&at) {
                frame[20] += 25.0 * unit;
            }
        });
        assert!(
            found.first().is_some_and(|at| (1120..1130).contains(at)),
            "{found:?}"
        );
        // A knock over a gust of half a second.
        let found = onsets(&|at, frame| match at {
            0..50 => louder(frame, 8.0),
            50..70 => louder(frame, 25.0),
            _ => {}
        });
        assert_eq!(found, [1050]);
        // A gong that fades by 12 dB a second, and a second stroke of it.
        let found = onsets(&|at, frame| louder(frame, (30.0 - 0.12 * (at % 150) as f32).max(0.0)));
        assert!(found.is_empty(), "{found:?}");
        // Syllables.
        let found = onsets(&|at, frame| louder(frame, if at / 15 % 2 == 0 { 25.0 } else { 8.0 }));
        assert!(found.is_empty(), "{found:?}");
    }
}
