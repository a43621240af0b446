//! Programs that decode and render.

use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a source lacks: a name that `apt-get install` knows, and why it is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// Debian package.
    pub package: String,
    /// What happens without it.
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

/// Reads a recording of any format at [`RATE`](crate::clip::RATE) Hz: those that the project reads
/// by itself, others through ffmpeg and a file in `scratch`.
pub fn decode(path: &Path, scratch: &Path) -> Result<Vec<f32>> {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    if ["wav", "flac", "ogg", "mp3"].contains(&extension.to_lowercase().as_str()) {
        return Ok(crate::audio::load(path, crate::clip::RATE)?);
    }
    let wav = scratch.join("decoded.wav");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-y"]);
    // Names alone tell what these two are.
    if extension == "g722" || extension == "gsm" {
        ffmpeg.args(["-f", &extension]);
    }
    ffmpeg.arg("-i").arg(path).args(["-ac", "1"]).arg(&wav);
    run(&mut ffmpeg)?;
    Ok(crate::audio::load(&wav, crate::clip::RATE)?)
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
