//! A teacher of paths: a trained backbone that says what it hears in each view.

use anyhow::{Context, Result, anyhow, ensure};
use mtslvr_evaluate::embed_clips;
use mtslvr_pack::{BackboneFile, ModelSource, OpenedBackbone};
use mtslvr_runtime::backbone::Backbone;
use std::ffi::OsString;
use std::ops::Range;
use std::sync::Mutex;

/// A trained backbone, open once for each thread of the pool.
#[derive(Debug)]
pub(super) struct ViewTeacher {
    model: String,
    engines: Mutex<Vec<OpenedBackbone>>,
    /// Ranges of the parts of its embedding.
    parts: Vec<Range<usize>>,
}

impl ViewTeacher {
    /// Opens the teacher `name`, whose file `model` is one that `--model` takes; it has to hear sound at
    /// `sample_rate`.
    pub(super) fn open(name: &str, model: &str, sample_rate: u32) -> Result<Self> {
        let source = ModelSource::from(OsString::from(model));
        let open = || -> Result<_> { Ok(BackboneFile::open(&source, None)?.backbones()?) };
        let engines = open().with_context(|| {
            format!(
                "objective.teachers.{name}: its model is no backbone that can be opened; a model of waveforms \
                 needs a part that learns from it"
            )
        })?;
        let teacher = engines.first().context("a pool without threads")?;
        let space = teacher.space();
        let found = space.frontend().sample_rate;
        ensure!(
            found == sample_rate,
            "the teacher {name} ({model}) hears sound at {found} Hz, expected frontend.sample_rate = \
             {sample_rate}; train at its rate, or name another model"
        );
        let parts = space.parts().ranges().map(|(_, range)| range).collect();
        Ok(Self {
            model: model.to_owned(),
            engines: Mutex::new(engines),
            parts,
        })
    }

    /// Values of each part of its embedding.
    pub(super) fn dims(&self) -> Vec<usize> {
        self.parts.iter().map(Range::len).collect()
    }

    /// Returns for each part the directions of all clips' embeddings as seen from the base mean, clip after
    /// clip, each of unit length; zeros where an embedding is the base mean itself.
    pub(super) fn directions(&self, clips: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
        let mut engines = self.engines.lock().expect("nothing panics holding it");
        let features = embed_clips(&mut engines, clips, || ())
            .map_err(|(_, error)| anyhow!("the teacher {}: {error}", self.model))?;
        let space = features.space.as_space();
        let directions = |part: &Range<usize>| {
            let mut out = Vec::with_capacity(clips.len() * part.len());
            for clip in 0..clips.len() {
                let (row, mean) = (&features.row(clip)[part.clone()], space.base_mean());
                let centred = row.iter().zip(&mean[part.clone()]).map(|(x, m)| x - m);
                let length = centred.clone().map(|x| x * x).sum::<f32>().sqrt();
                let scale = if length > 0.0 { length.recip() } else { 0.0 };
                out.extend(centred.map(|x| x * scale));
            }
            out
        };
        Ok(self.parts.iter().map(directions).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_teacher_gives_unit_directions_of_its_parts() {
        let teacher = ViewTeacher::open("big", "edge-s", 16_000).unwrap();
        assert_eq!(teacher.dims(), [96, 48, 64, 64, 80]);
        let tone = |hz: f32| -> Vec<f32> {
            let step = hz * std::f32::consts::TAU / 16_000.0;
            (0..16_000).map(|i| (i as f32 * step).sin() * 0.5).collect()
        };
        let (low, high) = (tone(220.0), tone(2500.0));
        let found = teacher.directions(&[&low, &high, &low]).unwrap();
        assert_eq!(found.len(), 5);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        for (part, dim) in found.iter().zip(teacher.dims()) {
            let rows: Vec<&[f32]> = part.chunks(dim).collect();
            assert_eq!(rows[0], rows[2], "the same clip, the same direction");
            assert!(rows.iter().all(|row| (dot(row, row) - 1.0).abs() < 1e-5));
            assert!(dot(rows[0], rows[1]) < 0.9, "different sounds look alike");
        }
    }

    #[test]
    fn a_teacher_that_cannot_teach_is_named() {
        let text = |model: &str, rate| {
            let error = ViewTeacher::open("big", model, rate).unwrap_err();
            format!("{error:#}")
        };
        let gone = text("gone.slvr", 16_000);
        assert!(
            gone.contains("objective.teachers.big") && gone.contains("gone.slvr"),
            "{gone}"
        );
        let rate = text("edge-s", 8000);
        assert!(
            rate.contains("16000 Hz") && rate.contains("frontend.sample_rate = 8000"),
            "{rate}"
        );
    }
}
