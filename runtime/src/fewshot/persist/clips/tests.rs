use super::*;
use crate::fewshot::{HeadKind, Learner, Reference, StorageVec};
use crate::frontend::{FrontendConfig, FrontendForm};
use crate::space::{EmbeddingSpace, Part, Parts};
use mtslvr_simulated_flash::SimulatedFlash;
use proptest::prelude::*;

const OLD: BackboneId = BackboneId::new([1; 32]);
const NEW: BackboneId = BackboneId::new([2; 32]);
const LONGEST: usize = 1_500;
const PAGE: usize = 2_048;
const PLACES: usize = 3;
const LEN: usize = ClipStore::flash_len(PLACES, LONGEST, PAGE);

/// Flash of words as long as they come, which are written once.
type Flash = SimulatedFlash<PAGE, 32>;

fn space(backbone: BackboneId) -> EmbeddingSpace<'static> {
    let parts = Parts::new([Part {
        name: "features",
        len: 4,
        share: 1.0,
    }]);
    let frontend = FrontendConfig {
        sample_rate: 16_000,
        window: 256,
        hop: 128,
        mels: 16,
        frames: 20,
        f_min: 60.0,
        f_max: 7800.0,
        floor: 1e-5,
        mean: -4.0,
        scale: 0.25,
        form: FrontendForm::PLAIN,
    };
    let reference = Reference::assumed(0.5);
    EmbeddingSpace::new(backbone, frontend, parts.unwrap(), &[0.0; 4], reference).unwrap()
}

/// A learner under a backbone that was taught each name with an embedding for each number.
fn taught(storage: &mut StorageVec, backbone: BackboneId, sounds: &[(&str, u8)]) -> Vec<ClipLabel> {
    let mut learner = learner(storage, backbone);
    let mut labels = Vec::new();
    for (name, number) in sounds {
        let class = learner.enrol(name, &embedding(*number)).unwrap();
        let support = learner.support();
        let example = support.examples(class).last().unwrap();
        let class = support.class(class).unwrap();
        labels.push(ClipLabel::new(backbone, class, example));
    }
    labels
}

fn learner(storage: &mut StorageVec, backbone: BackboneId) -> Learner<'_> {
    Learner::new(storage.lend(), HeadKind::default(), space(backbone)).unwrap()
}

fn storage() -> StorageVec {
    StorageVec::new(4, 8, 4)
}

fn embedding(number: u8) -> [f32; 4] {
    [1.0, f32::from(number), -0.5, 0.25 * f32::from(number)]
}

fn samples(number: u8) -> Vec<u8> {
    let len = LONGEST - 7 * usize::from(number);
    (0..len).map(|at| (at as u8).wrapping_mul(number)).collect()
}

fn blank() -> (ClipStore, Flash) {
    let flash = Flash::new(LEN / PAGE);
    let clips = ClipStore::new(&flash, 0..LEN as u32, LONGEST).unwrap();
    assert_eq!(clips.capacity(), PLACES);
    (clips, flash)
}

/// The recordings that are there, each with its newest label.
fn there(clips: &ClipStore, flash: &mut Flash) -> Vec<(ClipLabel, Vec<u8>)> {
    let mut room = vec![0; LONGEST];
    let mut found = Vec::new();
    for number in 0..clips.capacity() {
        if let Some(clip) = clips.clip(flash, number).unwrap() {
            let label = clips.newest_label(flash, &clip).unwrap();
            let samples = clips.read(flash, &clip, &mut room).unwrap();
            found.push((
                label.expect("a label"),
                samples.expect("as written").to_vec(),
            ));
        }
    }
    found
}

/// The bytes of a place, which a later version has to read: see `SNAPSHOT.md`.
#[test]
fn a_place_has_the_bytes_of_the_golden_file() {
    let golden = include_bytes!("../../../../tests/golden/clips-v1.bin");
    let mut flash = SimulatedFlash::<PAGE, 4>::new(1);
    let clips = ClipStore::new(&flash, 0..PAGE as u32, 64).unwrap();
    let label = taught(&mut storage(), OLD, &[("bell", 1)]).remove(0);
    let again = taught(&mut storage(), NEW, &[("bell", 2)]).remove(0);
    let samples: Vec<u8> = (0..64).collect();
    clips.add(&mut flash, &label, &samples).unwrap();
    let clip = clips.clip(&mut flash, 0).unwrap().unwrap();
    clips.add_label(&mut flash, &clip, &again).unwrap();
    let written = flash.content().iter().rposition(|byte| *byte != 0xff);
    let written = &flash.content()[..=written.unwrap()];
    if std::env::var_os("MTSLVR_WRITE_GOLDEN").is_some() {
        std::fs::write("tests/golden/clips-v1.bin", written).unwrap();
    }
    assert_eq!(written, golden);
}

