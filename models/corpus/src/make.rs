//! Makes the corpus: every source's clips, then the manifest, the sets to choose on and the credits.

use crate::batch::{self, Made};
use crate::manifest::{self, Row, Split, YesNo};
use crate::package::Packages;
use crate::pretrain;
use crate::program::{self, Missing};
use crate::same::Set;
use crate::sources::{self, Context, Credit, Origin, Source};
use anyhow::{Context as _, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Sources to make, and how much of each.
pub struct Options {
    /// Folder of the corpus.
    pub out: PathBuf,
    /// Names of sources; all if there is none.
    pub only: Vec<String>,
    /// Hours of rendered sound, about.
    pub hours: f64,
    /// A folder of recordings to take in.
    pub pretrain: Option<PathBuf>,
    /// Folder of unpacked packages.
    pub packages: PathBuf,
    /// Whether packages may be fetched.
    pub fetch: bool,
}

/// Shares of the rendered hours.
const SPEECH: f64 = 0.6;
const SOUNDFONT: f64 = 0.25;
const PATCHES: f64 = 0.15;

/// Returns the name of a source in the folder of notes, `.made`.
const ROWS: &str = "rows.csv";
const CREDITS: &str = "credits.csv";

/// Makes the corpus, or what is missing of it, and says what there is.
pub fn make(options: &Options, stop: &AtomicBool) -> Result<()> {
    let chosen = choose(&options.only)?;
    ensure!(
        (0.0..=1000.0).contains(&options.hours),
        "{} hours; expected 0 to 1000",
        options.hours
    );
    fs::create_dir_all(&options.out)
        .with_context(|| format!("cannot make {}", options.out.display()))?;
    let context = Context {
        packages: Packages {
            folder: options.packages.clone(),
            fetch: options.fetch,
        },
        speech_hours: SPEECH * options.hours,
        soundfont_hours: SOUNDFONT * options.hours,
        patch_hours: PATCHES * options.hours,
    };
    let (mut missing, mut failures) = (Vec::new(), Vec::new());
    if let Some(folder) = &options.pretrain {
        take_in(folder, &options.out, stop)?;
    }
    for source in chosen {
        eprintln!("{}: {}", source.name, source.title);
        let (lacks, made) = run(source, &context, &options.out, stop)?;
        missing.extend(lacks);
        failures.extend(made.map(|made| made.failures).unwrap_or_default());
    }
    let corpus = Corpus::gather(&options.out)?;
    corpus.write(&options.out)?;
    let removed = prune(&options.out, &corpus)?;
    if removed > 0 {
        eprintln!("Removed {removed} clips of earlier runs that are no longer wanted.");
    }
    print!("{}", corpus.summary());
    report(&missing, &failures);
    Ok(())
}

/// Sources by name.
fn choose(only: &[String]) -> Result<Vec<&'static Source>> {
    static SOURCES: [Source; 7] = sources::ALL;
    for name in only {
        let names: Vec<_> = SOURCES.iter().map(|source| source.name).collect();
        ensure!(
            names.contains(&name.as_str()),
            "no source is called {name}; there are {}",
            names.join(", ")
        );
    }
    let wanted = |source: &&Source| only.is_empty() || only.iter().any(|name| name == source.name);
    Ok(SOURCES.iter().filter(wanted).collect())
}

/// Makes the clips of a source and notes their rows. Where nothing can be made because of what is
/// missing, earlier notes stay.
fn run(
    source: &Source,
    context: &Context,
    out: &Path,
    stop: &AtomicBool,
) -> Result<(Vec<Missing>, Option<Made>)> {
    let plan = (source.plan)(context).with_context(|| source.name)?;
    if plan.batches.is_empty() && !plan.missing.is_empty() {
        return Ok((plan.missing, None));
    }
    let clips: usize = plan.batches.iter().map(|batch| batch.clips.len()).sum();
    let bar = bar(source.name, clips);
    let made = batch::make(out, source.name, &plan.batches, stop, |n| bar.inc(n))?;
    bar.finish_and_clear();
    let hours = made.rows.iter().map(|row| row.seconds).sum::<f64>() / 3600.0;
    eprintln!(
        "  {} clips, {hours:.2} h; {} came out silent, too short, too long or as a copy",
        made.rows.len(),
        made.refused
    );
    note(out, source.name, &made.rows, &plan.credits)?;
    Ok((plan.missing, Some(made)))
}

