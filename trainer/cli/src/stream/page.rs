//! The files that `mtslvr stream --out` writes.

use anyhow::{Context, Result};
use mtslvr_audio::ShowPath;
use mtslvr_audio::atomic_file::write_bytes;
use mtslvr_evaluate::stream::{StreamReport, trade_off};
use std::io;
use std::path::Path;

/// Percent of misses to aim at, at one false alarm an hour: a line in the picture.
const AIM: f64 = 10.0;

/// Marks in the page: the program writes what stands between them, and nothing else.
const BEGIN: &str = "<!-- figures: written by `mtslvr stream` -->";
const END: &str = "<!-- end of figures -->";

/// Writes the figures, the picture, and the tables into the page.
pub(super) fn write(folder: &Path, report: &StreamReport) -> Result<()> {
    let page = folder.join("stream.md");
    let text = match std::fs::read_to_string(&page) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => format!("{BEGIN}\n{END}\n"),
        Err(error) => return Err(error).context(format!("cannot read {}", page.shown())),
    };
    let json = serde_json::to_string_pretty(report)? + "\n";
    save(&page, &with_figures(&text, &report.to_string(), &page)?)?;
    save(&folder.join("stream.json"), &json)?;
    save(&folder.join("stream.svg"), &trade_off(&report.levels, AIM))
}

fn save(path: &Path, text: &str) -> Result<()> {
    write_bytes(path, text.as_bytes()).with_context(|| format!("cannot write {}", path.shown()))
}

/// Returns `text` with `figures` in the place of everything between the marks.
fn with_figures(text: &str, figures: &str, path: &Path) -> Result<String> {
    let parts = text.split_once(BEGIN);
    let parts = parts.and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.with_context(|| {
        format!(
            "{}: no place for the figures; expected the lines `{BEGIN}` and `{END}`; add them, or name \
             another folder with --out",
            path.shown()
        )
    })?;
    Ok(format!(
        "{before}{BEGIN}\n\n{}\n\n{END}{after}",
        figures.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_replace_the_earlier_ones() {
        let path = Path::new("stream.md");
        let page = format!("# Title\n\n{BEGIN}\nold\n{END}\n\nReading.\n");
        let once = with_figures(&page, "| a |\n", path).unwrap();
        assert_eq!(
            once,
            format!("# Title\n\n{BEGIN}\n\n| a |\n\n{END}\n\nReading.\n")
        );
        assert_eq!(with_figures(&once, "| a |", path).unwrap(), once);
        let error = with_figures("# Title", "", path).unwrap_err().to_string();
        assert!(
            error.contains("stream.md") && error.contains(BEGIN),
            "{error}"
        );
    }
}