#[test]
fn recordings_come_back_until_their_example_is_gone() {
    let (clips, mut flash) = blank();
    let mut room = storage();
    let labels = taught(&mut room, OLD, &[("bell", 1), ("bell", 2), ("dog", 3)]);
    for (label, number) in labels.iter().zip(1..) {
        clips.add(&mut flash, label, &samples(number)).unwrap();
    }
    let full = clips.add(&mut flash, &labels[0], &[0]);
    assert_eq!(full, Err(StoreError::Full));
    let found = there(&clips, &mut flash);
    let expected: Vec<_> = labels.iter().cloned().zip((1..).map(samples)).collect();
    assert_eq!(found, expected);

    // The second example is taken back, and the dog gets a name of its own.
    let mut learner = learner(&mut room, OLD);
    for (name, number) in [("bell", 1), ("rex", 3)] {
        learner.enrol(name, &embedding(number)).unwrap();
    }
    clips.follow(&mut flash, learner.support()).unwrap();
    let found = there(&clips, &mut flash);
    let names: Vec<_> = found.iter().map(|(label, _)| label.name()).collect();
    assert_eq!(names, ["bell", "rex"]);
    assert!(
        clips
            .holds_sounds_of(&mut flash, learner.support())
            .unwrap()
    );
    // One without a recording.
    let other = learner.enrol("rex", &embedding(9)).unwrap();
    assert!(
        !clips
            .holds_sounds_of(&mut flash, learner.support())
            .unwrap()
    );
    // A negative needs none.
    learner.support_mut().remove(other).unwrap();
    learner.enrol_role(Role::Negatives, &embedding(9)).unwrap();
    assert!(
        clips
            .holds_sounds_of(&mut flash, learner.support())
            .unwrap()
    );
    clips.clear(&mut flash).unwrap();
    assert_eq!(there(&clips, &mut flash), []);
}

#[test]
fn a_recording_is_known_under_each_backbone_that_it_was_taught_under() {
    let (clips, mut flash) = blank();
    let (mut old, mut new) = (storage(), storage());
    let label = taught(&mut old, OLD, &[("bell", 1)]).remove(0);
    clips.add(&mut flash, &label, &samples(1)).unwrap();
    let clip = clips.clip(&mut flash, 0).unwrap().unwrap();
    assert_eq!(clips.label_under(&mut flash, &clip, NEW).unwrap(), None);
    // A learner under the new backbone that does not know it yet leaves it alone.
    let empty = learner(&mut new, NEW);
    clips.follow(&mut flash, empty.support()).unwrap();
    assert_eq!(clips.clip(&mut flash, 0).unwrap(), Some(clip));
    let again = taught(&mut new, NEW, &[("bell", 2)]).remove(0);
    clips.add_label(&mut flash, &clip, &again).unwrap();
    let under = |flash: &mut Flash, backbone| clips.label_under(flash, &clip, backbone).unwrap();
    assert_eq!(under(&mut flash, OLD), Some(label.clone()));
    assert_eq!(under(&mut flash, NEW), Some(again));

    // As often as there is room.
    while clips.add_label(&mut flash, &clip, &label).is_ok() {}
    let full = clips.add_label(&mut flash, &clip, &label);
    assert_eq!(full, Err(StoreError::Full));
    let mut learner = learner(&mut old, OLD);
    learner.enrol("bell", &embedding(1)).unwrap();
    assert!(
        !clips
            .holds_sounds_of(&mut flash, learner.support())
            .unwrap()
    );
}

#[test]
fn a_range_that_cannot_hold_a_recording_is_refused() {
    let flash = Flash::new(LEN / PAGE);
    for range in [0..PAGE as u32, 5..LEN as u32, 0..LEN as u32 + 1] {
        let refused = ClipStore::new(&flash, range.clone(), LONGEST);
        assert_eq!(refused.map(|_| ()), Err(StoreError::Range), "{range:?}");
    }
    let too_long = vec![0; LONGEST + 1];
    let (clips, mut flash) = blank();
    let label = taught(&mut storage(), OLD, &[("bell", 1)]).remove(0);
    let refused = clips.add(&mut flash, &label, &too_long);
    assert_eq!(refused, Err(StoreError::Full));
}

