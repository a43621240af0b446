//! `mtslvr enrol`: makes clips the examples of a sound.

mod microphone;

use super::backbone::BackboneChoice;
use super::examples::examples;
use super::profile::{BackboneInUse, ProfileChoice};
use super::progress;
use anyhow::{Context, Result, anyhow, bail, ensure};
use mtslvr_audio as audio;
use mtslvr_listen::capture::Capture;
use mtslvr_listen::profile::{
    ClassLabel, ClipLog, Explained, Lesson, NotLearnt, Profile, Recording, SourceClip, decibels,
    teach,
};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::{ClassId, Learner, Limits};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Teach a sound from one to five clips of it
///
/// A clip is a short recording of one sound: a file of WAV, FLAC, MP3, M4A, Ogg, Opus, AIFF, CAF or WebM,
/// or `-` for raw 16-bit PCM on standard input, one channel, at the model's rate. Trim it to the sound, because silence is
/// learned with it.
///
/// Each clip is checked first: it must be loud, clean and long enough, like the other examples of its
/// sound and unlike other sounds. A clip that fails is explained and left out; the others are enrolled.
///
/// Two classes have no name, and `listen` answers them with "unknown". --negative is for sounds that were
/// taken for one of yours and are not. --background is for the sound of the place when nothing happens.
///
/// Exit status: 0 if every clip is an example now; 1 if one was refused, or after an error, which
/// leaves the profile as it was.
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "enroll",
    override_usage = "mtslvr enrol [OPTIONS] NAME CLIP...\n       \
        mtslvr enrol [OPTIONS] NAME --mic\n       \
        mtslvr enrol [OPTIONS] <--negative|--background> <CLIP...|--mic>",
    after_help = examples!(
        "Teach a sound from two clips" => "mtslvr enrol kettle kettle1.wav kettle2.wav",
        "Teach a sound three times at the microphone" => "mtslvr enrol doorbell --mic --count 3",
        "Say that a sound was taken for one of yours and is not" =>
            "mtslvr enrol --negative not-the-kettle.wav",
    )
)]
pub(super) struct Args {
    /// Name of the sound, then its clips; only clips after --negative or --background
    #[arg(value_name = "NAME CLIP")]
    words: Vec<PathBuf>,
    #[command(flatten, next_help_heading = "Class")]
    class: NamelessChoice,
    /// Enrol clips that the checks refuse, too; silence is always refused
    #[arg(long, help_heading = "Class")]
    force: bool,
    #[command(flatten, next_help_heading = "Microphone")]
    microphone: microphone::MicrophoneChoice,
    #[command(flatten, next_help_heading = "Profile and backbone")]
    profile: ProfileChoice,
    #[command(flatten, next_help_heading = "Profile and backbone")]
    backbone: BackboneChoice,
    /// Print a line of JSON for each clip instead of text
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// The two classes without a name.
#[derive(Debug, clap::Args)]
struct NamelessChoice {
    /// Enrol the clips as sounds that are none of yours
    #[arg(long, conflicts_with = "background")]
    negative: bool,
    /// Enrol the clips as the sound of the place when nothing happens
    #[arg(long)]
    background: bool,
}

/// A clip with where it came from.
struct Clip {
    /// Its path, or words for a recording without one.
    source_name: String,
    source: Option<SourceClip>,
    recording: Recording,
}

/// The outcome for a clip; `--json` prints it.
#[derive(Debug, Serialize)]
struct Outcome {
    clip: String,
    /// The class as tables name it.
    class: String,
    enrolled: bool,
    seconds: f32,
    /// Level of the loudest sample, decibels of full scale; null for silence.
    peak_db: Option<f32>,
    #[serde(flatten)]
    why_not: Option<Explained>,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let (label, paths) = self.label_and_paths()?;
        let lesson = Lesson {
            label,
            limits: Limits::default(),
            force: self.force,
        };
        let profile = self.profile.profile()?;
        let mut backbone = BackboneInUse::open(&self.backbone)?;
        // A profile of another backbone is refused before anyone makes a sound for nothing.
        if let Some(snapshot) = profile.read()? {
            backbone.check(&profile, &snapshot)?;
        }
        let clips = if self.microphone.is_asked_for() {
            self.microphone.record(&mut backbone, label)?
        } else {
            read(paths, &mut backbone)?
        };
        let (outcomes, examples) = enrol(&profile, &backbone, &lesson, &clips)?;
        self.print(&profile, &outcomes, label, examples)?;
        check(&outcomes)
    }

