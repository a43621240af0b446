//! A General MIDI sound font: every program over notes and forces, every drum of every kit.

mod midi;
mod presets;

use super::{Context, Credit, Heard, Origin, Plan, Source};
use crate::audio;
use crate::batch::{Batch, Bench, Wanted};
use crate::clip::{RATE, Tidy};
use crate::drum;
use crate::licence::Licence;
use crate::program::{self, Missing};
use crate::same::{Same, Set, hash};
use anyhow::{Context as _, Result};
use midi::Note;
use presets::Preset;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

pub const SOURCE: Source = Source {
    name: "soundfont",
    title: "Notes and drums of the Fluid (R3) General MIDI sound font",
    origin: Origin::Rendered,
    plan,
};

const PACKAGE: &str = "fluid-soundfont-gm";
const FONT: &str = "usr/share/sounds/sf2/FluidR3_GM.sf2";
const SENTENCE: &str = "I hereby release Fluid under the MIT license";
const HOLDERS: &str = "2000-2002, 2008 Frank Wen";

/// The bank of drum kits.
const DRUMS: u16 = 128;

/// Seconds from the start of a note to the next, and of a hit.
const NOTE_SLOT: f64 = 3.0;
const HIT_SLOT: f64 = 2.0;

/// Length of a note in the corpus, about; with it hours become a number of notes.
const MEAN_SECONDS: f64 = 1.7;

/// Notes rendered by one call of fluidsynth.
const TOGETHER: usize = 16;

/// Forces that every drum is hit with.
const FORCES: [u8; 2] = [120, 75];

/// Rate that fluidsynth renders at: that of most samples in the font, so that nothing folds back.
const RENDER_RATE: &str = "48000";

fn plan(context: &Context) -> Result<Plan> {
    let mut plan = Plan::default();
    if !program::is_there("fluidsynth") {
        plan.missing
            .push(Missing::new("fluidsynth", "the sound font is left out"));
        return Ok(plan);
    }
    let package = match context.packages.get(PACKAGE) {
        Ok(package) => package,
        Err(missing) => {
            plan.missing.push(missing);
            return Ok(plan);
        }
    };
    if !package.copyright.says(SENTENCE) {
        let consequence = "its copyright file no longer states the licence that is known here";
        plan.missing.push(Missing::new(PACKAGE, consequence));
        return Ok(plan);
    }
    let licence = Licence::stated("MIT");
    let font: Arc<Path> = package.path(FONT).into();
    let presets = presets::read(&font)?;
    let (kits, programs): (Vec<_>, Vec<_>) = presets
        .into_iter()
        .filter(|preset| preset.bank == 0 || preset.bank == DRUMS)
        .partition(|preset| preset.bank == DRUMS);

    let notes = context.soundfont_hours * 3600.0 / MEAN_SECONDS / programs.len().max(1) as f64;
    for preset in &programs {
        plan.batches.extend(program_batches(
            &font,
            *preset,
            notes.round() as usize,
            &licence,
        ));
    }
    if context.soundfont_hours > 0.0 {
        let kits: Arc<[Preset]> = kits.into();
        let notes = drum::FIRST_NOTE..drum::FIRST_NOTE + 61;
        plan.batches
            .extend(notes.map(|note| drum_batch(&font, &kits, note, &licence)));
    }
    plan.credit(Credit::package(&package, licence, HOLDERS));
    Ok(plan)
}

/// Groups of eight programs, as General MIDI orders them.
const FAMILIES: [&str; 16] = [
    "piano",
    "chromatic_percussion",
    "organ",
    "guitar",
    "bass",
    "strings",
    "ensemble",
    "brass",
    "reed",
    "pipe",
    "synth_lead",
    "synth_pad",
    "synth_effects",
    "ethnic",
    "percussive",
    "sound_effects",
];

/// Batches of `count` notes of a program. Each note's number decides its pitch, force and length,
/// so that a larger count goes on where a smaller one ended.
fn program_batches(
    font: &Arc<Path>,
    preset: Preset,
    count: usize,
    licence: &Licence,
) -> Vec<Batch> {
    let program = preset.program;
    let family = FAMILIES[usize::from(program / 8).min(15)];
    let class = format!("{program:03}_{family}");
    let notes: Vec<_> = (0..count).map(|index| note(program, index)).collect();
    notes
        .chunks(TOGETHER)
        .enumerate()
        .map(|(chunk, notes)| {
            let notes = notes.to_vec();
            let clips = notes.iter().map(|note| Wanted {
                name: format!(
                    "{class}/n{:03}_v{:03}_{}ms",
                    note.key,
                    note.force,
                    (note.seconds * 1000.0) as u32
                ),
                licence: licence.clone(),
                kind: "instrument",
                same: Some(Same::new(Set::Instruments, &class)),
                group: format!("n{:03}", note.key),
            });
            let (font, clips) = (Arc::clone(font), clips.collect());
            Batch {
                key: format!("{class}_{chunk:03}"),
                clips,
                render: Box::new(move |missing, bench| {
                    let notes = missing.iter().map(|&index| notes[index]);
                    let score = midi::score(0, NOTE_SLOT, notes);
                    let slots = render(&font, &score, NOTE_SLOT, missing.len(), bench)?;
                    for (&index, samples) in missing.iter().zip(slots) {
                        bench.put(index, &samples, Tidy::NOTE)?;
                    }
                    Ok(())
                }),
            }
        })
        .collect()
}

