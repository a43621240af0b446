use super::*;
use crate::clip::embed_clip;
use crate::fewshot::{Calibration, ClassId, ClassifyError, HeadKind, Reference, StorageVec};
use crate::frontend::FrontendForm;
use crate::space::test_space::parts;
use crate::space::{BackboneId, EmbeddingSpace};
use crate::verifier::Check;
use core::cell::Cell;
use proptest::prelude::*;

const CONFIG: FrontendConfig = FrontendConfig {
    sample_rate: 8000,
    window: 128,
    hop: 64,
    mels: 16,
    frames: 50,
    f_min: 100.0,
    f_max: 3900.0,
    floor: 1e-5,
    mean: -4.0,
    scale: 0.25,
    form: FrontendForm::PLAIN,
};
const DIM: usize = CONFIG.mels as usize;
const CLASSES: usize = 4;

/// Answers with each band's mean level; fails on a patch that is louder than `limit`.
struct Bands {
    config: FrontendConfig,
    embedded: usize,
    limit: f32,
}

impl Default for Bands {
    fn default() -> Self {
        Self {
            config: CONFIG,
            embedded: 0,
            limit: f32::INFINITY,
        }
    }
}

/// A patch was louder than the limit.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("too loud")]
struct TooLoud;

impl Backbone for Bands {
    type Error = TooLoud;
    fn space(&self) -> EmbeddingSpace<'_> {
        space(self.config)
    }
    fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), TooLoud> {
        self.embedded += 1;
        embedding.fill(0.0);
        for frame in patch.chunks_exact(DIM) {
            for (sum, value) in embedding.iter_mut().zip(frame) {
                *sum += value / f32::from(self.config.frames);
            }
        }
        if patch.iter().any(|value| *value > self.limit) {
            return Err(TooLoud);
        }
        Ok(())
    }
}

fn seconds(seconds: f32) -> usize {
    (seconds * CONFIG.sample_rate as f32) as usize
}

/// A tone with decaying overtones, as loud as `level`.
fn tone(frequency: f32, level: f32, length: f32) -> Vec<f32> {
    (0..seconds(length))
        .map(|i| {
            let phase = i as f32 / CONFIG.sample_rate as f32 * frequency * core::f32::consts::TAU;
            level * (phase.sin() + 0.3 * (2.0 * phase).sin())
        })
        .collect()
}

/// `length` seconds of noise with `sounds` added, each from its second on.
fn stream(length: f32, sounds: &[(f32, Vec<f32>)]) -> Vec<f32> {
    let mut state = 1_u32;
    let mut samples: Vec<f32> = (0..seconds(length))
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            0.01 * (state >> 8) as f32 / 8_388_608.0 - 0.01
        })
        .collect();
    for (from, sound) in sounds {
        let at = samples[seconds(*from)..].iter_mut();
        at.zip(sound).for_each(|(sample, added)| *sample += added);
    }
    samples
}

const TONES: [(&str, f32); 2] = [("low", 500.0), ("high", 2200.0)];

fn learner(storage: &mut StorageVec) -> Learner<'_> {
    let mut learner = Learner::new(storage.lend(), HeadKind::default(), space(CONFIG)).unwrap();
    for (name, frequency) in TONES {
        for length in [0.3, 1.0] {
            let clip = tone(frequency, 0.2, length);
            let embedding = embed_clip(&mut Bands::default(), &clip).unwrap();
            learner.enrol(name, &embedding).unwrap();
        }
    }
    // So few bands tell little apart: one in twenty strangers may pass.
    learner.set_calibration(Calibration::of_clips(0.05));
    let mut scratch = vec![0.0; learner.scratch_len()];
    learner.fit(&mut scratch).unwrap();
    learner
}

fn space(frontend: FrontendConfig) -> EmbeddingSpace<'static> {
    let (id, reference) = (BackboneId::new([1; 32]), Reference::assumed(0.3));
    EmbeddingSpace::new(id, frontend, parts(&[DIM]), &[-1.0; DIM], reference).unwrap()
}

/// A patch is 0.4 s.
const SHORT_HOP: ListenerConfig = ListenerConfig {
    hop: 0.25,
    ..ListenerConfig::DEFAULT
};

/// A window, without what it borrows.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    start: u64,
    end: u64,
    frames: Vec<u32>,
    level: u32,
    similarity: Option<u32>,
    event: Option<Event>,
    ended: Option<Ended>,
}

