//! Sounds of the synthesiser, and recordings made of them.

use anyhow::{Context, Result};
use mtslvr_audio::synth::write_dataset;
use mtslvr_audio::{load, write_wav};
use std::fs;
use std::path::{Path, PathBuf};

pub const RATE: u32 = 16_000;

/// Classes of made-up sounds, each with some clips of a second.
pub struct Sounds {
    classes: Vec<Vec<PathBuf>>,
}

impl Sounds {
    /// Makes the sounds in `folder`.
    pub fn make(folder: &Path) -> Result<Self> {
        let folder = folder.join("sounds");
        write_dataset(&folder, 6, 8, 1.0, 1)?;
        let sorted = |folder: &Path| -> Result<Vec<PathBuf>> {
            let entries: Result<Vec<_>, _> = fs::read_dir(folder)?.collect();
            let mut paths: Vec<PathBuf> = entries?.iter().map(fs::DirEntry::path).collect();
            paths.sort();
            Ok(paths)
        };
        let classes = sorted(&folder)?;
        let classes = classes.iter().map(|class| sorted(class));
        Ok(Self {
            classes: classes.collect::<Result<_>>()?,
        })
    }

    /// Returns the file of a clip.
    pub fn file(&self, class: usize, clip: usize) -> &Path {
        &self.classes[class][clip]
    }

    /// Returns the samples of a clip.
    pub fn samples(&self, class: usize, clip: usize) -> Result<Vec<f32>> {
        let file = self.file(class, clip);
        load(file, RATE).with_context(|| file.display().to_string())
    }

    /// Writes a recording: three seconds of a quiet place, then each clip and two seconds of the place.
    pub fn record(&self, path: &Path, clips: &[(usize, usize)]) -> Result<()> {
        let mut samples = place(3.0);
        for &(class, clip) in clips {
            samples.extend(self.samples(class, clip)?);
            samples.extend(place(2.0));
        }
        Ok(write_wav(path, &samples, RATE)?)
    }
}

/// Returns faint noise.
fn place(seconds: f32) -> Vec<f32> {
    let noise = |n: u32| (n.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0;
    let count = (seconds * RATE as f32) as u32;
    (0..count).map(|n| 0.0005 * noise(n)).collect()
}
