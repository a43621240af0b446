use super::*;
use crate::fewshot::Reference;
use crate::frontend::FrontendForm;
use crate::space::test_space::parts;
use crate::space::{BackboneId, EmbeddingSpace};
use proptest::prelude::*;

const CONFIG: FrontendConfig = FrontendConfig {
    sample_rate: 16_000,
    window: 64,
    hop: 32,
    mels: 3,
    frames: 10,
    f_min: 100.0,
    f_max: 7000.0,
    floor: 1e-5,
    mean: -2.0,
    scale: 0.5,
    form: FrontendForm::PLAIN,
};

/// Samples of a clip that has exactly `frames` frames.
fn clip(frames: usize) -> Vec<f32> {
    (0..(frames - 1) * 32 + 64)
        .map(|i| ((i * i) as f32 * 0.37).sin() * (1.0 + i as f32 * 1e-3))
        .collect()
}

fn rows(samples: &[f32]) -> Vec<Vec<f32>> {
    let mut buffer = vec![0.0; CONFIG.buffer_len()];
    let mut rows = Vec::new();
    Frontend::new(CONFIG, &mut buffer)
        .unwrap()
        .push(samples, |frame| rows.push(frame.to_vec()));
    rows
}

fn cut(samples: &[f32]) -> Vec<Vec<f32>> {
    let mut all = Vec::new();
    let count = patches(CONFIG, samples, |patch| all.push(patch.to_vec())).unwrap();
    assert_eq!(count as usize, all.len());
    all
}

/// Sums of a patch's columns: enough to tell patches apart.
#[derive(Default)]
struct Columns {
    config: Option<FrontendConfig>,
    calls_until_failure: Option<u32>,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("failed")]
struct Failed;

impl Backbone for Columns {
    type Error = Failed;
    fn space(&self) -> EmbeddingSpace<'_> {
        let (id, frontend) = (BackboneId::new([1; 32]), self.config.unwrap_or(CONFIG));
        let reference = Reference::assumed(0.0);
        EmbeddingSpace::new(id, frontend, parts(&[2, 1]), &[0.0; 3], reference).unwrap()
    }
    fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), Failed> {
        if let Some(calls) = &mut self.calls_until_failure {
            *calls = calls.checked_sub(1).ok_or(Failed)?;
        }
        embedding.fill(0.0);
        for (i, row) in patch.chunks(3).enumerate() {
            for (sum, value) in embedding.iter_mut().zip(row) {
                *sum += value * (i + 1) as f32;
            }
        }
        Ok(())
    }
}

#[test]
fn patches_follow_each_other_without_overlap() {
    let samples = clip(20);
    let rows = rows(&samples);
    assert_eq!(cut(&samples), [rows[..10].concat(), rows[10..].concat()]);
}

#[test]
fn a_quarter_of_a_patch_left_over_makes_one_more() {
    assert_eq!(cut(&clip(12)).len(), 1, "2 of 10 frames are too few");
    let samples = clip(13);
    let rows = rows(&samples);
    assert_eq!(cut(&samples), [rows[..10].concat(), rows[3..].concat()]);
    assert_eq!(cut(&clip(29)).len(), 3);
}

#[test]
fn a_short_clip_repeats_its_frames() {
    let samples = clip(4);
    let rows = rows(&samples);
    let tiled: Vec<f32> = (0..10).flat_map(|i| rows[i % 4].clone()).collect();
    assert_eq!(cut(&samples), [tiled]);
}

#[test]
fn less_than_a_window_is_padded() {
    let mut samples = clip(1);
    samples.truncate(20);
    let mut padded = samples.clone();
    padded.resize(64, 0.0);
    assert_eq!(cut(&samples), cut(&padded));
}

