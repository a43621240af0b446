//! Any content of the flash gives recordings or none, and can be written over.

use crate::taught::{embedding, learner, room, taught};
use mtslvr_runtime::fewshot::Role;
use mtslvr_runtime::fewshot::persist::{ClipLabel, ClipStore};
use mtslvr_runtime::model::Crc32;
use mtslvr_simulated_flash::SimulatedFlash;

const PAGE: usize = 2048;
const LONGEST: usize = 64;
const PLACES: usize = 2;
const LEN: usize = ClipStore::flash_len(PLACES, LONGEST, PAGE);
/// Bytes of a header and of a label, of which the last four are a checksum.
const RECORD: usize = 64;
/// Records in front of the samples.
const RECORDS: usize = 16;

/// Takes `bytes` as the first of the flash's, as they are and with the checksums of all records put right.
pub fn clips_load(bytes: &[u8]) {
    let mut image = bytes.to_vec();
    image.resize(LEN, 0xff);
    load(image.clone());
    for place in image.chunks_mut(LEN / PLACES) {
        for record in place.chunks_exact_mut(RECORD).take(RECORDS) {
            if record.iter().any(|byte| *byte != 0xff) {
                let (content, sum) = record.split_at_mut(RECORD - 4);
                sum.copy_from_slice(&Crc32::new().update(content).finish().to_le_bytes());
            }
        }
    }
    load(image);
}

fn load(image: Vec<u8>) {
    let mut flash = SimulatedFlash::<PAGE, 4>::with_content(image);
    let clips = ClipStore::new(&flash, 0..LEN as u32, LONGEST).expect("whole pages");
    let mut samples = [0; LONGEST];
    for number in 0..PLACES {
        let clip = clips.clip(&mut flash, number).expect("power is on");
        if let Some(clip) = clip {
            let label = clips.newest_label(&mut flash, &clip);
            let read = clips.read(&mut flash, &clip, &mut samples);
            read.expect("power is on");
            // Whoever teaches from it enrols this.
            let mut room = room();
            let mut learner = learner(&mut room);
            if let Some(label) = label.expect("power is on") {
                let enrolled = match label.role() {
                    Role::Sound => learner.enrol(label.name(), &embedding(1)),
                    role => learner.enrol_role(role, &embedding(1)),
                };
                enrolled.expect("a name that a class may have");
            }
        }
    }
    let mut room = room();
    let learner = taught(&mut room);
    let support = learner.support();
    let holds = clips.holds_sounds_of(&mut flash, support);
    holds.expect("power is on");
    let followed = clips.follow(&mut flash, support);
    followed.expect("power is on");
    let cleared = clips.clear(&mut flash);
    cleared.expect("power is on");

    // Empty, it takes a recording.
    let class = &support.classes()[0];
    let example = support.examples(class.id()).last().expect("an example");
    let label = ClipLabel::new(support.space().backbone(), class, example);
    let added = clips.add(&mut flash, &label, &[7; LONGEST]);
    added.expect("there is room");
    let clip = clips.clip(&mut flash, 0).expect("power is on");
    let clip = clip.expect("it was written");
    let read = clips.read(&mut flash, &clip, &mut samples);
    assert_eq!(read, Ok(Some(&[7; LONGEST][..])));
    let found = clips.label_under(&mut flash, &clip, support.space().backbone());
    assert_eq!(found, Ok(Some(label)));
}
