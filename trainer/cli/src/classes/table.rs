//! `mtslvr classes list`: the profile as a table or as JSON.

use super::{ClipLog, Memory, Profile, Subject, existing};
use anyhow::Result;
use mtslvr_listen::profile::ClipState;
use mtslvr_runtime::fewshot::{Class, Role, SupportSet};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// What a profile holds; `--json` prints it.
#[derive(Debug, Serialize)]
struct Listing {
    profile: PathBuf,
    /// CRC-32 of the backbone's file, in hexadecimal.
    backbone: String,
    /// Of sounds without one of their own; null for the backbone's.
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
    /// The recording of each example; null where it is not known.
    examples: Vec<Option<Clip>>,
    #[serde(skip)]
    shown: String,
}

#[derive(Debug, Serialize)]
struct Clip {
    clip: PathBuf,
    /// `kept`, `changed` or `gone`.
    state: &'static str,
}

/// Prints the list.
pub(super) fn print(profile: &Profile, with_clips: bool, json: bool) -> Result<()> {
    let snapshot = existing(profile)?;
    let mut memory = Memory::for_snapshot(&snapshot.header());
    let mut learner = memory.learner();
    snapshot.restore(&mut learner)?;
    let support = learner.support();
    // Only who asks for clips needs the list of them to be in order.
    let log = if with_clips || json {
        ClipLog::read(profile)?
    } else {
        ClipLog::default()
    };
    let listing = Listing {
        profile: profile.path().to_owned(),
        backbone: snapshot.header().backbone.to_string(),
        threshold: support.default_threshold(),
        classes: support
            .classes()
            .iter()
            .map(|class| listed(support, class, &log))
            .collect(),
        with_clips,
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&listing)?);
    } else {
        print!("{listing}");
    }
    Ok(())
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
        shown: Subject::of(class.role(), class.name()).to_string(),
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.classes.is_empty() {
            return writeln!(f, "{}: no classes", self.profile.display());
        }
        let default = match self.threshold {
            Some(threshold) => format!("{threshold}"),
            None => "the backbone's".to_owned(),
        };
        writeln!(f, "{}", self.profile.display())?;
        writeln!(f, "backbone {}, threshold {default}\n", self.backbone)?;
        let width = |class: &Listed| console::measure_text_width(&class.shown);
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
                class.shown,
                "",
                class.examples.len()
            );
            writeln!(f, "{}", line.trim_end())?;
            if !self.with_clips {
                continue;
            }
            for (example, number) in class.examples.iter().zip(1..) {
                match example {
                    Some(Clip {
                        clip,
                        state: "kept",
                    }) => {
                        writeln!(f, "  {number:>3}  {}", clip.display())?;
                    }
                    Some(Clip { clip, state }) => {
                        writeln!(f, "  {number:>3}  {} ({state})", clip.display())?;
                    }
                    None => writeln!(f, "  {number:>3}  (not known)")?,
                }
            }
        }
        Ok(())
    }
}
