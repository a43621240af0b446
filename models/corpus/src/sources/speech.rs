//! Spoken words: many words of several languages, each by many voices.

mod voices;

use super::{Context, Origin, Plan, Source};
use crate::batch::{Batch, Wanted};
use crate::clip::Tidy;
use crate::program::Missing;
use crate::same::{Same, Set, hash};
use crate::words;
use anyhow::Result;
use std::sync::Arc;
use voices::{Engine, Voice};

pub const SOURCE: Source = Source {
    name: "speech",
    title: "Words spoken by espeak-ng, flite and festival",
    origin: Origin::Rendered,
    plan,
};

/// A language: its dictionary, its accents in espeak-ng, and how many words and voices it gets.
struct Language {
    code: &'static str,
    package: &'static str,
    dictionary: &'static str,
    accents: &'static [&'static str],
    /// Share of all clips.
    share: f64,
    /// Voices of a word.
    voices: usize,
}

const LANGUAGES: [Language; 10] = [
    Language {
        code: "en",
        package: "wamerican",
        dictionary: "usr/share/dict/american-english",
        accents: &[
            "en-us",
            "en-gb",
            "en-gb-x-rp",
            "en-gb-scotland",
            "en-gb-x-gbclan",
            "en-gb-x-gbcwmd",
            "en-029",
            "en-us-nyc",
        ],
        share: 0.6,
        voices: 10,
    },
    Language::foreign("de", "wngerman", "usr/share/dict/ngerman", &["de"]),
    Language::foreign(
        "es",
        "wspanish",
        "usr/share/dict/spanish",
        &["es", "es-419"],
    ),
    Language::foreign(
        "fr",
        "wfrench",
        "usr/share/dict/french",
        &["fr-fr", "fr-be", "fr-ch"],
    ),
    Language::foreign("it", "witalian", "usr/share/dict/italian", &["it"]),
    Language::foreign(
        "pt",
        "wportuguese",
        "usr/share/dict/portuguese",
        &["pt", "pt-br"],
    ),
    Language::foreign("nl", "wdutch", "usr/share/dict/dutch", &["nl"]),
    Language::foreign("sv", "wswedish", "usr/share/dict/swedish", &["sv"]),
    Language::foreign("da", "wdanish", "usr/share/dict/danish", &["da"]),
    Language::foreign("uk", "wukrainian", "usr/share/dict/ukrainian", &["uk"]),
];

impl Language {
    const fn foreign(
        code: &'static str,
        package: &'static str,
        dictionary: &'static str,
        accents: &'static [&'static str],
    ) -> Self {
        Self {
            code,
            package,
            dictionary,
            accents,
            share: 0.4 / 9.0,
            voices: 8,
        }
    }
}

/// Length of a word, about; with it hours become a number of words.
const MEAN_SECONDS: f64 = 0.65;

/// Words of a batch: enough that starting festival once for each voice does not matter.
const TOGETHER: usize = 24;

/// The share of a word's voices that are not espeak-ng's, if there are so many: they are cut from
/// recordings or learned from them.
const NATURAL: f64 = 0.4;

fn plan(context: &Context) -> Result<Plan> {
    let mut plan = Plan::default();
    let engines = Engine::ALL.map(|engine| {
        let there = engine.is_there();
        if !there {
            plan.missing.push(Missing::new(
                engine.package(),
                format!("no words are spoken by {}", engine.program()),
            ));
        }
        there
    });
    let clips = context.speech_hours * 3600.0 / MEAN_SECONDS;
    for language in &LANGUAGES {
        let voices = voices::all(language.code, language.accents, engines, &mut plan.missing)?;
        let count = (clips * language.share / language.voices as f64).round() as usize;
        if voices.is_empty() || count == 0 {
            continue;
        }
        let package = match context.packages.get(language.package) {
            Ok(package) => package,
            Err(missing) => {
                plan.missing.push(missing);
                continue;
            }
        };
        let dictionary = std::fs::read(package.path(language.dictionary))?;
        let dictionary = String::from_utf8_lossy(&dictionary);
        let words = words::choose(&dictionary, language.code, count);
        for (chunk, words) in words.chunks(TOGETHER).enumerate() {
            plan.batches.push(batch(language, chunk, words, &voices));
        }
        for voice in &voices {
            plan.credit(voice.credit());
        }
    }
    plan.missing.dedup();
    Ok(plan)
}

