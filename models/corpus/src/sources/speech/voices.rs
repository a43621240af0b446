//! Voices of espeak-ng, flite and festival.

use super::super::Credit;
use crate::audio;
use crate::clip::RATE;
use crate::licence::Licence;
use crate::program::{self, Missing};
use crate::same::{file_name, hash};
use anyhow::{Context, Result, anyhow};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// A program that speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Formants by rule, some 130 languages and 100 variants of its voice.
    Espeak,
    /// English voices, joined from recordings or learned from them.
    Flite,
    /// The same, slower; voices are packages of their own.
    Festival,
}

/// A voice that speaks one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voice {
    engine: Engine,
    /// Accent of espeak-ng; empty otherwise.
    accent: String,
    /// Variant of espeak-ng, or the voice's name.
    voice: String,
}

impl Engine {
    /// All engines.
    pub const ALL: [Self; 3] = [Self::Espeak, Self::Flite, Self::Festival];

    /// The program's name.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Espeak => "espeak-ng",
            Self::Flite => "flite",
            Self::Festival => "festival",
        }
    }

    /// The Debian package with the program.
    pub const fn package(self) -> &'static str {
        self.program()
    }

    /// Whether the program is installed.
    pub fn is_there(self) -> bool {
        program::is_there(self.program())
    }
}

/// Voices of flite. `kal` is `kal16` at half the rate, `awb_time` tells the time only.
const FLITE: [&str; 4] = ["awb", "kal16", "rms", "slt"];

/// Voices of festival whose licences are as free as flite's: package, language, voice, licence and
/// whom to credit. Most others are under the GPL, and their speech is made of it.
const FESTIVAL: [FestivalVoice; 3] = [
    FestivalVoice {
        package: "festvox-us-slt-hts",
        language: "en",
        voice: "cmu_us_slt_arctic_hts",
        licence: "BSD-3-Clause",
        holders: "Nagoya Institute of Technology; Carnegie Mellon University",
    },
    FestivalVoice {
        package: "festvox-kallpc16k",
        language: "en",
        voice: "kal_diphone",
        licence: "BSD-style (University of Edinburgh)",
        holders: "Centre for Speech Technology Research, University of Edinburgh; Alan W Black and Kevin Lenzo",
    },
    FestivalVoice {
        package: "festvox-kdlpc16k",
        language: "en",
        voice: "ked_diphone",
        licence: "BSD-style (University of Edinburgh)",
        holders: "Centre for Speech Technology Research, University of Edinburgh",
    },
];

struct FestivalVoice {
    package: &'static str,
    language: &'static str,
    voice: &'static str,
    licence: &'static str,
    holders: &'static str,
}

/// Variants of espeak-ng that are no voices.
const NO_VOICES: [&str; 1] = ["fast"];

/// Finds the voices for `language` of those of [`Engine::ALL`] that are there, and says which
/// packages would bring more.
pub fn all(
    language: &str,
    accents: &[&str],
    there: [bool; 3],
    missing: &mut Vec<Missing>,
) -> Result<Vec<Arc<Voice>>> {
    let [espeak, flite, festival] = there;
    let mut voices = Vec::new();
    if espeak {
        let list = program::run(Command::new("espeak-ng").arg("--voices=variant"))?;
        for variant in variants(&String::from_utf8_lossy(&list)) {
            for accent in accents {
                voices.push(Arc::new(Voice::espeak(accent, &variant)));
            }
        }
    }
    if flite && language == "en" {
        voices.extend(FLITE.map(|voice| Arc::new(Voice::flite(voice))));
    }
    if festival {
        let script = "(print (voice.list))";
        let list = program::run(Command::new("festival").args(["-b", script]))?;
        let list = String::from_utf8_lossy(&list);
        for known in FESTIVAL.iter().filter(|known| known.language == language) {
            if list.contains(known.voice) {
                voices.push(Arc::new(Voice {
                    engine: Engine::Festival,
                    accent: String::new(),
                    voice: known.voice.to_owned(),
                }));
            } else {
                missing.push(Missing::new(
                    known.package,
                    format!("no words are spoken by festival's {}", known.voice),
                ));
            }
        }
    }
    Ok(voices)
}

/// File names of the variants in the list that espeak-ng prints.
fn variants(list: &str) -> Vec<String> {
    list.lines()
        .filter_map(|line| Some(line.split_once("!v/")?.1.trim().to_owned()))
        .filter(|variant| !NO_VOICES.contains(&variant.as_str()))
        .collect()
}

impl Voice {
    /// A variant of espeak-ng's voice with an accent.
    pub fn espeak(accent: &str, variant: &str) -> Self {
        Self {
            engine: Engine::Espeak,
            accent: accent.to_owned(),
            voice: variant.to_owned(),
        }
    }

    /// A voice of flite.
    pub fn flite(voice: &str) -> Self {
        Self {
            engine: Engine::Flite,
            accent: String::new(),
            voice: voice.to_owned(),
        }
    }

    /// Name in manifests.
    pub fn name(&self) -> String {
        let name = match self.engine {
            Engine::Espeak => format!("espeak-{}+{}", self.accent, self.voice),
            engine => format!("{}-{}", engine.program(), self.voice),
        };
        file_name(&name)
    }

    /// Whether it is made of recordings.
    pub fn is_natural(&self) -> bool {
        self.engine != Engine::Espeak
    }

    /// The licence of its speech.
    pub fn licence(&self) -> Licence {
        self.credit().licence
    }

