//! A clip on disk: 16 kHz, mono, 16-bit WAV, tidied on the way in.

use crate::audio;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// Samples a second.
pub const RATE: u32 = 16_000;

/// Largest magnitude of every clip that is written, full scale at 1.
pub const PEAK: f32 = 0.7;

/// A clip whose largest magnitude is below this is silence.
const SILENCE: f32 = 0.003;

/// Samples kept before the first sound and after the last where the ends are trimmed.
const LEAD: usize = 400;
const TAIL: usize = 800;

/// Rules by which a clip of a source is tidied.
#[derive(Clone, Copy, Debug)]
pub struct Tidy {
    /// Ends whose magnitude stays below this share of the peak are trimmed; `None` keeps them.
    pub quiet: Option<f32>,
    /// Shortest and longest clip in seconds.
    pub seconds: (f32, f32),
    /// Whether a longer clip is cut; otherwise it is refused.
    pub cut: bool,
}

impl Tidy {
    /// Rules for recordings: as they are, at most five minutes of them.
    pub const RECORDING: Self = Self {
        quiet: None,
        seconds: (0.05, 300.0),
        cut: true,
    };
    /// Rules for a spoken word: a word of over two seconds is an engine that spells.
    pub const WORD: Self = Self {
        quiet: Some(0.01),
        seconds: (0.12, 2.0),
        cut: false,
    };
    /// Rules for a note or a hit.
    pub const NOTE: Self = Self {
        quiet: Some(0.003),
        seconds: (0.05, 4.0),
        cut: true,
    };

    /// Trims, cuts and normalises `samples`.
    ///
    /// # Errors
    /// [`Refused`]: nothing is left that is worth a clip.
    pub fn apply(&self, samples: &[f32]) -> Result<Vec<f32>, Refused> {
        let peak = |samples: &[f32]| samples.iter().fold(0.0f32, |peak, s| peak.max(s.abs()));
        let loudest = peak(samples);
        if loudest < SILENCE {
            return Err(Refused::Silent);
        }
        let mut kept = samples;
        if let Some(quiet) = self.quiet {
            let heard = |sample: &f32| sample.abs() > quiet * loudest;
            let first = samples.iter().position(heard).unwrap_or(0);
            let last = samples.iter().rposition(heard).unwrap_or(samples.len() - 1);
            kept = &samples[first.saturating_sub(LEAD)..samples.len().min(last + 1 + TAIL)];
        }
        let (shortest, longest) = self.seconds;
        if (kept.len() as f32) < shortest * RATE as f32 {
            return Err(Refused::Short);
        }
        let longest = (longest * RATE as f32) as usize;
        if kept.len() > longest {
            if !self.cut {
                return Err(Refused::Long);
            }
            kept = &kept[..longest];
        }
        // What is left of a long recording may be its silent start.
        let loudest = peak(kept);
        if loudest < SILENCE {
            return Err(Refused::Silent);
        }
        Ok(kept.iter().map(|sample| sample * PEAK / loudest).collect())
    }
}

/// Why there is no clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No sound.
    #[error("silent")]
    Silent,
    /// Shorter than the source's shortest.
    #[error("too short")]
    Short,
    /// Longer than the source's longest.
    #[error("too long")]
    Long,
}

/// Writes `samples` to `path` through a neighbour, so that what has the name is whole.
///
/// Nothing waits for the disk: a clip that a power cut leaves behind has the wrong length, which
/// [`seconds`] sees.
pub fn write(path: &Path, samples: &[f32]) -> Result<()> {
    let folder = path.parent().expect("clips lie in folders");
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let name = path.file_name().expect("clips have names");
    let neighbour = folder.join(format!(".unfinished-{}", name.to_string_lossy()));
    audio::write_wav(&neighbour, samples, RATE)?;
    fs::rename(&neighbour, path).with_context(|| format!("cannot write {}", path.display()))
}

/// Returns the length of the clip at `path`, or `None` if it is not there or not whole.
pub fn seconds(path: &Path) -> Option<f64> {
    let bytes = fs::metadata(path).ok()?.len();
    let reader = hound::WavReader::open(path).ok()?;
    let (spec, samples) = (reader.spec(), u64::from(reader.len()));
    let whole = (spec.channels, spec.sample_rate, spec.bits_per_sample) == (1, RATE, 16)
        && samples > 0
        && bytes == HEADER + 2 * samples;
    whole.then(|| samples as f64 / f64::from(RATE))
}

/// Bytes before the first sample of a 16-bit WAV file.
const HEADER: u64 = 44;

#[cfg(test)]
mod tests {
    use super::*;

    fn burst(quiet: usize, loud: usize) -> Vec<f32> {
        let mut samples = vec![0.0001; quiet];
        samples.extend((0..loud).map(|n| if n % 2 == 0 { 0.1 } else { -0.1 }));
        samples.extend(vec![0.0001; quiet]);
        samples
    }

    #[test]
    fn ends_are_trimmed_and_levels_are_the_same() {
        let word = Tidy::WORD.apply(&burst(8000, 4000)).unwrap();
        assert_eq!(word.len(), LEAD + 4000 + TAIL);
        let recording = Tidy::RECORDING.apply(&burst(8000, 4000)).unwrap();
        assert_eq!(recording.len(), 20_000);
        for samples in [word, recording] {
            let peak = samples.iter().fold(0.0f32, |peak, s| peak.max(s.abs()));
            assert!((peak - PEAK).abs() < 1e-6);
        }
    }

    #[test]
    fn lengths_are_kept_to() {
        assert_eq!(Tidy::WORD.apply(&burst(0, 40_000)), Err(Refused::Long));
        assert_eq!(Tidy::WORD.apply(&burst(0, 100)), Err(Refused::Short));
        assert_eq!(Tidy::WORD.apply(&[0.0; 9000]), Err(Refused::Silent));
        assert_eq!(Tidy::WORD.apply(&[]), Err(Refused::Silent));
        let long = Tidy::RECORDING.apply(&burst(0, 5_000_000)).unwrap();
        assert_eq!(long.len(), 300 * RATE as usize);
        // The sound comes after the cut.
        let late = burst(5_000_000, 4000);
        assert_eq!(Tidy::RECORDING.apply(&late), Err(Refused::Silent));
    }

    #[test]
    fn only_whole_clips_have_a_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.wav");
        assert_eq!(seconds(&path), None);
        write(&path, &[0.5; 8000]).unwrap();
        assert_eq!(seconds(&path), Some(0.5));
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 1);
        let bytes = fs::read(&path).unwrap();
        for kept in [0, 20, 44, bytes.len() - 1] {
            fs::write(&path, &bytes[..kept]).unwrap();
            assert_eq!(seconds(&path), None, "{kept} bytes");
        }
        audio::write_wav(&path, &[0.5; 8000], 8000).unwrap();
        assert_eq!(seconds(&path), None);
    }
}