impl From<&Window<'_>> for Told {
    fn from(window: &Window<'_>) -> Self {
        Self {
            start: window.start,
            end: window.end,
            frames: window.frames.iter().map(|value| value.to_bits()).collect(),
            level: window.level.to_bits(),
            similarity: window.decision.map(|d| d.similarity.to_bits()),
            event: window.event,
            ended: window.ended,
        }
    }
}

/// Listens to `samples`, cut into calls of `chunks` samples in turn.
fn listen(config: ListenerConfig, samples: &[f32], chunks: &[usize]) -> (Vec<Told>, usize) {
    listen_verified(config, samples, chunks, &())
}

/// Listens as [`listen`] does; what is recognised must be accepted by `check`.
fn listen_verified<C: Check>(
    config: ListenerConfig,
    samples: &[f32],
    chunks: &[usize],
    check: &C,
) -> (Vec<Told>, usize) {
    let mut storage = StorageVec::new(CLASSES, 8, DIM);
    let mut learner = learner(&mut storage);
    let mut backbone = Bands::default();
    let mut buffer = vec![f32::NAN; Listener::buffer_len(&CONFIG, DIM, CLASSES)];
    let mut listener = Listener::new(config, &space(CONFIG), CLASSES, &mut buffer).unwrap();
    let mut told = Vec::new();
    let mut rest = samples;
    for chunk in chunks.iter().cycle() {
        let (now, later) = rest.split_at((*chunk).min(rest.len()));
        listener
            .push_verified(&mut learner, check, &mut backbone, now, |w| {
                told.push(w.into());
            })
            .unwrap();
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    listener
        .finish_verified(&mut learner, check, &mut backbone, |w| told.push(w.into()))
        .unwrap();
    (told, backbone.embedded)
}

fn events(told: &[Told]) -> Vec<Event> {
    told.iter().filter_map(|window| window.event).collect()
}

fn scene() -> Vec<f32> {
    let sounds = [
        (20.0, tone(500.0, 0.1, 0.4)),
        (23.0, tone(2200.0, 0.1, 2.0)),
        (27.0, tone(1100.0, 0.1, 1.0)),
        (30.0, tone(2200.0, 0.1, 0.15)),
    ];
    stream(33.0, &sounds)
}

#[test]
fn enrolled_sounds_are_events_and_others_are_not() {
    let (told, embedded) = listen(SHORT_HOP, &scene(), &[usize::MAX]);
    let events = events(&told);
    let classes: Vec<u16> = events.iter().map(|event| event.class.get()).collect();
    assert_eq!(classes, [0, 1, 1], "{events:?}");
    for (event, second) in events.iter().zip([20.0, 23.0, 30.0]) {
        let late = event.start as f32 / CONFIG.sample_rate as f32 - second;
        assert!(late.abs() < 0.1, "{event:?} at {second} s");
        assert!(event.confidence > 0.3 && event.end > event.start);
    }
    // Of the windows, those with a sound only, once the background is known.
    let late = told
        .iter()
        .filter(|window| window.start > seconds(19.0) as u64);
    let judged = late.filter(|window| window.similarity.is_some()).count();
    assert!(
        (10..25).contains(&judged) && embedded < 60,
        "{judged}, {embedded}"
    );
}

/// Accepts candidates of at least so many values, and remembers the longest of class 0.
struct AtLeast {
    values: usize,
    longest: Cell<usize>,
}

impl Check for AtLeast {
    fn accepts(&self, class: ClassId, frames: &[f32], mels: usize) -> bool {
        assert_eq!(frames.len() % mels, 0);
        if class.get() == 0 {
            self.longest.set(self.longest.get().max(frames.len()));
        }
        frames.len() >= self.values
    }

    const REFUSES: bool = true;
}

#[test]
fn what_is_refused_is_no_event() {
    let samples = stream(23.0, &[(20.0, tone(500.0, 0.1, 0.15))]);
    let at_least = |values: usize| AtLeast {
        values,
        longest: Cell::new(0),
    };
    let [plain, refused] = [0, usize::MAX].map(at_least);
    let count = |check: &AtLeast| {
        let (told, _) = listen_verified(SHORT_HOP, &samples, &[usize::MAX], check);
        events(&told).len()
    };
    assert_eq!((count(&plain), count(&refused)), (1, 0));
    assert!(plain.longest.get() > 0 && plain.longest.get() == refused.longest.get());
}

#[test]
fn a_sound_longer_than_a_patch_passes_once_its_beginning_is_gone() {
    let samples = stream(26.0, &[(20.0, tone(500.0, 0.1, 3.0))]);
    let refuses = AtLeast {
        values: usize::MAX,
        longest: Cell::new(0),
    };
    let (told, _) = listen_verified(SHORT_HOP, &samples, &[usize::MAX], &refuses);
    let events = events(&told);
    assert_eq!(events.len(), 1, "{events:?}");
    assert!((1..CONFIG.patch_len()).contains(&refuses.longest.get()));
}

#[test]
fn every_event_ends_where_its_sound_does() {
    let (told, _) = listen(SHORT_HOP, &scene(), &[usize::MAX]);
    let began = events(&told);
    let ended: Vec<Ended> = told.iter().filter_map(|window| window.ended).collect();
    assert_eq!(began.len(), ended.len(), "{began:?} {ended:?}");
    for ((event, ended), length) in began.iter().zip(&ended).zip([0.4, 2.0, 0.15]) {
        assert_eq!((event.class, event.start), (ended.class, ended.start));
        let found = (ended.end - ended.start) as f32 / CONFIG.sample_rate as f32;
        assert!(
            (-0.3..0.1).contains(&(found - length)),
            "{ended:?}: {found} s"
        );
        assert!(ended.confidence >= event.confidence && ended.end >= event.end);
    }
    // Two within a hop, the second much louder, so that it begins where the first ends.
    let sounds = [
        (20.0, tone(2200.0, 0.05, 0.5)),
        (20.4, tone(500.0, 8.0, 0.1)),
    ];
    for hop in [0.1, 0.25, 0.4] {
        let config = ListenerConfig { hop, ..SHORT_HOP };
        let (told, _) = listen(config, &stream(22.0, &sounds), &[usize::MAX]);
        let began: Vec<_> = events(&told).iter().map(|e| (e.class, e.start)).collect();
        let ended = told.iter().filter_map(|window| window.ended);
        let ended: Vec<_> = ended.map(|e| (e.class, e.start)).collect();
        assert_eq!((began.len(), &began), (2, &ended), "{hop}");
        assert!(
            began[0].0 != began[1].0 && began[0].1 < began[1].1,
            "{began:?}"
        );
    }
    // One that lasts to the end of the stream is over with it.
    let cut = &scene()[..seconds(24.0)];
    let (told, _) = listen(SHORT_HOP, cut, &[usize::MAX]);
    let last = told
        .iter()
        .filter_map(|window| window.ended)
        .next_back()
        .unwrap();
    assert!(last.end.abs_diff(cut.len() as u64) < 2048, "{last:?}");
}

/// Finds the sounds of `samples`.
fn find(config: &ListenerConfig, samples: &[f32], buffer: &mut [f32]) -> Vec<FoundSound> {
    let mut finder = SoundFinder::new(config, CONFIG, buffer).unwrap();
    let mut found = Vec::new();
    for chunk in samples.chunks(777) {
        finder.push(chunk, |sound| found.push(sound));
    }
    finder.finish(|sound| found.push(sound));
    found
}

/// Wherever a stream ends, a finder finds the sound that the listener judges last.
#[test]
fn what_a_stream_ends_with_is_found() {
    // A gate that closes after a frame lets a click begin and end within the samples that are kept.
    let config = ListenerConfig {
        hold: 0.0,
        ..SHORT_HOP
    };
    let samples = stream(6.0, &[(5.0, tone(500.0, 0.3, 0.02))]);
    let mut buffer = vec![f32::NAN; SoundFinder::buffer_len(&CONFIG)];
    for end in (seconds(5.01)..seconds(5.15)).step_by(13) {
        let samples = &samples[..end];
        let (told, _) = listen(config, samples, &[usize::MAX]);
        let ended = told.iter().filter_map(|window| window.ended).next_back();
        let found = find(&config, samples, &mut buffer);
        let last = found
            .last()
            .filter(|sound| sound.start > seconds(4.0) as u64);
        let known = ended.filter(|ended| ended.start > seconds(4.0) as u64);
        assert!(last.is_some(), "{end}: {found:?}");
        if let Some(ended) = known {
            let sound = FoundSound {
                start: ended.start,
                end: ended.end,
            };
            assert_eq!(last, Some(&sound), "{end}");
        }
    }
}

/// A finder finds the very samples that the listener judges.
#[test]
fn a_finder_finds_what_the_listener_judges() {
    let sounds = [
        (20.0, tone(500.0, 0.1, 0.4)),
        (23.0, tone(1100.0, 0.1, 1.0)),
        // One much louder over a fainter one.
        (27.0, tone(1100.0, 0.03, 1.0)),
        (27.5, tone(2200.0, 2.0, 0.3)),
        (30.0, tone(2200.0, 0.1, 0.15)),
    ];
    let samples = stream(33.0, &sounds);
    let (told, _) = listen(SHORT_HOP, &samples, &[usize::MAX]);
    let mut buffer = vec![f32::NAN; SoundFinder::buffer_len(&CONFIG)];
    let found = find(&SHORT_HOP, &samples, &mut buffer);
    let known = |sound: &&FoundSound| sound.start > seconds(19.0) as u64;
    let late: Vec<_> = found.iter().filter(known).collect();
    assert_eq!(late.len(), 5, "{found:?}");
    assert!(late[2].end > late[3].start, "{late:?}");
    let judged = events(&told).len();
    assert_eq!(judged, 3);
    for event in events(&told) {
        let own = late.iter().filter(|sound| sound.start == event.start);
        let ended = told.iter().filter_map(|window| window.ended);
        let ended = ended.filter(|ended| ended.start == event.start);
        let ends: Vec<u64> = ended.map(|ended| ended.end).collect();
        assert_eq!(
            own.map(|sound| sound.end).collect::<Vec<_>>(),
            ends,
            "{event:?}"
        );
    }
    let short = &mut buffer[1..];
    assert!(matches!(
        SoundFinder::new(&SHORT_HOP, CONFIG, short),
        Err(ListenerError::BufferTooShort { .. })
    ));
}

#[test]
fn every_frame_is_told_once() {
    let (told, _) = listen(SHORT_HOP, &scene(), &[usize::MAX]);
    let frames: usize = told.iter().map(|w| w.frames.len() / DIM).sum();
    let samples = scene().len();
    let all = (samples - 64) / 64;
    assert!(frames <= all && frames > all - 32, "{frames} of {all}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn windows_do_not_depend_on_chunks(chunks in prop::collection::vec(1..3000_usize, 1..12)) {
        let samples = scene();
        let whole = listen(SHORT_HOP, &samples, &[usize::MAX]);
        prop_assert_eq!(whole, listen(SHORT_HOP, &samples, &chunks));
    }
}

#[test]
fn a_short_stream_is_judged_at_its_end() {
    let clip = tone(500.0, 0.1, 0.3);
    let (told, embedded) = listen(SHORT_HOP, &clip, &[100]);
    // The second window only says that the event is over.
    assert_eq!((told.len(), embedded), (2, 1));
    assert!(told[1].ended.is_some());
    assert_eq!(events(&told)[0].class, ClassId::new(0));
    let (told, embedded) = listen(SHORT_HOP, &[], &[1]);
    assert!(told.is_empty() && embedded == 0);
}

#[test]
fn without_a_gate_every_window_is_judged() {
    let config = ListenerConfig {
        gate: f32::NEG_INFINITY,
        ..SHORT_HOP
    };
    let (told, embedded) = listen(config, &scene(), &[1000]);
    assert!(told.iter().all(|window| window.similarity.is_some()));
    assert_eq!(told.len(), embedded);
}

#[test]
fn patches_of_any_length_are_listened_to() {
    for frames in [1, 2, 3, 7] {
        let config = FrontendConfig { frames, ..CONFIG };
        let mut backbone = Bands {
            config,
            ..Bands::default()
        };
        let mut storage = StorageVec::new(CLASSES, 8, DIM);
        let mut learner = learner(&mut storage);
        let mut buffer = vec![0.0; Listener::buffer_len(&config, DIM, CLASSES)];
        let mut listener = Listener::new(SHORT_HOP, &space(config), CLASSES, &mut buffer).unwrap();
        let mut judged = 0;
        let mut told = |window: &Window<'_>| {
            judged += usize::from(window.decision.is_some());
            assert!(window.start < window.end);
        };
        listener
            .push(&mut learner, &mut backbone, &scene(), &mut told)
            .unwrap();
        listener
            .finish(&mut learner, &mut backbone, &mut told)
            .unwrap();
        assert!(judged > 4, "{frames}: {judged}");
    }
}

