//! Sorts pretraining recordings into labelled sets by their file names, for choosing settings.
//!
//! The sets that results are reported on must not choose the settings of a model. The names of some
//! pretraining recordings tell what they hold; this makes sets of links from those. The network has
//! heard these recordings, without labels, so accuracy on them ranks settings and is no result.
//! The sets are not part of a corpus, in whose folder training would find the links, too.

use crate::manifest;
use anyhow::{Context, Result};
use regex_lite::Regex;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// A set: the source that it is from, and a pattern in file names. The class is the pattern's first
/// group.
struct Rule {
    set: &'static str,
    source: &'static str,
    pattern: &'static str,
}

const RULES: [Rule; 5] = [
    Rule {
        set: "wake_words",
        source: "pico_wake",
        pattern: r"(alexa|jarvis|mirror|computer|glass|snowboy)_",
    },
    Rule {
        set: "instruments",
        source: "discord_gm",
        pattern: r"(\w{0,2}0?(?:01|02|03|05|26|34|45|46)|105|112)_[A-Z]",
    },
    Rule {
        set: "voices",
        source: "ktuberling",
        pattern: r"sounds_(sr|wa|uk|sv|sl|ru|ro|pt|nn|nl|nds|lt|it|id|gl|ga|fr|fi|es|eo|el|de|da|ca)_",
    },
    Rule {
        set: "percussion",
        source: "sonicpi",
        pattern: r"samples_(ambi|bass|bd|drum|elec|guit|hat|loop|perc|sn|tabla|vinyl)_",
    },
    Rule {
        set: "sounds",
        source: "cdda_ccsounds",
        pattern: "(walk_[a-z]|weather|smash_fail|smash_success|fire_gun|hurt_[fm]|tool_|vehicle|\
                  radio|explosion|door|reload)",
    },
];

/// Clips of a class; a smaller class is left out.
const SMALLEST: usize = 4;

/// A row of a manifest, as far as it matters here: of a folder of recordings, or of a corpus.
#[derive(Deserialize)]
struct Listed {
    path: String,
    source: String,
}

/// A set that was sorted: its name, and the clips of each class.
pub struct Sorted {
    /// Name of the set.
    pub set: &'static str,
    /// Paths of the clips of each class, as the manifest has them.
    pub classes: BTreeMap<String, Vec<String>>,
}

/// Links the clips of `folder`, which has a manifest, into sets below `target`.
pub fn sort(folder: &Path, target: &Path) -> Result<Vec<Sorted>> {
    let rows: Vec<Listed> = manifest::read(&folder.join("manifest.csv"))?;
    let sets = classify(&rows);
    let folder = folder
        .canonicalize()
        .with_context(|| format!("cannot find {}", folder.display()))?;
    for Sorted { set, classes } in &sets {
        for (class, paths) in classes {
            let place = target.join(set).join(class);
            std::fs::create_dir_all(&place)
                .with_context(|| format!("cannot make {}", place.display()))?;
            for path in paths {
                let link = place.join(path.rsplit('/').next().unwrap_or(path));
                relink(&folder.join(path), &link)
                    .with_context(|| format!("cannot link {}", link.display()))?;
            }
        }
    }
    Ok(sets)
}

/// Sorts `rows` by the rules.
fn classify(rows: &[Listed]) -> Vec<Sorted> {
    let sort = |rule: &Rule| {
        let pattern = Regex::new(rule.pattern).expect("the patterns are constants");
        let mut classes = BTreeMap::<String, Vec<String>>::new();
        for row in rows.iter().filter(|row| row.source == rule.source) {
            let name = row.path.rsplit('/').next().unwrap_or(&row.path);
            if let Some(found) = pattern.captures(name) {
                classes
                    .entry(class(&found[1]))
                    .or_default()
                    .push(row.path.clone());
            }
        }
        classes.retain(|_, paths| paths.len() >= SMALLEST);
        Sorted {
            set: rule.set,
            classes,
        }
    };
    RULES.iter().map(sort).collect()
}

/// Name of a class: what was found, without letters before a number, and without underscores
/// around it.
fn class(found: &str) -> String {
    let rest = found.trim_start_matches(|c: char| c.is_ascii_lowercase());
    let rest = rest.strip_prefix('_').unwrap_or(rest);
    let numbered = rest.starts_with(|c: char| c.is_ascii_digit());
    let name = if numbered { rest } else { found };
    name.trim_matches('_').to_owned()
}

/// Makes `link` lead to `file`, whatever it led to.
fn relink(file: &Path, link: &Path) -> std::io::Result<()> {
    if std::fs::read_link(link).is_ok_and(|old| old == file) {
        return Ok(());
    }
    match std::fs::remove_file(link) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    #[cfg(unix)]
    return std::os::unix::fs::symlink(file, link);
    // Elsewhere links may need a privilege.
    #[cfg(not(unix))]
    return std::fs::copy(file, link).map(|_| ());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_named_by_what_was_found() {
        for (found, name) in [
            ("alexa", "alexa"),
            ("gm001", "001"),
            ("x_01", "01"),
            ("105", "105"),
            ("walk_a", "walk_a"),
            ("tool_", "tool"),
            ("_g02", "g02"),
        ] {
            assert_eq!(class(found), name);
        }
    }

    #[test]
    fn recordings_are_sorted_by_name_and_small_classes_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let mut text = String::from("path,source,seconds,kind,gpl\n");
        let mut add = |source: &str, name: &str| {
            text.push_str(&format!("{source}/{name},{source},1.0,voice,no\n"));
        };
        for i in 0..4 {
            add("pico_wake", &format!("0{i}_alexa_{i}.ogg"));
            add("sonicpi", &format!("etc_samples_bd_{i}.ogg"));
            add("other", &format!("alexa_{i}.ogg"));
        }
        add("pico_wake", "jarvis_1.ogg");
        add("discord_gm", "a_001_C4.ogg");
        std::fs::write(dir.path().join("manifest.csv"), text).unwrap();
        let target = dir.path().join("sets");
        // Twice, the second time over links that are there.
        for _ in 0..2 {
            let sets = sort(dir.path(), &target).unwrap();
            let classes: Vec<_> = sets
                .iter()
                .flat_map(|set| {
                    set.classes
                        .iter()
                        .map(|(c, p)| (set.set, c.as_str(), p.len()))
                })
                .collect();
            assert_eq!(
                classes,
                [("wake_words", "alexa", 4), ("percussion", "bd", 4)]
            );
        }
        let link = target.join("wake_words/alexa/01_alexa_1.ogg");
        #[cfg(unix)]
        assert!(
            std::fs::read_link(link)
                .unwrap()
                .ends_with("pico_wake/01_alexa_1.ogg")
        );
        assert!(!target.join("wake_words/jarvis").exists());
    }
}
