//! The work of the firmware, done by the runtime on this host: files through the trainer's decoder,
//! all else through the same crates.

use super::script::{CLASSES, EXAMPLES, Flash, Script};
use anyhow::{Context, Result, ensure};
use mtslvr_audio as audio;
use mtslvr_runtime::backbone::PackedBackbone;
use mtslvr_runtime::clip::embed_clip;
use mtslvr_runtime::fewshot::persist::{BlockingFlashStore, StoreError, store_scratch_len};
use mtslvr_runtime::fewshot::{HeadKind, Learner, StorageVec};
use mtslvr_runtime::model::{AlignedBytes, Crc32, Model};
use mtslvr_runtime::space::{BackboneId, EmbeddingSpace};
use mtslvr_simulated_flash::FlashFault;
use std::path::Path;
use xtask::report::{Fields, Line, Report};

/// The runtime on this host, with a packed model.
#[derive(Debug)]
pub struct Host {
    bytes: AlignedBytes,
}

impl Host {
    /// Reads the model at `path`.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        Ok(Self {
            bytes: AlignedBytes::new(&bytes),
        })
    }

    /// Opens the model.
    ///
    /// # Errors
    /// If the file is no valid model.
    pub fn model(&self) -> Result<Model<'_>> {
        Ok(Model::open(&self.bytes)?)
    }

    /// The lines that the firmware owes for `script`, without their count of instructions. What is
    /// enrolled is kept in `flash`, if there is one; when its power goes, so does the rest.
    ///
    /// # Errors
    /// If a recording cannot be read, or the script asks for what the firmware refuses.
    pub fn run(
        &self,
        script: &Script,
        head: HeadKind,
        flash: Option<&mut Flash>,
    ) -> Result<Report> {
        let model = self.model()?;
        let mut backbone = PackedBackbone::new(model, vec![0_i8; model.arena_len()])?;
        let space = model.space();
        let mut storage = StorageVec::new(CLASSES, EXAMPLES, space.dim());
        let mut sounds = Learner::new(storage.lend(), head, space)?;
        let mut report = Report::default();
        let mut kept = match flash {
            Some(flash) => Some(Kept::open(flash, script.cut, &mut sounds, &mut report)?),
            None => None,
        };
        let mut save = |sounds: &Learner, report: &mut Report| match &mut kept {
            Some(kept) => kept.save(sounds, report),
            None => Ok(true),
        };
        if let Some(threshold) = script.threshold {
            sounds.set_default_threshold(Some(threshold))?;
            if !save(&sounds, &mut report)? {
                return Ok(report);
            }
        }
        for (label, path) in &script.support {
            let (embedding, mut fields) = embed(&mut backbone, path)?;
            sounds.enrol(label, &embedding)?;
            fields.insert(0, field("class", label));
            report.lines.push(line("support", fields));
            if !save(&sounds, &mut report)? {
                return Ok(report);
            }
        }
        for label in &script.deleted {
            let class = sounds.support().find(label).context("a class to delete")?;
            sounds.support_mut().remove(class)?;
            report
                .lines
                .push(line("deleted", vec![field("class", label)]));
            if !save(&sounds, &mut report)? {
                return Ok(report);
            }
        }
        if sounds.support().class_count() > 0 {
            sounds.fit(&mut vec![0.0; sounds.scratch_len()])?;
        }
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

impl Host {
    /// Leaves in `flash` what a device with another backbone would.
    ///
    /// # Errors
    /// If the flash refuses to be written.
    pub fn enrol_under_another_backbone(&self, flash: &mut Flash) -> Result<()> {
        let model = self.model()?;
        let space = model.space();
        let other = EmbeddingSpace::new(
            BackboneId::new(space.backbone().as_bytes().map(|byte| !byte)),
            *space.frontend(),
            *space.parts(),
            space.base_mean(),
            *space.reference(),
        );
        let other = other.context("the base mean is as long as before")?;
        let mut storage = StorageVec::new(CLASSES, EXAMPLES, space.dim());
        let mut sounds = Learner::new(storage.lend(), HeadKind::default(), other)?;
        let embedding: Vec<f32> = space.base_mean().iter().map(|mean| mean + 1.0).collect();
        let mut report = Report::default();
        let mut kept = Kept::open(flash, None, &mut sounds, &mut report)?;
        sounds.enrol("sound", &embedding)?;
        kept.save(&sounds, &mut report)?;
        Ok(())
    }
}

/// The store in a flash.
struct Kept<'f> {
    flash: &'f mut Flash,
    scratch: Vec<u8>,
    /// Moment at which the power goes.
    cut: Option<u64>,
}

impl<'f> Kept<'f> {
    /// Opens the store, and restores what it holds.
    fn open(
        flash: &'f mut Flash,
        cut: Option<u64>,
        sounds: &mut Learner,
        report: &mut Report,
    ) -> Result<Self> {
        if let Some(cut) = cut {
            flash.cut_after(cut, 0);
        }
        let scratch = vec![0; store_scratch_len(CLASSES, EXAMPLES, sounds.metric().dim())];
        let mut kept = Self {
            flash,
            scratch,
            cut,
        };
        kept.store(|store, scratch| store.load(sounds, scratch))?;
        report.lines.push(line("restored", count(sounds)));
        Ok(kept)
    }

    /// Saves what `sounds` knows; false if the power went meanwhile.
    fn save(&mut self, sounds: &Learner, report: &mut Report) -> Result<bool> {
        let saved = self.store(|store, scratch| store.save(sounds, scratch));
        match self.cut {
            Some(cut) if !self.flash.is_powered() => {
                let fields = vec![field("lost_after", cut)];
                report.lines.push(line("power", fields));
                return Ok(false);
            }
            _ => saved?,
        }
        report.lines.push(line("saved", count(sounds)));
        Ok(true)
    }

    fn store<T>(
        &mut self,
        act: impl FnOnce(&mut BlockingFlashStore<Flash>, &mut [u8]) -> Result<T, StoreError<FlashFault>>,
    ) -> Result<T> {
        let flash = std::mem::replace(self.flash, Flash::new(0));
        let range = 0..u32::try_from(flash.content().len())?;
        let mut store = BlockingFlashStore::new(flash, range)?;
        let result = act(&mut store, &mut self.scratch);
        *self.flash = store.into_flash();
        Ok(result?)
    }
}

/// Returns the line on how much is known.
fn count(sounds: &Learner) -> Fields {
    let support = sounds.support();
    vec![
        field("classes", support.class_count()),
        field("examples", support.example_count()),
    ]
}

/// The embedding of a file, and the fields that tell of it.
fn embed(backbone: &mut PackedBackbone<'_, Vec<i8>>, path: &Path) -> Result<(Vec<f32>, Fields)> {
    let config = *backbone.model().frontend();
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