#[test]
fn a_failure_is_told_and_the_stream_goes_on() {
    let mut storage = StorageVec::new(CLASSES, 8, DIM);
    let mut learner = learner(&mut storage);
    let mut backbone = Bands {
        limit: 3.0,
        ..Bands::default()
    };
    let mut buffer = vec![0.0; Listener::buffer_len(&CONFIG, DIM, CLASSES)];
    let mut listener = Listener::new(SHORT_HOP, &space(CONFIG), CLASSES, &mut buffer).unwrap();
    let loud = tone(500.0, 20.0, 0.5);
    let quiet = stream(10.0, &[(8.0, tone(500.0, 0.1, 0.4))]);
    let mut events = 0;
    let mut count = |window: &Window<'_>| events += usize::from(window.event.is_some());
    listener
        .push(&mut learner, &mut backbone, &quiet[..20_000], &mut count)
        .unwrap();
    let failed = listener.push(&mut learner, &mut backbone, &loud, &mut count);
    assert_eq!(failed, Err(ListenError::Backbone(TooLoud)));
    let _ = listener.push(&mut learner, &mut backbone, &quiet[..8000], &mut count);
    let went_on = listener.push(&mut learner, &mut backbone, &quiet, &mut count);
    assert_eq!((went_on, events), (Ok(()), 1));
    // A learner that was changed and not fitted.
    let [low, high] = TONES.map(|(name, _)| learner.support().find(name).unwrap());
    learner.support_mut().set_enabled(low, false).unwrap();
    let unfitted = listener.push(&mut learner, &mut backbone, &quiet, |_| ());
    assert_eq!(
        unfitted,
        Err(ListenError::Classify(ClassifyError::NotFitted))
    );
    // One that knows nothing is no failure.
    learner.support_mut().set_enabled(high, false).unwrap();
    listener
        .push(&mut learner, &mut backbone, &quiet, |window| {
            assert!(window.decision.is_none());
        })
        .unwrap();
}