/// Note `index` of `program`.
fn note(program: u16, index: usize) -> Note {
    let number = hash(&format!("program {program} note {index}"));
    let between = |low: u64, high: u64, shift: u32| low + (number >> shift) % (high - low + 1);
    // Ethnic percussion and effects are made for the middle of the keyboard.
    let (low, high) = if program < 112 { (36, 90) } else { (48, 72) };
    Note {
        program: program as u8,
        key: between(low, high, 0) as u8,
        force: between(50, 127, 16) as u8,
        seconds: between(200, 1600, 32) as f64 / 1000.0,
    }
}

/// A batch of one drum: `note` of every kit, at every force. Kits share many samples; a hit that is
/// the same in an earlier kit is left out.
fn drum_batch(font: &Arc<Path>, kits: &Arc<[Preset]>, note: u8, licence: &Licence) -> Batch {
    let clips = hits(kits, note)
        .into_iter()
        .map(|(kit, hit)| Wanted {
            name: format!("kit{kit:03}/n{note:03}_v{:03}", hit.force),
            licence: licence.clone(),
            kind: "drum",
            same: drum::by_note(kit, note).map(|drum| Same::new(Set::Drums, drum)),
            group: format!("fluid_kit{kit:03}"),
        })
        .collect();
    let (font, kits) = (Arc::clone(font), Arc::clone(kits));
    Batch {
        key: format!("drum_{note:03}"),
        clips,
        render: Box::new(move |missing, bench| {
            // All kits, whatever is missing: which hit is another's copy takes all to tell.
            let hits = hits(&kits, note);
            let score = midi::score(midi::DRUMS, HIT_SLOT, hits.iter().map(|(_, note)| *note));
            let slots = render(&font, &score, HIT_SLOT, hits.len(), bench)?;
            let mut heard = Heard::default();
            for (index, samples) in slots.iter().enumerate() {
                let is_new = heard.is_new(samples);
                match (missing.contains(&index), is_new) {
                    (true, true) => bench.put(index, samples, Tidy::NOTE)?,
                    (true, false) => bench.refuse(index),
                    (false, _) => {}
                }
            }
            Ok(())
        }),
    }
}

/// Hits of the key `note` of every kit at every force, with the kit.
fn hits(kits: &[Preset], note: u8) -> Vec<(u16, Note)> {
    kits.iter()
        .flat_map(|kit| {
            FORCES.map(|force| {
                let hit = Note {
                    program: kit.program as u8,
                    key: note,
                    force,
                    seconds: 0.5,
                };
                (kit.program, hit)
            })
        })
        .collect()
}

/// Plays `score` and cuts the sound into `count` slots.
fn render(
    font: &Path,
    score: &[u8],
    slot: f64,
    count: usize,
    bench: &Bench,
) -> Result<Vec<Vec<f32>>> {
    let (song, wav): (PathBuf, PathBuf) = (
        bench.scratch.join("song.mid"),
        bench.scratch.join("song.wav"),
    );
    std::fs::write(&song, score).context("cannot write a song")?;
    program::run(
        Command::new("fluidsynth")
            .args(["-n", "-i", "-q", "-R", "0", "-C", "0", "-g", "0.5"])
            .args(["-o", "synth.dynamic-sample-loading=1"])
            .args(["-r", RENDER_RATE, "-O", "float", "-T", "wav", "-F"])
            .arg(&wav)
            .arg(font)
            .arg(&song),
    )?;
    let samples = audio::load(&wav, RATE)?;
    let length = (slot * f64::from(RATE)) as usize;
    Ok((0..count)
        .map(|index| {
            let start = (index * length).min(samples.len());
            samples[start..samples.len().min(start + length)].to_vec()
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn more_notes_begin_with_the_fewer() {
        let preset = Preset {
            program: 40,
            bank: 0,
        };
        let font: Arc<Path> = Path::new("font.sf2").into();
        let names = |count| {
            let batches = program_batches(&font, preset, count, &Licence::stated("MIT"));
            let clips = batches.into_iter().flat_map(|batch| batch.clips);
            clips.map(|clip| clip.name).collect::<Vec<_>>()
        };
        let (few, many) = (names(5), names(40));
        assert_eq!(few[..], many[..5]);
        assert_eq!(many.len(), 40);
        let different: HashSet<_> = many.iter().collect();
        assert!(different.len() >= 39, "{many:?}");
        assert!(few[0].starts_with("040_strings/n"), "{}", few[0]);
    }

    #[test]
    fn drums_are_the_same_across_kits() {
        let kits: Arc<[Preset]> = [0, 8, 48]
            .map(|program| Preset {
                program,
                bank: DRUMS,
            })
            .into();
        let font: Arc<Path> = Path::new("font.sf2").into();
        let batch = drum_batch(&font, &kits, 38, &Licence::stated("MIT"));
        let same: Vec<_> = batch
            .clips
            .iter()
            .map(|clip| clip.same.as_ref().map_or("", |same| &same.class))
            .collect();
        assert_eq!(same, ["snare", "snare", "snare", "snare", "", ""]);
        assert_eq!(batch.clips[2].group, "fluid_kit008");
    }
}
