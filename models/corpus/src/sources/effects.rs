//! Sounds and music of games.

use super::{Context, Credit, Origin, Plan, Source, recordings, stem};
use crate::batch::Wanted;
use crate::program::is_read_here;
use crate::same::{Same, Set, file_name};
use anyhow::Result;
use std::collections::BTreeMap;

pub const SOURCE: Source = Source {
    name: "effects",
    title: "Effects, ambience, voices and music of the games Endless Sky, Flare, Lugaru and MegaGlest",
    origin: Origin::Recorded,
    plan,
};

/// A package with the data of a game.
struct Game {
    package: &'static str,
    /// Name of its folder here.
    name: &'static str,
    /// Folder of the recordings.
    folder: &'static str,
    /// Path of that folder in the source package, by which the copyright file names it.
    source: &'static str,
    /// Parts of names, and the kinds of sound they stand for; `effect` otherwise.
    kinds: &'static [(&'static str, &'static str)],
}

const GAMES: [Game; 4] = [
    Game {
        package: "endless-sky-data",
        name: "endless_sky",
        folder: "usr/share/games/endless-sky/sounds/",
        source: "sounds/",
        kinds: &[],
    },
    Game {
        package: "flare-game",
        name: "flare",
        folder: "usr/share/games/flare/mods/",
        source: "mods/",
        kinds: &[
            ("/music/", "music"),
            ("/npcs/", "voice"),
            ("_loop", "ambient"),
            ("/steps/", "footstep"),
        ],
    },
    Game {
        package: "lugaru-data",
        name: "lugaru",
        folder: "usr/share/games/lugaru/Sounds/",
        source: "Data/Sounds/",
        kinds: &[
            ("Music", "music"),
            ("Ambient", "ambient"),
            ("Step", "footstep"),
        ],
    },
    Game {
        package: "megaglest-data",
        name: "megaglest",
        folder: "usr/share/games/megaglest/",
        source: "",
        kinds: &[
            ("music", "music"),
            ("tilesets/", "ambient"),
            ("_select", "voice"),
            ("_ack", "voice"),
        ],
    },
];

/// Parts of the names of effects that were cut from a recording of the evaluated set `esc10`
/// (1-46272-A), as their spectral peaks show.
const EVALUATED: [&str; 1] = ["battlemage_hit"];

fn plan(context: &Context) -> Result<Plan> {
    let mut plan = Plan::default();
    // Games bring copies of a sound under one name with other numbers, or in several folders.
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for game in &GAMES {
        let package = match context.packages.get(game.package) {
            Ok(package) => package,
            Err(missing) => {
                plan.missing.push(missing);
                continue;
            }
        };
        let paths: Vec<_> = package
            .below(game.folder)
            .filter(|path| is_read_here(&stem(path).1))
            .filter(|path| !EVALUATED.iter().any(|part| path.contains(part)))
            .collect();
        let takes = takes(&paths);
        for path in paths {
            let Some(credit) = Credit::of_file(&package, &format!("{}{path}", game.source)) else {
                continue;
            };
            let wanted = game.wanted(path, &credit, &takes);
            let file = (package.path(&format!("{}{path}", game.folder)), wanted);
            groups
                .entry((game.name, thing(path)))
                .or_default()
                .push(file);
            plan.credit(credit);
        }
    }
    plan.batches = recordings(groups.into_values());
    Ok(plan)
}

impl Game {
    fn wanted(&self, path: &str, credit: &Credit, takes: &BTreeMap<String, usize>) -> Wanted {
        let kind = self
            .kinds
            .iter()
            .find(|(part, _)| path.contains(part))
            .map_or("effect", |(_, kind)| kind);
        let same = take(path)
            .filter(|thing| takes[thing] > 1)
            .map(|thing| Same::new(Set::Effects, &format!("{}_{thing}", self.name)));
        let name = file_name(stem(path).0);
        Wanted {
            name: format!("{}/{name}", self.name),
            licence: credit.licence.clone(),
            kind,
            same,
            group: name,
        }
    }
}

/// Counts the recordings of each thing.
fn takes(paths: &[&str]) -> BTreeMap<String, usize> {
    let mut takes = BTreeMap::new();
    for thing in paths.iter().filter_map(|path| take(path)) {
        *takes.entry(thing).or_default() += 1;
    }
    takes
}

/// The thing that a recording is a take of: its name without the number. `None` for voices, whose
/// takes are different words, for music, and for names that say nothing.
fn take(path: &str) -> Option<String> {
    let lower = stem(path).0.to_lowercase();
    if SPOKEN.iter().any(|part| lower.contains(part)) {
        return None;
    }
    Some(thing(path)).filter(|thing| thing.len() > 2)
}

/// Name of a recording without its folder and its number.
fn thing(path: &str) -> String {
    let lower = stem(path).0.to_lowercase();
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    let thing = name
        .trim_end_matches(|c: char| c.is_ascii_digit())
        .trim_end_matches(['_', '-', ' ']);
    file_name(thing)
}

const SPOKEN: [&str; 7] = [
    "select", "_ack", "attack", "merchant", "music", "theme", "/ack",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_of_a_thing_share_its_name() {
        for (path, thing) in [
            ("a/arrow_hit1.wav", Some("arrow_hit")),
            ("a/b/arrow_hit12.WAV", Some("arrow_hit")),
            ("Bark.ogg", Some("bark")),
            ("Bark2.ogg", Some("bark")),
            ("heavy laser~.wav", Some("heavy_laser_")),
            ("units/archer_select3.wav", None),
            ("x/ack2.ogg", None),
            ("npcs/female_merchant_03.ogg", None),
            ("music/battle1.ogg", None),
            ("12.wav", None),
        ] {
            assert_eq!(take(path).as_deref(), thing, "{path}");
        }
        let takes = takes(&["Bark.ogg", "Bark2.ogg", "Wind.ogg"]);
        assert_eq!((takes["bark"], takes["wind"]), (2, 1));
    }
}