#[test]
fn what_cannot_work_is_refused() {
    let needed = Listener::buffer_len(&CONFIG, DIM, CLASSES);
    let mut buffer = vec![0.0; needed];
    let mut new = |config, frontend, length: usize| {
        Listener::new(config, &space(frontend), CLASSES, &mut buffer[..length]).map(|_| ())
    };
    assert_eq!(new(SHORT_HOP, CONFIG, needed), Ok(()));
    let found = needed - 1;
    assert_eq!(
        new(SHORT_HOP, CONFIG, found),
        Err(ListenerError::BufferTooShort { needed, found })
    );
    let wrong = FrontendConfig { mels: 0, ..CONFIG };
    let error = new(SHORT_HOP, wrong, needed).unwrap_err();
    assert!(matches!(error, ListenerError::Frontend(_)));
    for (config, expected) in [
        (
            ListenerConfig {
                hop: 0.0,
                ..SHORT_HOP
            },
            ListenerConfigError::Hop,
        ),
        (
            ListenerConfig {
                smoothing: 0,
                ..SHORT_HOP
            },
            ListenerConfigError::Count,
        ),
        (
            ListenerConfig {
                margin: f32::NAN,
                ..SHORT_HOP
            },
            ListenerConfigError::Threshold,
        ),
        (
            ListenerConfig {
                hold: -1.0,
                ..SHORT_HOP
            },
            ListenerConfigError::Duration,
        ),
        (
            ListenerConfig {
                gate: f32::NAN,
                ..SHORT_HOP
            },
            ListenerConfigError::Gate,
        ),
    ] {
        assert_eq!(
            new(config, CONFIG, needed),
            Err(ListenerError::Config(expected))
        );
    }
}

/// A class that another one is removed before keeps its id, so that an event of it is known.
#[test]
fn events_name_the_class_whatever_else_is_removed() {
    let mut storage = StorageVec::new(CLASSES, 8, DIM);
    let mut learner = learner(&mut storage);
    let [low, high] = TONES.map(|(name, _)| learner.support().find(name).unwrap());
    learner.support_mut().remove(low).unwrap();
    let mut scratch = vec![0.0; learner.scratch_len()];
    learner.fit(&mut scratch).unwrap();
    let mut backbone = Bands::default();
    let mut buffer = vec![0.0; Listener::buffer_len(&CONFIG, DIM, CLASSES)];
    let mut listener = Listener::new(SHORT_HOP, &space(CONFIG), CLASSES, &mut buffer).unwrap();
    let mut heard = Vec::new();
    listener
        .push(&mut learner, &mut backbone, &scene(), |window| {
            heard.extend(window.event.map(|event| event.class));
        })
        .unwrap();
    assert_eq!(heard, [high, high]);
    assert_eq!(learner.support().name(heard[0]), Ok("high"));
}