/// Copies the recordings of `folder` and notes their rows and credits.
fn take_in(folder: &Path, out: &Path, stop: &AtomicBool) -> Result<()> {
    eprintln!("{}: recordings of {}", pretrain::NAME, folder.display());
    let bar = bar(pretrain::NAME, 0);
    let rows = pretrain::copy(folder, out, stop, |n| bar.inc(n))?;
    bar.finish_and_clear();
    let hours = rows.iter().map(|row| row.seconds).sum::<f64>() / 3600.0;
    eprintln!("  {} clips, {hours:.2} h", rows.len());
    note(out, pretrain::NAME, &rows, &[])?;
    let notes = out.join(".made").join(pretrain::NAME);
    let text = fs::read_to_string(folder.join("SOURCES.md")).unwrap_or_default();
    crate::audio::write_bytes(&notes.join("SOURCES.md"), text.as_bytes())?;
    Ok(())
}

fn note(out: &Path, source: &str, rows: &[Row], credits: &[Credit]) -> Result<()> {
    let notes = out.join(".made").join(source);
    fs::create_dir_all(&notes).with_context(|| format!("cannot make {}", notes.display()))?;
    manifest::write(&notes.join(ROWS), rows)?;
    manifest::write(&notes.join(CREDITS), credits)
}

fn bar(name: &'static str, clips: usize) -> ProgressBar {
    let style = "  {msg} [{bar:30}] {pos}/{len} clips, {elapsed}, {eta} left";
    ProgressBar::new(clips as u64)
        .with_message(name)
        .with_style(ProgressStyle::with_template(style).expect("the template is a constant"))
}

/// All that is noted of a corpus.
struct Corpus {
    /// Rows and credits of each source that is there.
    sources: Vec<Noted>,
    /// The text that came with the recordings taken in.
    pretrain: String,
}

struct Noted {
    name: &'static str,
    title: &'static str,
    origin: Origin,
    rows: Vec<Row>,
    credits: Vec<Credit>,
}

impl Corpus {
    /// Reads the notes of every source.
    fn gather(out: &Path) -> Result<Self> {
        let mut sources = Vec::new();
        let known = sources::ALL.map(|source| (source.name, source.title, source.origin));
        let taken_in = (
            pretrain::NAME,
            "Recordings taken in from an existing folder",
            Origin::Recorded,
        );
        for (name, title, origin) in known.into_iter().chain([taken_in]) {
            let notes = out.join(".made").join(name);
            if notes.join(ROWS).is_file() {
                sources.push(Noted {
                    name,
                    title,
                    origin,
                    rows: manifest::read(&notes.join(ROWS))?,
                    credits: manifest::read(&notes.join(CREDITS))?,
                });
            }
        }
        let text = out.join(".made").join(pretrain::NAME).join("SOURCES.md");
        let pretrain = fs::read_to_string(text).unwrap_or_default();
        Ok(Self { sources, pretrain })
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.sources.iter().flat_map(|source| &source.rows)
    }

    /// Writes the manifests and the credits.
    fn write(&self, out: &Path) -> Result<()> {
        let rows: Vec<_> = self.rows().cloned().collect();
        manifest::write_choosing_sets(out, &rows)?;
        crate::audio::write_bytes(&out.join("SOURCES.md"), self.credits().as_bytes())
            .context("cannot write SOURCES.md")?;
        // Last: a corpus with a manifest is whole.
        manifest::write(&out.join("manifest.csv"), &rows)
    }

