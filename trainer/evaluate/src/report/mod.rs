//! Writes one self-contained page about a run: no script, no external resource, readable on a light or
//! a dark screen and on paper. The page is drawn from [`Report`], which is also `results.json`, so that
//! both hold the same facts.

mod accuracy;
mod chart;
mod data;
mod escape;
mod models;
mod page;
mod parts;
mod pieces;
mod projection;
mod spectrogram;

pub use crate::Confusion;
pub use data::{
    Curve, EmbeddingMap, EngineAgreement, Fact, FalseAlarms, Figure, MapPoint, ModelFindings,
    Recognition, Report, Spectrogram,
};
pub use parts::{bytes, model_costs};
pub use projection::{Projection, principal_components};
pub use spectrogram::data_uri as spectrogram_data_uri;

use anyhow::{Context, Result};
use mtslvr_audio::ShowPath;
use mtslvr_audio::atomic_file::write_bytes;
use std::path::{Path, PathBuf};

impl Report {
    /// Writes `results.json` and `report.html` into `folder`; returns their paths.
    ///
    /// # Errors
    /// If one cannot be written; a file that was there then stays whole.
    pub fn write(&self, folder: &Path) -> Result<[PathBuf; 2]> {
        let json = serde_json::to_string_pretty(self)? + "\n";
        let files = [("results.json", json), ("report.html", self.to_html())];
        for (name, text) in &files {
            let path = folder.join(name);
            write_bytes(&path, text.as_bytes())
                .with_context(|| format!("cannot write {}", path.shown()))?;
        }
        Ok(files.map(|(name, _)| folder.join(name)))
    }

    /// Returns the page as one HTML document.
    pub fn to_html(&self) -> String {
        page::render(self)
    }
}