/// The batch of some words of `language`.
fn batch(language: &Language, chunk: usize, words: &[String], voices: &[Arc<Voice>]) -> Batch {
    let spoken: Vec<(String, Arc<Voice>)> = words
        .iter()
        .flat_map(|word| {
            let chosen = choose(language, word, voices);
            chosen.into_iter().map(|voice| (word.clone(), voice))
        })
        .collect();
    let set = match language.code {
        "en" => Set::Words,
        _ => Set::ForeignWords,
    };
    let clips = spoken
        .iter()
        .map(|(word, voice)| Wanted {
            name: format!("{}/{word}/{}", language.code, voice.name()),
            licence: voice.licence(),
            kind: "word",
            same: Some(Same::new(set, &format!("{}_{word}", language.code))),
            group: voice.name(),
        })
        .collect();
    Batch {
        key: format!("{}_{chunk:04}", language.code),
        clips,
        render: Box::new(move |missing, bench| {
            let mut missing = missing.to_vec();
            // Words of one voice one after the other, for engines that take several at once.
            missing.sort_by_key(|&index| spoken[index].1.name());
            for together in missing.chunk_by(|&a, &b| spoken[a].1 == spoken[b].1) {
                if bench.is_stopped() {
                    break;
                }
                let voice = &spoken[together[0]].1;
                let words: Vec<_> = together.iter().map(|&i| spoken[i].0.as_str()).collect();
                for (&index, said) in together.iter().zip(voice.say(&words, &bench.scratch)) {
                    match said {
                        Ok(samples) => bench.put(index, &samples, Tidy::WORD)?,
                        Err(error) => bench.fail(&error),
                    }
                }
            }
            Ok(())
        }),
    }
}

/// Chooses voices for `word`: of the natural ones and of espeak-ng's, each those that come first
/// in an order that word and voice decide. So another voice on a machine changes little.
fn choose(language: &Language, word: &str, voices: &[Arc<Voice>]) -> Vec<Arc<Voice>> {
    let mut ranked: Vec<_> = voices.iter().collect();
    ranked.sort_by_cached_key(|voice| hash(&format!("{} {word} {}", language.code, voice.name())));
    let (natural, formant): (Vec<_>, Vec<_>) =
        ranked.into_iter().partition(|voice| voice.is_natural());
    let wanted = (language.voices as f64 * NATURAL).round() as usize;
    let natural = natural.into_iter().take(wanted);
    let rest = language.voices - natural.len();
    natural
        .chain(formant.into_iter().take(rest))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_a_whole_and_no_dictionary_is_named_twice() {
        let all: f64 = LANGUAGES.iter().map(|language| language.share).sum();
        assert!((all - 1.0).abs() < 1e-9);
        let packages: std::collections::HashSet<_> =
            LANGUAGES.iter().map(|language| language.package).collect();
        assert_eq!(packages.len(), LANGUAGES.len());
    }

    #[test]
    fn a_word_is_spoken_by_both_kinds_of_voice_and_always_the_same_ones() {
        let english = &LANGUAGES[0];
        let mut voices: Vec<_> = (0..60)
            .map(|i| Arc::new(Voice::espeak("en-us", &format!("v{i}"))))
            .collect();
        voices.extend(["slt", "rms", "awb", "kal16", "x"].map(|v| Arc::new(Voice::flite(v))));
        let chosen = choose(english, "apple", &voices);
        assert_eq!(chosen.len(), 10);
        assert_eq!(chosen.iter().filter(|voice| voice.is_natural()).count(), 4);
        // A voice less changes no more than its own places.
        let gone = chosen[0].clone();
        voices.retain(|voice| *voice != gone);
        let again = choose(english, "apple", &voices);
        let kept = chosen.iter().filter(|voice| again.contains(voice)).count();
        assert_eq!(kept, 9);
        assert_ne!(choose(english, "pear", &voices), again);
        // Without any natural voice, all are espeak-ng's.
        voices.retain(|voice| !voice.is_natural());
        assert_eq!(choose(english, "apple", &voices).len(), 10);
    }

    #[test]
    fn no_batch_speaks_an_evaluated_word() {
        let voices = [Arc::new(Voice::espeak("en-us", "f1"))];
        let dictionary = "seven\nright\nupward\nstop\nzero\nhouse\n";
        let words = words::choose(dictionary, "en", 10);
        let batch = batch(&LANGUAGES[0], 0, &words, &voices);
        let mut names: Vec<_> = batch.clips.iter().map(|clip| clip.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["en/house/espeak-en-us+f1", "en/upward/espeak-en-us+f1"]
        );
    }
}