    /// The text of SOURCES.md.
    fn credits(&self) -> String {
        let mut text = String::from(
            "# Sources of this corpus\n\n\
             Every clip is 16 kHz mono; those that were made here are normalised to a peak of 0.7. A model\n\
             that is passed on may learn from rows with `gpl` = `no`; its card credits what is listed here.\n",
        );
        for source in &self.sources {
            let _ = write!(
                text,
                "\n## {}: {}\n\n{}, {} clips, {:.2} h.\n\n",
                source.name,
                source.title,
                match source.origin {
                    Origin::Recorded => "Recorded",
                    Origin::Rendered => "Rendered",
                },
                source.rows.len(),
                hours(&source.rows)
            );
            for Credit {
                work,
                licence,
                holders,
                stated,
            } in &source.credits
            {
                let _ = writeln!(text, "- {work}: {licence}; {holders} (stated in {stated})");
            }
            if source.name == pretrain::NAME {
                for line in self
                    .pretrain
                    .lines()
                    .skip_while(|line| line.starts_with("# "))
                {
                    let deeper = if line.starts_with('#') { "#" } else { "" };
                    let _ = writeln!(text, "{deeper}{line}");
                }
            }
        }
        text
    }

    /// Hours by source, kind and licence.
    fn summary(&self) -> String {
        let mut text = String::new();
        let mut table = |title: &str, key: &dyn Fn(&Noted, &Row) -> String| {
            let mut lines = BTreeMap::<String, (usize, f64)>::new();
            for source in &self.sources {
                for row in &source.rows {
                    let (clips, seconds) = lines.entry(key(source, row)).or_default();
                    *clips += 1;
                    *seconds += row.seconds;
                }
            }
            let _ = writeln!(text, "\n{title:<40} clips     hours");
            for (name, (clips, seconds)) in lines {
                let name: String = name.chars().take(40).collect();
                let _ = writeln!(text, "{name:<40} {clips:>5} {:>9.2}", seconds / 3600.0);
            }
        };
        table("source", &|source, _| source.name.to_owned());
        table("kind", &|_, row| row.kind.clone());
        table("licence", &|source, row| match source.name {
            pretrain::NAME => format!(
                "{} (taken in)",
                if row.gpl == YesNo::No { "free" } else { "GPL" }
            ),
            _ => row.licence.to_string(),
        });
        table("split", &|_, row| match row.split {
            Split::Train => "train".to_owned(),
            Split::Choose => "choose".to_owned(),
        });
        table("origin, and whether free to learn from", &|source, row| {
            let free = if row.gpl == YesNo::No {
                "free"
            } else {
                "not free"
            };
            format!("{:?}, {free}", source.origin)
        });
        let all: Vec<_> = self.rows().cloned().collect();
        let _ = writeln!(text, "\n{} clips, {:.2} h", all.len(), hours(&all));
        text
    }
}

/// Removes clips that this program made and that no row lists: training takes whatever is in a
/// folder. Files of other names and folders of other names are let alone.
fn prune(out: &Path, corpus: &Corpus) -> Result<usize> {
    let listed: HashSet<_> = corpus.rows().map(|row| out.join(&row.path)).collect();
    let sources = corpus.sources.iter().map(|source| out.join(source.name));
    let sets = Set::ALL.map(|set| out.join("choose").join(set.name()));
    let mut removed = 0;
    for folder in sources.chain(sets).filter(|folder| folder.is_dir()) {
        removed += prune_folder(&folder, &listed)
            .with_context(|| format!("cannot tidy {}", folder.display()))?;
    }
    Ok(removed)
}

fn prune_folder(folder: &Path, listed: &HashSet<PathBuf>) -> std::io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            removed += prune_folder(&path, listed)?;
            // Fails where something is left in it, which is as it should be.
            let _ = fs::remove_dir(&path);
        } else if path.extension().is_some_and(|e| e == "wav") && !listed.contains(&path) {
            fs::remove_file(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn hours(rows: &[Row]) -> f64 {
    rows.iter().map(|row| row.seconds).sum::<f64>() / 3600.0
}

/// Says what is missing and how to get it, and what went wrong.
fn report(missing: &[Missing], failures: &[String]) {
    /// Messages that are shown.
    const SHOWN: usize = 10;
    if !failures.is_empty() {
        eprintln!("\n{} clips could not be made:", failures.len());
        for failure in failures.iter().take(SHOWN) {
            eprintln!("  {failure}");
        }
    }
    if !missing.is_empty() {
        let mut consequences: Vec<_> = missing.iter().map(|m| &m.consequence).collect();
        consequences.dedup();
        eprintln!("\nThere would be more with what is missing here:");
        for consequence in consequences {
            eprintln!("  {consequence}");
        }
        eprintln!("To install it: {}", program::install_line(missing));
    }
}
