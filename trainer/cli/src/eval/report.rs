//! Everything that the two reports share: one backbone, embedded sets, and files to write.

use crate::backbone::BackboneChoice;
use crate::{output_place, progress, sets};
use anyhow::{Context, Result};
use mtslvr_audio::ShowPath;
use mtslvr_audio::atomic_file::write_bytes;
use mtslvr_audio::{DecodeCache, LabelledSet};
use mtslvr_evaluate::{EmbeddedSet, missing_note};
use mtslvr_pack::{BackboneFile, OpenedBackbone};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::space::OwnedSpace;
use serde::Serialize;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// The options on what is written, flattened into the arguments of a report.
#[derive(Debug, clap::Args)]
pub(super) struct ReportOutput {
    /// File to write the report to, Markdown [default: standard output]
    #[arg(long, value_name = "FILE.md")]
    report: Option<PathBuf>,
    /// File to write the figures to as JSON, or - for standard output [default: none]
    // The long help is each report's own.
    #[arg(long, value_name = "FILE|-")]
    json: Option<PathBuf>,
}

/// A backbone, and the embeddings that are asked about.
pub(super) struct Embedder {
    pub(super) file: BackboneFile,
    engines: Vec<OpenedBackbone>,
    /// Notes for the report: clips and classes that are missing, and why.
    pub(super) notes: Vec<String>,
}

impl Embedder {
    /// Opens the backbone once for each core.
    pub(super) fn open(backbone: &BackboneChoice) -> Result<Self> {
        let file = backbone.open()?;
        Ok(Self {
            engines: file.backbones()?,
            file,
            notes: Vec::new(),
        })
    }

    /// Returns the description of an embedding.
    pub(super) fn space(&self) -> OwnedSpace {
        self.engines[0].space().into_owned()
    }

    /// Embeds the clips of the sets in `folders`.
    pub(super) fn embed(
        &mut self,
        folders: &[PathBuf],
        cache: &DecodeCache,
    ) -> Result<Vec<EmbeddedSet>> {
        let rate = self.engines[0].space().frontend().sample_rate;
        let mut embedded = Vec::new();
        for set in &LabelledSet::open_all(folders)? {
            let (loaded, skipped) = sets::load(set, rate, cache);
            self.notes.extend(missing_note(set, skipped));
            let clips = loaded.clips.len() as u64;
            let bar = progress::step(clips, "clips", &format!("embedding {}", set.name));
            embedded.push(EmbeddedSet::of(&mut self.engines, loaded, &|| bar.inc(1))?);
            bar.finish_and_clear();
        }
        Ok(embedded)
    }
}

/// Returns the sets without the classes that are too small for so many examples; `notes` names these.
pub(super) fn with_shots(
    sets: &[EmbeddedSet],
    shots: usize,
    notes: &mut Vec<String>,
) -> Vec<EmbeddedSet> {
    let sets = sets.iter().map(|set| {
        let (kept, dropped) = set.with_shots(shots);
        if !dropped.is_empty() {
            notes.push(format!(
                "{}: at {shots} examples without {}, which have too few clips.",
                set.name,
                dropped.join(", ")
            ));
        }
        kept
    });
    sets.collect()
}

impl ReportOutput {
    /// Refuses files in folders that do not exist, before the work.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(path) = &self.report {
            output_place::check_file("--report", path)?;
        }
        if let Some(path) = &self.json {
            output_place::check_file("--json", path)?;
        }
        Ok(())
    }

    /// Writes the Markdown to `--report` or standard output, and the JSON where it was asked for.
    pub(super) fn write(&self, report: &(impl Display + Serialize)) -> Result<()> {
        let mut json_to_standard_output = false;
        if let Some(path) = &self.json {
            let json = serde_json::to_string_pretty(report)? + "\n";
            json_to_standard_output = path.as_os_str() == "-";
            if json_to_standard_output {
                out!("{json}");
            } else {
                save(path, json)?;
            }
        }
        match &self.report {
            Some(path) => save(path, report.to_string())?,
            None if json_to_standard_output => {}
            None => out!("{report}"),
        }
        Ok(())
    }
}

fn save(path: &Path, text: String) -> Result<()> {
    write_bytes(path, text.as_bytes()).with_context(|| format!("cannot write {}", path.shown()))
}
