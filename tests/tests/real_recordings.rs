//! What needs real recordings: `cargo xtask test` runs it where `MTSLVR_DATA` is set.

use anyhow::{Context, Result, ensure};
use mtslvr_runtime::fewshot::HeadKind;
use mtslvr_tests::firmware::{Firmware, Script};
use mtslvr_trainer::audio::{self, LabelledSet};
use std::env;
use std::path::{Path, PathBuf};

const RATE: u32 = 16_000;

/// The labelled sets in `MTSLVR_DATA/eval`, in order of name.
fn sets() -> Result<Vec<PathBuf>> {
    let data = env::var_os("MTSLVR_DATA").context(
        "MTSLVR_DATA is not set: set it to a folder that holds eval/<set>/<class>/<clip>",
    )?;
    let folder = Path::new(&data).join("eval");
    let entries = folder
        .read_dir()
        .with_context(|| folder.display().to_string())?;
    let mut sets: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    sets.retain(|path| path.is_dir());
    sets.sort();
    ensure!(!sets.is_empty(), "{}: no set in it", folder.display());
    Ok(sets)
}

/// Of each set, five classes enrolled from one recording each and one more recording of each to
/// recognise: the firmware gives the host's bits.
#[test]
#[ignore = "needs recordings in MTSLVR_DATA"]
fn firmware_on_real_recordings() -> Result<()> {
    let firmware = Firmware::from_env()?;
    for set in sets()? {
        let folder = tempfile::tempdir()?;
        let labelled = LabelledSet::open(&set)?;
        let mut script = Script::default();
        for class in 0..labelled.classes.len().min(5) {
            let clips = labelled.clips.iter().filter(|clip| clip.class == class);
            for (i, clip) in clips.take(2).enumerate() {
                // What the device can hold in its patience: the first three seconds.
                let mut samples = audio::load(&clip.path, RATE)?;
                samples.truncate(3 * RATE as usize);
                let path = folder.path().join(format!("{class}_{i}.wav"));
                audio::write_wav(&path, &samples, RATE)?;
                match i {
                    0 => script.support.push((format!("class{class}"), path)),
                    _ => script.queries.push(path),
                }
            }
        }
        firmware
            .check(&script, HeadKind::default())
            .with_context(|| set.display().to_string())?;
    }
    Ok(())
}
