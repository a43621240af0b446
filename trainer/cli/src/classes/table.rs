//! `mtslvr classes list`: the profile as a table or as JSON.

use super::super::examples::examples;
use super::super::profile::{BackboneInUse, ProfileChoice};
use super::existing;
use anyhow::Result;
use mtslvr_listen::profile::{ClassLabel, ClipLog, ClipState, Memory};
use mtslvr_runtime::fewshot::{Class, Role, SupportSet};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// List the classes with their examples and thresholds
///
/// A threshold is how similar a sound must be to be recognised, from -1 to 1; `-` stands for that of
/// all sounds, or for the one that is computed from the examples.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "See what is enrolled" => "mtslvr classes list",
    "See which clip each example was made from" => "mtslvr classes list --clips",
))]
pub(super) struct List {
    #[command(flatten)]
    profile: ProfileChoice,
    /// List the clip that each example was made from, too
    #[arg(long)]
    clips: bool,
    /// Print JSON with the clips instead of a table
    #[arg(long)]
    json: bool,
}

/// The contents of a profile; `--json` prints them.
#[derive(Debug, Serialize)]
struct Listing {
    profile: PathBuf,
    /// Id of the backbone that it was enrolled under, in hexadecimal.
    backbone: String,
    /// Name or path of that backbone; null if it is not known.
    model: Option<String>,
    /// Threshold of sounds without one of their own; null for the backbone's.
    threshold: Option<f32>,
    classes: Vec<Listed>,
    #[serde(skip)]
    with_clips: bool,
}

#[derive(Debug, Serialize)]
struct Listed {
    /// Null for negatives and background.
    name: Option<String>,
    role: &'static str,
    enabled: bool,
    threshold: Option<f32>,
    /// The clip of each example; null where it is not known.
    examples: Vec<Option<Clip>>,
    /// Its name in the table.
    #[serde(skip)]
    label: String,
}

#[derive(Debug, Serialize)]
struct Clip {
    clip: PathBuf,
    /// `kept`, `changed` or `gone`.
    state: &'static str,
}

impl List {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let profile = self.profile.profile()?;
        let snapshot = existing(&profile)?;
        let mut memory = Memory::for_snapshot(&snapshot.header());
        let mut learner = memory.learner();
        snapshot.restore(&mut learner)?;
        let support = learner.support();
        // The list of clips may be damaged: only who asks for it needs it.
        let log = if self.clips || self.json {
            ClipLog::read(&profile)?
        } else {
            ClipLog::default()
        };
        let listing = Listing {
            profile: profile.path().to_owned(),
            backbone: snapshot.header().backbone.to_string(),
            model: BackboneInUse::name_for(snapshot.header().backbone, &profile),
            threshold: support.default_threshold(),
            classes: support
                .classes()
                .iter()
                .map(|class| listed(support, class, &log))
                .collect(),
            with_clips: self.clips,
        };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&listing)?);
        } else {
            print!("{listing}");
        }
        Ok(())
    }
}

fn listed(support: &SupportSet, class: &Class, log: &ClipLog) -> Listed {
    let examples = support.examples(class.id()).map(|example| {
        log.get(example).map(|clip| Clip {
            clip: clip.path.clone(),
            state: match clip.state() {
                ClipState::Kept => "kept",
                ClipState::Changed => "changed",
                ClipState::Gone => "gone",
            },
        })
    });
    Listed {
        name: (class.role() == Role::Sound).then(|| class.name().to_owned()),
        role: match class.role() {
            Role::Negatives => "negatives",
            Role::Background => "background",
            _ => "sound",
        },
        enabled: class.is_enabled(),
        threshold: class.threshold(),
        examples: examples.collect(),
        label: ClassLabel::of(class.role(), class.name()).to_string(),
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.classes.is_empty() {
            return writeln!(f, "{}: no classes", self.profile.display());
        }
        let default = match self.threshold {
            Some(threshold) => format!("{threshold}"),
            None => "computed from the examples".to_owned(),
        };
        writeln!(f, "{}", self.profile.display())?;
        writeln!(f, "backbone {}, threshold {default}\n", self.backbone)?;
        let width = |class: &Listed| console::measure_text_width(&class.label);
        let widest = self.classes.iter().map(width).max().unwrap_or(0).max(5);
        writeln!(f, "{:widest$}  examples  threshold", "class")?;
        for class in &self.classes {
            let pad = widest - width(class);
            let threshold = match class.threshold {
                Some(threshold) => format!("{threshold}"),
                None if class.role == "sound" => "-".to_owned(),
                None => String::new(),
            };
            let off = if class.enabled { "" } else { "  disabled" };
            let line = format!(
                "{}{:pad$}  {:>8}  {threshold:<9}{off}",
                class.label,
                "",
                class.examples.len()
            );
            writeln!(f, "{}", line.trim_end())?;
            if !self.with_clips {
                continue;
            }
            for (example, number) in class.examples.iter().zip(1..) {
                match example {
                    Some(clip) => writeln!(f, "  {number:>3}  {clip}")?,
                    None => writeln!(f, "  {number:>3}  (not known)")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.clip.display())?;
        match self.state {
            "kept" => Ok(()),
            state => write!(f, " ({state})"),
        }
    }
}
