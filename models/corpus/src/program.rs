//! Programs that decode and render.

use crate::audio::{self, AudioError};
use anyhow::{Context, Result, anyhow, bail};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that a source lacks: a name that `apt-get install` knows, and why it is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// Debian package.
    pub package: String,
    /// Consequence of its absence.
    pub consequence: String,
}

impl Missing {
    /// Names what is missing.
    pub fn new(package: &str, consequence: impl Into<String>) -> Self {
        Self {
            package: package.to_owned(),
            consequence: consequence.into(),
        }
    }
}

/// The command that installs all that is missing.
pub fn install_line(missing: &[Missing]) -> String {
    let packages: BTreeSet<_> = missing.iter().map(|m| m.package.as_str()).collect();
    let packages: Vec<_> = packages.into_iter().collect();
    format!(
        "apt-get update && apt-get install --no-install-recommends {}",
        packages.join(" ")
    )
}

/// Whether the program `name` is on the search path.
pub fn is_there(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()))
}

/// Runs `command` to its end, its input closed, and returns what it wrote.
///
/// # Errors
/// It cannot be started, or fails: with the last line of its complaint.
pub fn run(command: &mut Command) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let last = complaint.lines().rfind(|line| !line.trim().is_empty());
        bail!(
            "{name}: {}: {}",
            output.status,
            last.unwrap_or("no message")
        );
    }
    Ok(output.stdout)
}

/// Formats that the project reads by itself, by extension.
pub fn is_read_here(extension: &str) -> bool {
    ["wav", "flac", "ogg", "mp3"].contains(&extension)
}

/// Reads recordings of any format at [`RATE`](crate::clip::RATE) Hz: those that the project reads by
/// itself, others through ffmpeg and files in `scratch`. A file without a sound gives no samples.
pub fn decode(paths: &[&Path], scratch: &Path) -> Vec<Result<Vec<f32>>> {
    let is_foreign = |path: &&&Path| !is_read_here(&extension(path));
    let foreign: Vec<_> = paths.iter().filter(is_foreign).copied().collect();
    let wav = |path: &Path| {
        let index = paths.iter().position(|&other| other == path);
        scratch.join(format!("decoded-{}.wav", index.unwrap_or(paths.len())))
    };
    // All in one run, since starting it takes longer than a short recording. A damaged file ends
    // the run; then each is tried by itself.
    let together = foreign.is_empty() || convert(&foreign, wav).is_ok();
    let load = |path: &Path| match audio::load(path, crate::clip::RATE) {
        // Some packages hold files without a sound, which is no error of theirs.
        Err(AudioError::NoSamples { .. } | AudioError::EmptyFile { .. }) => Ok(Vec::new()),
        loaded => loaded,
    };
    let read = |path: &Path| {
        if foreign.contains(&path) {
            if !together {
                convert(&[path], wav)?;
            }
            return load(&wav(path)).with_context(|| path.display().to_string());
        }
        match load(path) {
            Ok(samples) => Ok(samples),
            // Some files are of another format than their names say.
            Err(error) => match convert(&[path], wav).map(|()| load(&wav(path))) {
                Ok(Ok(samples)) => Ok(samples),
                _ => Err(anyhow!(error)),
            },
        }
    };
    paths.iter().map(|path| read(path)).collect()
}

/// Converts `paths` to WAV files, whose paths `wav` gives, in one run of ffmpeg.
fn convert(paths: &[&Path], wav: impl Fn(&Path) -> PathBuf) -> Result<()> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-y"]);
    for path in paths {
        // Their names alone tell what these two are.
        let extension = extension(path);
        if extension == "g722" || extension == "gsm" {
            ffmpeg.args(["-f", &extension]);
        }
        ffmpeg.arg("-i").arg(path);
    }
    for (index, path) in paths.iter().enumerate() {
        ffmpeg.args(["-map", &format!("{index}:a:0"), "-ac", "1"]);
        ffmpeg.arg(wav(path));
    }
    run(&mut ffmpeg).map(|_| ())
}

fn extension(path: &Path) -> String {
    path.extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_installs_everything_once() {
        let missing = [
            Missing::new("sox", "a"),
            Missing::new("flite", "b"),
            Missing::new("sox", "c"),
        ];
        assert!(install_line(&missing).ends_with("--no-install-recommends flite sox"));
    }

    #[test]
    fn a_damaged_recording_spoils_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (whole, damaged) = (dir.path().join("a.wav"), dir.path().join("b.flac"));
        crate::audio::write_wav(&whole, &[0.5; 8000], 8000).unwrap();
        std::fs::write(&damaged, "no sound").unwrap();
        let empty = dir.path().join("c.wav");
        crate::audio::write_wav(&empty, &[], 16_000).unwrap();
        assert!(
            decode(&[&empty], dir.path())[0]
                .as_ref()
                .unwrap()
                .is_empty()
        );
        let read = decode(&[&damaged, &whole, &damaged], dir.path());
        assert_eq!(read[1].as_ref().unwrap().len(), 16_000);
        let error = format!("{:#}", read[0].as_ref().unwrap_err());
        assert!(read[2].is_err() && error.contains("b.flac"), "{error}");
    }

    /// Where ffmpeg is installed; elsewhere the recordings that need it are left out as well.
    #[test]
    fn other_formats_are_read_through_ffmpeg() {
        let dir = tempfile::tempdir().unwrap();
        let (aiff, damaged) = (dir.path().join("a.aiff"), dir.path().join("b.aiff"));
        std::fs::write(&damaged, "no sound").unwrap();
        if !is_there("ffmpeg") {
            assert!(decode(&[&damaged], dir.path())[0].is_err());
            return;
        }
        let wav = dir.path().join("a.wav");
        crate::audio::write_wav(&wav, &[0.5; 16_000], 16_000).unwrap();
        run(Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(&wav)
            .arg(&aiff))
        .unwrap();
        let read = decode(&[&damaged, &aiff, &wav], dir.path());
        assert!(read[0].is_err());
        let lengths = [
            read[1].as_ref().unwrap().len(),
            read[2].as_ref().unwrap().len(),
        ];
        assert_eq!(lengths, [16_000; 2]);
    }

    #[test]
    fn failures_carry_the_last_words() {
        let error = run(Command::new("sh").args(["-c", "echo no such voice >&2; exit 3"]));
        let error = format!("{:#}", error.unwrap_err());
        assert!(
            error.contains("no such voice") && error.contains('3'),
            "{error}"
        );
        let error = run(&mut Command::new("no-such-program-anywhere")).unwrap_err();
        assert!(format!("{error:#}").contains("cannot run no-such-program-anywhere"));
        assert!(is_there("sh") && !is_there("no-such-program-anywhere"));
    }
}
