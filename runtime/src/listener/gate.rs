//! The energy gate: which frames stand out from what the place sounds like.

use crate::frontend::FrontendConfig;

/// Seconds in which the background's level follows a louder and a quieter one.
const RISE: f32 = 5.0;
const FALL: f32 = 0.3;

/// Seconds from the stream's beginning for which the gate is open and the background is the mean of
/// all that was heard.
const SETTLING: f32 = 2.0;

/// Follows the background's level in every band and says when something is above it.
#[derive(Debug)]
pub(super) struct Gate<'b> {
    /// The background's level in each band, in units of features.
    background: &'b mut [f32],
    /// dB that one unit of a feature is worth.
    decibels: f32,
    rise: f32,
    fall: f32,
    /// Frames so far, up to those of [`SETTLING`].
    settled: u32,
    settling: u32,
    /// Least mean excess of a frame, dB.
    threshold: f32,
    /// Frames for which it stays open.
    hold: u32,
    /// Frames until it closes; 0 while closed.
    open: u32,
}

impl<'b> Gate<'b> {
    pub(super) fn new(
        config: &FrontendConfig,
        threshold: f32,
        hold: u32,
        background: &'b mut [f32],
    ) -> Self {
        let frames = config.frames_per_second();
        let rate = |seconds: f32| (1.0 / (seconds * frames)).min(1.0);
        Self {
            background,
            decibels: 10.0 / (core::f32::consts::LN_10 * config.scale),
            rise: rate(RISE),
            fall: rate(FALL),
            settled: 0,
            settling: (SETTLING * frames) as u32,
            threshold,
            hold,
            open: 0,
        }
    }

    /// Forgets the background.
    pub(super) fn reset(&mut self) {
        self.background.fill(0.0);
        self.settled = 0;
        self.open = 0;
    }

    /// Takes a frame; gives how far it is above the background: the mean over bands, dB, where a
    /// band below the background counts 0.
    pub(super) fn push(&mut self, frame: &[f32]) -> f32 {
        let settling = self.settled < self.settling;
        self.settled += u32::from(settling);
        let [rise, fall] = if settling {
            [1.0 / self.settled as f32; 2]
        } else {
            [self.rise, self.fall]
        };
        let mut excess = 0.0;
        for (background, value) in self.background.iter_mut().zip(frame) {
            let above = value - *background;
            excess += above.max(0.0);
            *background += above * if above > 0.0 { rise } else { fall };
        }
        let level = excess * self.decibels / frame.len() as f32;
        self.open = if settling || level >= self.threshold {
            self.hold
        } else {
            self.open.saturating_sub(1)
        };
        level
    }

    pub(super) fn is_open(&self) -> bool {
        self.open > 0
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
    };

    /// How many of `frames`, at 100 a second, open a gate of 4 dB that holds for `hold`.
    fn open(gate: &mut Gate<'_>, frame: &[f32; 4], frames: usize) -> usize {
        let opens = |_: &usize| {
            gate.push(frame);
            gate.is_open()
        };
        (0..frames).filter(opens).count()
    }

    #[test]
    fn it_opens_for_what_stands_out_and_follows_the_background() {
        let mut background = [f32::NAN; 4];
        let mut gate = Gate::new(&CONFIG, 4.0, 10, &mut background);
        gate.reset();
        let quiet = [-1.0, 0.0, 0.5, 1.0];
        // Open until the background is known, and then for as long as it holds.
        assert_eq!(open(&mut gate, &quiet, 1000), 209);
        // 4 dB is 0.23 in these features' unit: a band of four that is 1 above is as much.
        let sound = [0.0, 0.0, 0.5, 1.0];
        assert_eq!(open(&mut gate, &sound, 30), 30);
        assert_eq!(open(&mut gate, &quiet, 100), 9);
        // A lasting louder sound becomes the background, after seconds; a quieter one in no time.
        let loud = quiet.map(|value| value + 2.0);
        let lasting = open(&mut gate, &loud, 6000);
        assert!((500..2000).contains(&lasting), "{lasting}");
        assert_eq!(open(&mut gate, &quiet, 300), 0);
        assert_eq!(open(&mut gate, &loud, 1), 1);
    }

    #[test]
    fn the_level_is_the_mean_excess_in_decibels() {
        let mut background = [0.0; 4];
        let mut gate = Gate::new(&CONFIG, 4.0, 10, &mut background);
        gate.reset();
        open(&mut gate, &[0.0; 4], 300);
        // A factor of 10 in power is ln(10) * scale in a feature; what is below does not count.
        let ten = core::f32::consts::LN_10 * CONFIG.scale;
        let level = gate.push(&[ten, -ten, 3.0 * ten, 0.0]);
        assert!((level - 10.0).abs() < 1e-3, "{level}");
    }
}