/// The power goes at every tenth byte of a life: what is there afterwards is whole, and is what was there before the
/// step that was cut or after it. The next life goes on from there.
#[test]
fn a_power_cut_leaves_recordings_whole() {
    let mut room = storage();
    let labels = taught(&mut room, OLD, &[("bell", 1), ("dog", 2)]);
    let again = taught(&mut room, NEW, &[("bell", 5)]).remove(0);
    type Step = fn(&ClipStore, &mut Flash, &[ClipLabel; 3]) -> Result<(), StoreError<FlashFault>>;
    use mtslvr_simulated_flash::FlashFault;
    let steps: [Step; 5] = [
        |clips, flash, labels| clips.add(flash, &labels[0], &samples(1)),
        |clips, flash, labels| clips.add(flash, &labels[1], &samples(2)),
        |clips, flash, labels| {
            let clip = clips.clip(flash, 0)?.unwrap();
            clips.add_label(flash, &clip, &labels[2])
        },
        |clips, flash, _| {
            let clip = clips.clip(flash, 1)?.unwrap();
            clips.remove(flash, &clip)
        },
        |clips, flash, labels| clips.add(flash, &labels[1], &samples(3)),
    ];
    let labels = [labels[0].clone(), labels[1].clone(), again];
    let (clips, mut flash) = blank();
    let mut states = vec![there(&clips, &mut flash)];
    for step in steps {
        step(&clips, &mut flash, &labels).unwrap();
        states.push(there(&clips, &mut flash));
    }
    let whole_life = flash.bytes_changed();
    for cut in (0..whole_life).step_by(10) {
        let (clips, mut flash) = blank();
        flash.cut_after(cut, 0x5a);
        let done = steps
            .iter()
            .take_while(|step| step(&clips, &mut flash, &labels).is_ok())
            .count();
        flash.restore_power();
        let found = there(&clips, &mut flash);
        let may_be = states.get(done..=done + 1).unwrap_or(&states[done..]);
        assert!(may_be.contains(&found), "cut after {cut}, in step {done}");
        // What was cut can be done again, where it has not been done.
        if found == states[done] && done < steps.len() {
            steps[done](&clips, &mut flash, &labels).unwrap();
            assert_eq!(there(&clips, &mut flash), states[done + 1], "{cut}");
        }
    }
}

proptest! {
    /// Any content of the flash gives recordings or none, and takes one.
    #[test]
    fn any_flash_can_be_written_over(
        mut content in prop::collection::vec(any::<u8>(), LEN),
        headers in any::<[bool; PLACES]>(),
        damage in prop::collection::vec((0..LEN, any::<u8>()), 0..8),
    ) {
        let (clips, mut flash) = blank();
        let mut room = storage();
        let label = taught(&mut room, OLD, &[("bell", 1)]).remove(0);
        for number in 0..PLACES {
            clips.add(&mut flash, &label, &samples(number as u8)).unwrap();
        }
        for (place, kept) in content.chunks_mut(LEN / PLACES).zip(headers) {
            if kept {
                let at = clips.places().next().unwrap() as usize;
                place.copy_from_slice(&flash.content()[at..at + LEN / PLACES]);
            }
        }
        for (at, to) in damage {
            content[at] = to;
        }
        let mut flash = Flash::with_content(content);
        let mut learner = learner(&mut room, OLD);
        learner.enrol("bell", &embedding(1)).unwrap();
        clips.holds_sounds_of(&mut flash, learner.support()).unwrap();
        clips.follow(&mut flash, learner.support()).unwrap();
        let mut samples = vec![0; LONGEST];
        for number in 0..PLACES {
            if let Some(clip) = clips.clip(&mut flash, number).unwrap() {
                clips.read(&mut flash, &clip, &mut samples).unwrap();
            }
        }
        clips.clear(&mut flash).unwrap();
        clips.add(&mut flash, &label, &[1, 2, 3]).unwrap();
        prop_assert_eq!(there(&clips, &mut flash), [(label, vec![1, 2, 3])]);
    }
}
