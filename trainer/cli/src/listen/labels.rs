//! Writes recognised sounds as labels: for Audacity, or as CSV.

use anyhow::{Context, Result};
use mtslvr_audio::{Cell, ShowPath, Shown, must_be_regular_or_new};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file of labels, written while sounds are recognised.
#[derive(Debug)]
pub(super) struct Labels {
    path: PathBuf,
    file: File,
    csv: bool,
}

/// A recognised sound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label<'n> {
    pub(super) file: &'n str,
    pub(super) class: &'n str,
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) score: f32,
    pub(super) threshold: f32,
    pub(super) confidence: f32,
}

impl Labels {
    /// Tells whether a file of this name is CSV, which names the recording of each label.
    pub(super) fn is_csv(path: &Path) -> bool {
        path.extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
    }

    /// Makes the file, in the place of one that is there.
    pub(super) fn create(path: &Path) -> Result<Self> {
        // Nobody may read what a pipe is given.
        let file = must_be_regular_or_new(path).and_then(|()| File::create(path));
        let file = file.with_context(|| format!("--labels {}: cannot be made", path.shown()))?;
        let mut labels = Self {
            path: path.to_owned(),
            file,
            csv: Self::is_csv(path),
        };
        if labels.csv {
            labels.line("file,class,start,end,score,threshold,confidence")?;
        }
        Ok(labels)
    }

    /// Adds a label.
    pub(super) fn add(&mut self, label: &Label) -> Result<()> {
        let Label {
            file,
            class,
            start,
            end,
            score,
            threshold,
            confidence,
        } = *label;
        let line = if self.csv {
            let [file, class] = [file, class].map(|name| quoted(&Cell(name).to_string()));
            format!("{file},{class},{start:.3},{end:.3},{score:.4},{threshold:.4},{confidence:.4}")
        } else {
            audacity(start, end, class)
        };
        self.line(&line)
    }

    fn line(&mut self, line: &str) -> Result<()> {
        let written = writeln!(self.file, "{line}");
        written.with_context(|| format!("--labels {}: cannot be written", self.path.shown()))
    }
}

/// Returns a line of a label track of Audacity: seconds, and a name.
pub(crate) fn audacity(start: f64, end: f64, name: &str) -> String {
    format!("{start:.6}\t{end:.6}\t{}", Shown(name))
}

/// Returns a field of CSV.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}