    /// Whom to credit.
    pub fn credit(&self) -> Credit {
        let credit = |work: &str, licence: &str, holders: &str, package: &str| Credit {
            work: work.to_owned(),
            licence: Licence::stated(licence),
            holders: holders.to_owned(),
            stated: format!("/usr/share/doc/{package}/copyright"),
        };
        match self.engine {
            // The program's licence is for the program; what it says belongs to no one.
            Engine::Espeak => credit(
                "espeak-ng",
                "output of espeak-ng",
                "Jonathan Duddington, Reece H. Dunn and others, for the program",
                "espeak-ng",
            ),
            Engine::Flite => credit(
                "flite and its voices",
                "BSD-style (Carnegie Mellon University)",
                "Carnegie Mellon University",
                "flite",
            ),
            Engine::Festival => {
                let known = FESTIVAL.iter().find(|known| known.voice == self.voice);
                let known = known.expect("only known voices are used");
                credit(
                    &format!("festival's voice {}", known.voice),
                    known.licence,
                    known.holders,
                    known.package,
                )
            }
        }
    }

    /// Speaks each of `words`, at a speed and a pitch that word and voice decide.
    pub fn say(&self, words: &[&str], scratch: &Path) -> Vec<Result<Vec<f32>>> {
        let wav = |index: usize| scratch.join(format!("said-{index}.wav"));
        let load = |index: usize| {
            let samples = audio::load(&wav(index), RATE);
            // An old one must not be taken for the next word.
            let _ = std::fs::remove_file(wav(index));
            samples.map_err(|error| anyhow!(error).context(self.name()))
        };
        if self.engine == Engine::Festival {
            let said = self.festival(words, scratch);
            return (0..words.len())
                .map(|index| match &said {
                    Ok(()) => load(index),
                    Err(error) => Err(anyhow!("{}: {error:#}", self.name())),
                })
                .collect();
        }
        let say = |(index, word): (usize, &&str)| {
            let manner = Manner::of(word, &self.name());
            let mut command = Command::new(self.engine.program());
            match self.engine {
                Engine::Espeak => command
                    .args(["-v", &format!("{}+{}", self.accent, self.voice)])
                    .args(["-s", &manner.words_a_minute().to_string()])
                    .args(["-p", &manner.pitch_percent().to_string()])
                    .arg("-w")
                    .arg(wav(index))
                    .args(["--", word]),
                Engine::Flite | Engine::Festival => command
                    .args(["-voice", &self.voice])
                    .args([
                        "--setf",
                        &format!("duration_stretch={:.2}", manner.stretch()),
                    ])
                    .args(["--setf", &format!("int_f0_target_mean={}", manner.hertz())])
                    .args(["-t", word, "-o"])
                    .arg(wav(index)),
            };
            program::run(&mut command).with_context(|| format!("{} says {word}", self.name()))?;
            load(index)
        };
        words.iter().enumerate().map(say).collect()
    }

    fn festival(&self, words: &[&str], scratch: &Path) -> Result<()> {
        let mut script = format!("(voice_{})\n", self.voice);
        for (index, word) in words.iter().enumerate() {
            let stretch = Manner::of(word, &self.name()).stretch();
            script.push_str(&format!(
                "(Parameter.set 'Duration_Stretch {stretch:.2})\n\
                 (utt.save.wave (utt.synth (Utterance Text \"{word}\")) \"said-{index}.wav\" 'riff)\n"
            ));
        }
        let path = scratch.join("say.scm");
        std::fs::write(&path, script)?;
        program::run(
            Command::new("festival")
                .arg("-b")
                .arg(&path)
                .current_dir(scratch),
        )?;
        Ok(())
    }
}

/// Speed and pitch of a word.
struct Manner(u64);

impl Manner {
    fn of(word: &str, voice: &str) -> Self {
        Self(hash(&format!("{voice} says {word}")))
    }

    fn between(&self, low: u64, high: u64, shift: u32) -> u64 {
        low + (self.0 >> shift) % (high - low + 1)
    }

    fn words_a_minute(&self) -> u64 {
        self.between(110, 220, 0)
    }

    fn pitch_percent(&self) -> u64 {
        self.between(10, 90, 16)
    }

    /// Factor on durations.
    fn stretch(&self) -> f64 {
        self.between(80, 140, 0) as f64 / 100.0
    }

    /// Mean fundamental frequency.
    fn hertz(&self) -> u64 {
        self.between(80, 230, 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_read_from_the_list() {
        let list = "\
Pty Language       Age/Gender VoiceName          File                 Other Languages
 5  variant         --/F      female2            !v/f2                \n\
 5  variant         --/M      Mr_Serious         !v/Mr serious        \n\
 5  variant         --/M      fast_test          !v/fast              \n";
        assert_eq!(variants(list), ["f2", "Mr serious"]);
        let voice = Voice::espeak("en-us", "Mr serious");
        assert_eq!(voice.name(), "espeak-en-us+Mr_serious");
    }

    #[test]
    fn every_voice_that_is_used_is_free() {
        let festival = FESTIVAL.iter().map(|known| Voice {
            engine: Engine::Festival,
            accent: String::new(),
            voice: known.voice.to_owned(),
        });
        for voice in festival.chain([Voice::espeak("de", "f1"), Voice::flite("slt")]) {
            assert!(voice.licence().is_free(), "{}", voice.name());
        }
    }

    #[test]
    fn manners_differ_and_stay() {
        let one = Manner::of("apple", "v");
        assert_eq!(one.0, Manner::of("apple", "v").0);
        assert_ne!(one.0, Manner::of("apple", "w").0);
        assert!((110..=220).contains(&one.words_a_minute()));
        assert!((0.8..=1.4).contains(&one.stretch()));
    }
}
