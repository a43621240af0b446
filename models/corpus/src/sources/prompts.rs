//! Telephone prompts: short phrases, numbers and letters that one speaker of a language read.
//!
//! Files of one name say the same in every package of a language; where they are single words,
//! letters or numbers, they say it in the same words, too.

use super::{Context, Credit, Origin, Plan, Source, recordings, stem};
use crate::batch::Wanted;
use crate::licence::Licence;
use crate::package::Package;
use crate::program::{self, Missing, is_read_here};
use crate::same::{Same, Set, file_name};
use crate::words;
use anyhow::Result;

pub const SOURCE: Source = Source {
    name: "prompts",
    title: "Telephone prompts of Asterisk in English, Spanish, French, Italian and Russian",
    origin: Origin::Recorded,
    plan,
};

/// A package of prompts.
struct Reader {
    package: &'static str,
    language: &'static str,
    /// Folder of the recordings, named after the speaker.
    folder: &'static str,
    licence: Stated,
}

/// Place of a package's licence.
enum Stated {
    /// In the stanza that holds for files that begin so in the source package.
    Prefix(&'static str),
    /// In a sentence.
    Sentence {
        sentence: &'static str,
        licence: &'static str,
        holders: &'static str,
    },
}

const READERS: [Reader; 7] = [
    Reader {
        package: "asterisk-core-sounds-en-g722",
        language: "en",
        folder: "en_US_f_Allison",
        licence: Stated::Prefix("en-"),
    },
    Reader {
        package: "asterisk-core-sounds-es-g722",
        language: "es",
        folder: "es_MX_f_Allison",
        licence: Stated::Prefix("es-"),
    },
    Reader {
        package: "asterisk-core-sounds-fr-g722",
        language: "fr",
        folder: "fr_CA_f_June",
        licence: Stated::Prefix("fr-"),
    },
    Reader {
        package: "asterisk-core-sounds-it-g722",
        language: "it",
        folder: "it_IT_m_Carlo",
        licence: Stated::Prefix("it-"),
    },
    Reader {
        package: "asterisk-core-sounds-ru-g722",
        language: "ru",
        folder: "ru_RU_f_IvrvoiceRU",
        licence: Stated::Prefix("ru-"),
    },
    Reader {
        package: "asterisk-prompt-fr-armelle",
        language: "fr",
        folder: "fr",
        licence: Stated::Sentence {
            sentence: "Redistribution and use, with or without modification, are permitted",
            licence: "BSD-style",
            holders: "2006 Michel Gutierrez; read by Armelle Desjardins",
        },
    },
    Reader {
        package: "asterisk-prompt-it-menardi-wav",
        language: "it",
        folder: "it_IT_f_Menardi",
        licence: Stated::Prefix("it-"),
    },
];

fn plan(context: &Context) -> Result<Plan> {
    let mut plan = Plan::default();
    let mut files = Vec::new();
    for reader in &READERS {
        let package = match context.packages.get(reader.package) {
            Ok(package) => package,
            Err(missing) => {
                plan.missing.push(missing);
                continue;
            }
        };
        let Some(credit) = reader.credit(&package) else {
            plan.missing.push(Missing::new(
                reader.package,
                format!(
                    "{} is left out: its copyright file no longer states the licence that is known here",
                    reader.package
                ),
            ));
            continue;
        };
        let folder = format!("usr/share/asterisk/sounds/{}/", reader.folder);
        for path in package.below(&folder) {
            let (name, extension) = stem(path);
            let converted = ["g722", "gsm"].contains(&extension.as_str());
            if !(converted || is_read_here(&extension)) || is_left_out(name) {
                continue;
            }
            if converted && !program::is_there("ffmpeg") {
                let consequence = "prompts in G.722 and GSM are left out";
                plan.missing.push(Missing::new("ffmpeg", consequence));
                break;
            }
            files.push((
                package.path(&format!("{folder}{path}")),
                reader.wanted(name, &credit.licence),
            ));
        }
        plan.credit(credit);
    }
    plan.batches = recordings(files.into_iter().map(|file| vec![file]));
    Ok(plan)
}

impl Reader {
    fn credit(&self, package: &Package) -> Option<Credit> {
        match self.licence {
            Stated::Prefix(prefix) => Credit::of_file(package, prefix),
            Stated::Sentence {
                sentence,
                licence,
                holders,
            } => package
                .copyright
                .says(sentence)
                .then(|| Credit::package(package, Licence::stated(licence), holders)),
        }
    }

    fn wanted(&self, name: &str, licence: &Licence) -> Wanted {
        let speaker = if self.folder == "fr" {
            "fr_FR_f_Armelle"
        } else {
            self.folder
        };
        let name: Vec<_> = name.split('/').map(file_name).collect();
        let name = name.join("/");
        // Longer prompts are worded differently by each translator.
        let worded = ["digits/", "letters/", "phonetic/"];
        let same = worded
            .iter()
            .any(|folder| name.starts_with(folder))
            .then(|| Same::new(Set::Prompts, &format!("{}_{name}", self.language)));
        Wanted {
            name: format!("{speaker}/{name}"),
            licence: licence.clone(),
            kind: "voice",
            same,
            group: speaker.to_owned(),
        }
    }
}

/// Whether the prompt `name` is one of the evaluated words, or none at all.
fn is_left_out(name: &str) -> bool {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    if folder == "silence" || file.starts_with("beep") {
        return true;
    }
    // A digit, alone or with a letter for its gender; "10" and "100-and" are other words.
    let mut rest = file.chars();
    let digit = rest.next().is_some_and(|c| c.is_ascii_digit());
    let is_digit = digit && !rest.next().is_some_and(|c| c.is_ascii_digit());
    // "oh" is read for a zero, "un" for a one; "vm-no" is the word.
    (is_digit && ["digits", "phonetic", "phonetic/ICAO"].contains(&folder))
        || ["digits/oh", "digits/un"].contains(&name)
        || (folder.is_empty() && words::is_evaluated(file.trim_start_matches("vm-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluated_words_are_left_out() {
        for name in [
            "digits/0",
            "digits/9",
            "digits/1M",
            "digits/2n",
            "digits/oh",
            "vm-no",
            "yes",
            "phonetic/9_p",
            "for",
            "silence/10",
            "beeperr",
        ] {
            assert!(is_left_out(name), "{name}");
        }
        for name in [
            "digits/10",
            "digits/100-and",
            "digits/h-9",
            "digits/day-1",
            "letters/a",
            "vm-nobox",
            "hello",
            "conf-adminmenu-18",
        ] {
            assert!(!is_left_out(name), "{name}");
        }
    }

    #[test]
    fn single_words_of_two_speakers_are_the_same() {
        let (carlo, menardi) = (&READERS[3], &READERS[6]);
        let licence = Licence::stated("CC-BY-3.0");
        let one = carlo.wanted("digits/day-1", &licence);
        let two = menardi.wanted("digits/day-1", &licence);
        assert_eq!(
            one.same.as_ref().unwrap().to_string(),
            "prompts/it_digits_day-1"
        );
        assert_eq!(one.same, two.same);
        assert_ne!((one.name, one.group), (two.name, two.group));
        assert_eq!(carlo.wanted("vm-intro", &licence).same, None);
        assert_ne!(READERS[0].wanted("digits/day-1", &licence).same, two.same);
    }
}