    /// Returns the class that the words name, and the paths of the clips.
    fn label_and_paths(&self) -> Result<(ClassLabel<'_>, &[PathBuf])> {
        let nameless = match (self.class.negative, self.class.background) {
            (true, _) => Some(ClassLabel::Negatives),
            (_, true) => Some(ClassLabel::Background),
            _ => None,
        };
        let (label, paths) = match (nameless, self.words.split_first()) {
            (Some(label), _) => (label, &self.words[..]),
            (None, Some((name, paths))) => (ClassLabel::Sound(name_of_sound(name)?), paths),
            (None, None) => bail!(
                "no name and no clips; expected `mtslvr enrol NAME CLIP...`, for example \
                 `mtslvr enrol kettle kettle1.wav kettle2.wav`"
            ),
        };
        if self.microphone.is_asked_for() {
            ensure!(
                paths.is_empty(),
                "{}: a clip and --mic are given; expected one or the other",
                paths[0].display()
            );
        } else {
            ensure!(
                !paths.is_empty(),
                "no clips of {label}; name one or more after it, or use --mic"
            );
        }
        Ok((label, paths))
    }

    /// Prints the outcome for each clip, and how many examples the class has now.
    fn print(
        &self,
        profile: &Profile,
        outcomes: &[Outcome],
        label: ClassLabel,
        examples: usize,
    ) -> Result<()> {
        let mut out = std::io::stdout().lock();
        for outcome in outcomes {
            if self.json {
                writeln!(out, "{}", serde_json::to_string(outcome)?)?;
            } else {
                writeln!(out, "{}", outcome.sentence())?;
            }
        }
        if !self.json {
            let count = match examples {
                1 => "1 example".to_owned(),
                n => format!("{n} examples"),
            };
            writeln!(out, "{label} has {count} in {}", profile.path().display())?;
        }
        Ok(())
    }
}

/// Returns the first word as a sound's name. A file there is a forgotten name.
fn name_of_sound(word: &Path) -> Result<&str> {
    let name = word
        .to_str()
        .with_context(|| format!("the name {} is not Unicode; expected text", word.display()))?;
    ensure!(
        name != "-" && !Path::new(name).is_file(),
        "{name}: the first word is the sound's name, and this is a clip; \
         expected `mtslvr enrol NAME {name}`"
    );
    Ok(name)
}

/// Fails if a clip was refused.
fn check(outcomes: &[Outcome]) -> Result<()> {
    let reasons = outcomes.iter().filter_map(|o| o.why_not.as_ref());
    // A clip that is an example already is where the user wants it.
    let refused: Vec<_> = reasons.filter(|why| why.reason != "known").collect();
    if refused.is_empty() {
        return Ok(());
    }
    let hint = if refused.iter().any(|why| why.can_be_forced()) {
        "; --force enrols clips that the checks refuse"
    } else {
        ""
    };
    bail!(
        "{} of {} clips not enrolled{hint}",
        refused.len(),
        outcomes.len()
    )
}

/// Reads and embeds the clips: all of them, or none and an error.
fn read(paths: &[PathBuf], backbone: &mut BackboneInUse) -> Result<Vec<Clip>> {
    let rate = backbone.engine.space().frontend().sample_rate;
    let bar = progress::files(paths.len() as u64, "listening");
    let clips = paths.iter().map(|path| {
        let piped = path.as_os_str() == "-";
        let clip = if piped {
            let samples = Capture::pcm(std::io::stdin()).all()?;
            Clip::new("standard input".to_owned(), None, &samples, backbone)
        } else {
            Clip::read(path, audio::Reader::open(path, rate)?, backbone)
        };
        bar.inc(1);
        clip
    });
    let clips = clips.collect();
    bar.finish_and_clear();
    clips
}

