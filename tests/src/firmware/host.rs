//! What the firmware does, done by the runtime on this host: files through the trainer's decoder,
//! all else through the same crates.

use super::{CLASSES, EXAMPLES, Script};
use anyhow::{Context, Result, ensure};
use mtslvr_runtime::backbone::{Backbone, PackedBackbone};
use mtslvr_runtime::clip::embed_clip;
use mtslvr_runtime::fewshot::{HeadKind, Learner, StorageVec};
use mtslvr_runtime::model::{AlignedBytes, Crc32, Model};
use mtslvr_trainer::audio;
use std::path::Path;
use xtask::report::{Fields, Line, Report};

/// The runtime on this host, with a packed model.
#[derive(Debug)]
pub struct Host {
    bytes: AlignedBytes,
}

impl Host {
    /// Reads the model at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        Ok(Self {
            bytes: AlignedBytes::new(&bytes),
        })
    }

    /// The model.
    pub fn model(&self) -> Result<Model<'_>> {
        Ok(Model::open(&self.bytes)?)
    }

    /// The `support` and `query` lines that the firmware owes for `script`, without their count of
    /// instructions.
    pub fn run(&self, script: &Script, head: HeadKind) -> Result<Report> {
        let model = self.model()?;
        let mut backbone = PackedBackbone::new(model, vec![0_i8; model.arena_len()])?;
        let mut storage = StorageVec::new(CLASSES, EXAMPLES, backbone.embedding_dim());
        let mut sounds = Learner::new(storage.lend(), head, (&model).into())?;
        if let Some(threshold) = script.threshold {
            sounds.set_default_threshold(Some(threshold))?;
        }
        let mut report = Report::default();
        for (label, path) in &script.support {
            let (embedding, mut fields) = embed(&mut backbone, path)?;
            sounds.enrol(label, &embedding)?;
            fields.insert(0, field("class", label));
            report.lines.push(line("support", fields));
        }
        sounds.fit(&mut vec![0.0; sounds.scratch_len()])?;
        for path in &script.queries {
            let (embedding, fields) = embed(&mut backbone, path)?;
            let mut scores = [0.0; CLASSES];
            let decision = sounds.classify(&embedding, &mut scores)?;
            let name = |class| sounds.support().name(class);
            let class = decision.class.map_or(Ok("unknown"), name)?;
            let scores: Vec<String> = sounds
                .support()
                .classes()
                .iter()
                .zip(decision.scores)
                .map(|(class, score)| format!("{}:{score}", class.name()))
                .collect();
            let mut answer = vec![
                field("class", class),
                field("best", name(decision.best)?),
                field("similarity", decision.similarity),
                field("scores", scores.join(",")),
            ];
            answer.extend(fields);
            report.lines.push(line("query", answer));
        }
        Ok(report)
    }
}

/// The embedding of a file, and the fields that tell of it.
fn embed(backbone: &mut PackedBackbone<'_, Vec<i8>>, path: &Path) -> Result<(Vec<f32>, Fields)> {
    let config = *backbone.frontend();
    let samples = audio::load(path, config.sample_rate)?;
    let embedding = embed_clip(backbone, &samples)?;
    let patches = mtslvr_runtime::clip::patches(config, &samples, |_| ())?;
    ensure!(patches > 0, "{}: no patch", path.display());
    let crc = embedding
        .iter()
        .fold(Crc32::new(), |crc, value| crc.update(&value.to_le_bytes()));
    let fields = vec![
        field("samples", samples.len()),
        field("patches", patches),
        field("crc32", format!("{:08x}", crc.finish())),
        field("file", path.display()),
    ];
    Ok((embedding, fields))
}

fn field(key: &str, value: impl ToString) -> (String, String) {
    (key.to_owned(), value.to_string())
}

fn line(kind: &str, fields: Fields) -> Line {
    Line {
        kind: kind.to_owned(),
        fields,
    }
}