#[test]
fn a_clip_embeds_as_the_mean_of_its_patches() {
    let samples = clip(33);
    let patches = cut(&samples);
    assert_eq!(patches.len(), 4);
    let mut sum = [0.0_f32; 3];
    for patch in &patches {
        let mut one = [0.0; 3];
        Columns::default().embed(patch, &mut one).unwrap();
        sum.iter_mut()
            .zip(one)
            .for_each(|(sum, value)| *sum += value);
    }
    let mean = sum.map(|sum| sum / 4.0);
    assert_eq!(embed_clip(&mut Columns::default(), &samples).unwrap(), mean);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_chunking_gives_the_same_bits(
        length in 1_usize..1_500,
        cuts in prop::collection::vec(0_usize..400, 0..8),
    ) {
        let samples = &clip(50)[..length];
        let whole = embed_clip(&mut Columns::default(), samples).unwrap();

        let mut buffer = vec![f32::NAN; ClipEmbedder::buffer_len(&CONFIG, 3)];
        let mut stream = ClipEmbedder::new(CONFIG, &mut buffer).unwrap();
        let mut backbone = Columns::default();
        let mut embedding = [0.0; 3];
        // A clip before this one leaves no trace.
        stream.push(&mut backbone, &clip(14)).unwrap();
        stream.finish(&mut backbone, &mut embedding).unwrap();
        let mut rest = samples;
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            stream.push(&mut backbone, now).unwrap();
            rest = later;
        }
        stream.push(&mut backbone, rest).unwrap();
        let patches = stream.finish(&mut backbone, &mut embedding).unwrap();
        prop_assert_eq!(patches as usize, cut(samples).len());
        prop_assert_eq!(embedding.map(f32::to_bits).to_vec(),
            whole.iter().map(|value| value.to_bits()).collect::<Vec<_>>());
    }
}

#[test]
fn what_goes_wrong_is_told_and_the_next_clip_works() {
    let mut backbone = Columns::default();
    assert_eq!(embed_clip(&mut backbone, &[]), Err(ClipError::Empty));

    let mut buffer = vec![0.0; ClipEmbedder::buffer_len(&CONFIG, 3)];
    let mut stream = ClipEmbedder::new(CONFIG, &mut buffer).unwrap();
    let mut failing = Columns {
        calls_until_failure: Some(1),
        ..Columns::default()
    };
    let error = stream.push(&mut failing, &clip(25));
    assert_eq!(error, Err(ClipError::Backbone(Failed)));
    stream.reset();
    let mut embedding = [0.0; 3];
    stream.push(&mut backbone, &clip(25)).unwrap();
    assert_eq!(stream.finish(&mut backbone, &mut embedding), Ok(3));
    assert_eq!(embedding[..], embed_clip(&mut backbone, &clip(25)).unwrap());

    let mut other = Columns {
        config: Some(FrontendConfig { hop: 16, ..CONFIG }),
        ..Columns::default()
    };
    assert_eq!(
        stream.push(&mut other, &clip(3)),
        Err(ClipError::OtherFrontend)
    );

    let needed = ClipEmbedder::buffer_len(&CONFIG, 3);
    let mut short = vec![0.0; needed - 1];
    let mut stream = ClipEmbedder::new(CONFIG, &mut short).unwrap();
    assert_eq!(
        stream.push(&mut backbone, &clip(3)),
        Err(ClipError::BufferTooShort {
            needed,
            found: needed - 1
        })
    );
}

#[test]
fn levels_are_those_of_the_clip_however_it_comes() {
    let mut backbone = Columns::default();
    let mut buffer = vec![0.0; ClipEmbedder::buffer_len(&CONFIG, 3)];
    let mut stream = ClipEmbedder::new(CONFIG, &mut buffer).unwrap();
    let mut embedding = [0.0; 3];
    for chunk in [[7; 450], [-9; 450]] {
        stream.push_i16(&mut backbone, &chunk).unwrap();
    }
    assert_eq!(stream.levels().peak(), 9.0 / 32_768.0);
    assert_eq!(stream.levels().samples(), 900);
    // Nothing is left for the next clip.
    stream.finish(&mut backbone, &mut embedding).unwrap();
    assert_eq!(*stream.levels(), Levels::default());
    stream.push(&mut backbone, &[0.1, -0.3, 0.0]).unwrap();
    assert_eq!(*stream.levels(), levels(&[0.1, -0.3, 0.0]));
    stream.reset();
    assert_eq!(*stream.levels(), Levels::default());
}