impl Clip {
    /// Measures and embeds the recording at `path`, which `reader` gives.
    fn read(path: &Path, reader: audio::Reader, backbone: &mut BackboneInUse) -> Result<Self> {
        let source_name = path.display().to_string();
        let recording = Recording::read(&mut backbone.engine, reader);
        let recording = recording.map_err(|error| match error {
            // Its message names the file.
            audio::EmbedError::Audio(error) => anyhow!(error),
            error => anyhow!("{source_name}: {error}"),
        })?;
        Ok(Self {
            source: SourceClip::of(path).ok(),
            source_name,
            recording,
        })
    }

    /// Measures and embeds `samples`.
    fn new(
        source_name: String,
        source: Option<SourceClip>,
        samples: &[f32],
        backbone: &mut BackboneInUse,
    ) -> Result<Self> {
        let recording = Recording::new(&mut backbone.engine, samples)
            .map_err(|error| anyhow!("{source_name}: {error}"))?;
        Ok(Self {
            source_name,
            source,
            recording,
        })
    }
}

/// Enrols the clips and writes the profile, unless no clip is enrolled. Returns the outcome for each
/// clip, and how many examples the class has then.
fn enrol(
    profile: &Profile,
    backbone: &BackboneInUse,
    lesson: &Lesson,
    clips: &[Clip],
) -> Result<(Vec<Outcome>, usize)> {
    let locked = profile.lock()?;
    let mut memory = backbone.memory();
    let mut learner = memory.learner();
    backbone.restore(profile, &mut learner)?;
    let mut log = ClipLog::read(profile)?;
    log.retain(learner.support());
    let mut outcomes = Vec::new();
    for clip in clips {
        let taught = teach(&mut learner, lesson, &clip.recording)
            .with_context(|| format!("{}: nothing was enrolled", clip.source_name))?;
        if let (Ok(class), Some(source)) = (taught, &clip.source)
            && let Some(example) = learner.support().examples(class).last()
        {
            log.insert(example, source.clone());
        }
        outcomes.push(Outcome::new(clip, lesson, taught, &learner));
    }
    if outcomes.iter().any(|outcome| outcome.enrolled) {
        // The list first: an entry too many does no harm, and one too few loses a clip.
        log.write(&locked)?;
        locked.write(&learner)?;
    }
    let class = lesson.label.find(learner.support());
    let examples = class.map_or(0, |class| learner.support().examples(class).len());
    Ok((outcomes, examples))
}

impl Outcome {
    fn new(
        clip: &Clip,
        lesson: &Lesson,
        taught: Result<ClassId, NotLearnt>,
        learner: &Learner,
    ) -> Self {
        let peak = clip.recording.levels().peak();
        let why = taught.err();
        Self {
            clip: clip.source_name.clone(),
            class: lesson.label.to_string(),
            enrolled: taught.is_ok(),
            seconds: clip.recording.seconds(),
            peak_db: (peak > 0.0).then(|| decibels(peak)),
            why_not: why.map(|why| Explained::new(&why, lesson, learner.support())),
        }
    }

    /// Returns the outcome in words.
    fn sentence(&self) -> String {
        let Self { clip, class, .. } = self;
        match &self.why_not {
            Some(why) if why.reason == "known" => format!("{clip}: known: {}", why.text),
            Some(why) => format!("{clip}: not enrolled: {}", why.text),
            None => {
                let peak = self.peak_db.unwrap_or(f32::NEG_INFINITY);
                let seconds = self.seconds;
                format!("{clip}: enrolled as {class} ({seconds:.2} s, peak {peak:.0} dB)")
            }
        }
    }
}
