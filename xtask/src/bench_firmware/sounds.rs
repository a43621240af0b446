//! Recordings for the example firmware, whose memory is measured at work: three classes of chirps.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

const CLASSES: u32 = 3;
const EXAMPLES: u32 = 2;
const SAMPLE_RATE: u32 = 16_000;

/// Writes them into `folder`; gives the firmware's arguments that enrol all but the last of a class
/// and ask about that.
pub fn write(folder: &Path) -> Result<Vec<String>> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut arguments = Vec::new();
    for class in 0..CLASSES {
        for example in 0..=EXAMPLES {
            let path = folder.join(format!("{class}-{example}.wav"));
            chirp(&path, class, example).with_context(|| path.display().to_string())?;
            let path = path.display();
            arguments.push(if example < EXAMPLES {
                format!("support:sound{class}={path}")
            } else {
                format!("query={path}")
            });
        }
    }
    Ok(arguments)
}

/// 1.2 s of a tone that rises, faster for later classes and a little higher for later examples.
fn chirp(path: &Path, class: u32, example: u32) -> Result<(), hound::Error> {
    let mut wav = hound::WavWriter::create(
        path,
        hound::WavSpec {
            channels: 1,
            sample_rate: SAMPLE_RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        },
    )?;
    for i in 0..SAMPLE_RATE * 6 / 5 {
        let time = f64::from(i) / f64::from(SAMPLE_RATE);
        let start = 300.0 * f64::from(class + 1) + 10.0 * f64::from(example);
        let phase = start * time * (1.0 + f64::from(class) * time);
        let value = (core::f64::consts::TAU * phase).sin();
        wav.write_sample((12_000.0 * value) as i16)?;
    }
    wav.finalize()
}
