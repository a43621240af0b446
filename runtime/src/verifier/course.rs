//! Describes how a sound changes from one time slice to the next.

/// Bands of a slice.
pub const BANDS: usize = 16;

/// Log-mel frames of a slice: 48 ms with the shipped backbones.
pub const SLICE_FRAMES: usize = 3;

/// Largest number of slices. What comes later in a sound is not compared.
pub const MOST_SLICES: usize = 21;

/// One unit of a course's values as int8: a course has a root mean square of one unit in each slice.
const UNIT: f32 = 32.0;

/// Least power of a slice, in the units of log-mel frames, so that a steady sound has no course of noise.
const LEAST_POWER: f32 = 1e-3;

/// Largest distance from the loudest value, in the units of log-mel frames: 31 dB with the shipped
/// backbones. What is quieter counts as that much, so that a clean example is like a sound in noise.
const DEPTH: f32 = 1.8;

/// The course of a sound: the level in each band and slice, less the band's mean over the sound, so that
/// what stays the same does not count. All slices together have the mean power 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    slices: u8,
    values: [[i8; BANDS]; MOST_SLICES],
}

impl Course {
    /// The course of no sound.
    pub const EMPTY: Self = Self {
        slices: 0,
        values: [[0; BANDS]; MOST_SLICES],
    };

    /// Computes the course of a sound from its log-mel frames, `[frames][mels]`, from its beginning on.
    pub fn of(frames: &[f32], mels: usize) -> Self {
        let mels = mels.max(1);
        let most = SLICE_FRAMES * MOST_SLICES;
        let count = (frames.len() / mels).min(most);
        let slices = match count {
            0 => return Self::EMPTY,
            _ => ((count + SLICE_FRAMES / 2) / SLICE_FRAMES).clamp(1, MOST_SLICES),
        };
        let mut levels = [[0.0_f32; BANDS]; MOST_SLICES];
        let levels = levels.get_mut(..slices).unwrap_or_default();
        for (at, slice) in levels.iter_mut().enumerate() {
            let (from, to) = (at * count / slices, (at + 1) * count / slices);
            for (band, level) in slice.iter_mut().enumerate() {
                let frames = frames.get(from * mels..to * mels).unwrap_or_default();
                *level = mean_level(frames, mels, band);
            }
        }
        let loudest = levels
            .iter()
            .flatten()
            .copied()
            .fold(f32::NEG_INFINITY, f32::max);
        let raise = |level: &mut f32| *level = level.max(loudest - DEPTH);
        levels.iter_mut().flatten().for_each(raise);
        for band in 0..BANDS {
            let mean = levels.iter().map(|slice| slice[band]).sum::<f32>() / slices as f32;
            for slice in levels.iter_mut() {
                slice[band] -= mean;
            }
        }
        let power: f32 = levels.iter().flatten().map(|level| level * level).sum();
        let scale = UNIT / libm::sqrtf(power / slices as f32 + LEAST_POWER);
        let mut course = Self {
            slices: slices as u8,
            ..Self::EMPTY
        };
        for (to, slice) in course.values.iter_mut().zip(levels) {
            for (to, level) in to.iter_mut().zip(slice) {
                *to = libm::roundf(*level * scale).clamp(-127.0, 127.0) as i8;
            }
        }
        course
    }

    /// Returns the slices.
    pub(super) fn as_slices(&self) -> &[[i8; BANDS]] {
        let slices = self.values.get(..usize::from(self.slices));
        slices.unwrap_or_default()
    }

    /// Returns the distance of two courses: the mean squared distance of slices that are aligned by dynamic
    /// time warping (Sakoe and Chiba 1978, symmetric form: a diagonal step counts twice). Two courses that
    /// have nothing to do with each other are about 2 apart without warping. Infinity for no sound.
    pub fn distance(&self, other: &Self) -> f32 {
        let (a, b) = (self.as_slices(), other.as_slices());
        if a.is_empty() || b.is_empty() {
            return f32::INFINITY;
        }
        // Whole numbers: exact in any order.
        let mut row = [u32::MAX; MOST_SLICES + 1];
        for (i, slice) in a.iter().enumerate() {
            let [first, rest @ ..] = &mut row;
            let mut diagonal = core::mem::replace(first, u32::MAX);
            if i == 0 {
                diagonal = 0;
            }
            let mut left = u32::MAX;
            for (place, other) in rest.iter_mut().zip(b) {
                let cost = squared_distance(slice, other);
                let above = *place;
                let straight = above.min(left).saturating_add(cost);
                *place = diagonal.saturating_add(2 * cost).min(straight);
                (left, diagonal) = (*place, above);
            }
        }
        row.get(b.len()).copied().unwrap_or(u32::MAX) as f32
            / (UNIT * UNIT * (a.len() + b.len()) as f32)
    }

    /// Returns the magnitude of the logarithm of the ratio of two lengths; infinity for no sound.
    pub(super) fn length_from(&self, other: &Self) -> f32 {
        if self.slices == 0 || other.slices == 0 {
            return f32::INFINITY;
        }
        let ratio = f32::from(self.slices) / f32::from(other.slices);
        libm::fabsf(libm::logf(ratio))
    }
}

/// Returns the mean over frames and over the mel bands of `band`.
fn mean_level(frames: &[f32], mels: usize, band: usize) -> f32 {
    let (from, to) = (band * mels / BANDS, (band + 1) * mels / BANDS);
    // With fewer mel bands than bands, neighbours share one.
    let from = from.min(mels - 1);
    let to = to.max(from + 1);
    let rows = frames.chunks_exact(mels.max(1));
    let count = rows.len() * (to - from);
    let bands = rows.flat_map(|frame| frame.get(from..to).unwrap_or_default());
    bands.sum::<f32>() / count.max(1) as f32
}

fn squared_distance(a: &[i8; BANDS], b: &[i8; BANDS]) -> u32 {
    let pairs = a.iter().zip(b);
    pairs
        .map(|(a, b)| i32::from(*a) - i32::from(*b))
        .map(|difference| (difference * difference).cast_unsigned())
        .sum()
}
