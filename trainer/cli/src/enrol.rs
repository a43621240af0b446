//! `mtslvr enrol`: makes clips the examples of a sound.

mod microphone;

use super::backbone::ProfileBackboneChoice;
use super::called::as_called;
use super::command_line::CommandLine;
use super::examples::examples;
use super::microphone::with_microphone;
use super::profile::{BackboneInUse, ProfileChoice};
use super::progress;
use anyhow::{Context, Result, anyhow, bail, ensure};
use mtslvr_audio as audio;
use mtslvr_audio::{ShowPath, counted};
use mtslvr_listen::capture::{Capture, Pieces, Take};
use mtslvr_listen::profile::{
    ClassLabel, ClipLog, Explained, Lesson, NotLearnt, Profile, Recording, Resemblance, SourceClip,
    check_name, decibels, find_sound, recognised, teach,
};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::{ClassId, Learner, Limits};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Teach a sound from a few clips of it
///
/// A clip is a short recording of one sound: a file of WAV, FLAC, MP3, M4A, Ogg, Opus, AIFF, CAF or WebM, a
/// folder of such files, or `-` for raw 16-bit little-endian PCM on standard input, one channel, 16 kHz for the
/// shipped backbones.
/// One to five clips usually suffice. A clip need not be trimmed: the sound in it is found as `listen` will
/// find it, and the answer says which part was used. If a clip holds several sounds, the one with the most
/// energy is used; with --split, each becomes an example.
///
/// Each clip is checked first: it must be loud, clean and long enough, like the other examples of its
/// sound and unlike other sounds. A clip that fails is explained and left out; the others are enrolled. A file
/// that cannot be read stops the command and leaves the profile as it was.
///
/// Two classes have no name, and `listen` reports nothing for their sounds. --negative is for sounds that must
/// not be recognised, such as those that were taken for one of yours. --background is for the usual sound of
/// the place.
///
/// Exit status: 0 if every clip is an example now; 1 if one was refused, or after an error, which
/// leaves the profile as it was.
#[cfg_attr(not(feature = "mic"), doc = "")]
#[cfg_attr(
    not(feature = "mic"),
    doc = "This program was built without a microphone; `cargo build --release --features mic` brings `--mic`."
)]
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "enroll",
    override_usage = with_microphone!(
        "mtslvr enrol [OPTIONS] NAME CLIP...\n       \
            mtslvr enrol [OPTIONS] NAME --mic\n       \
            mtslvr enrol [OPTIONS] <--negative|--background> <CLIP...|--mic>",
        "mtslvr enrol [OPTIONS] NAME CLIP...\n       \
            mtslvr enrol [OPTIONS] <--negative|--background> CLIP..."
    ),
    after_help = examples!(
        "Teach a sound from two clips" => "mtslvr enrol kettle kettle1.wav kettle2.wav",
        "Teach a sound from all its repetitions in a recording" =>
            "mtslvr enrol doorbell afternoon.wav --split",
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
    /// Enrol clips that the checks refuse, too; silence and examples of other sounds are always refused
    #[arg(long, help_heading = "Class")]
    force: bool,
    #[command(flatten, next_help_heading = "Sounds in a clip")]
    cutting: Cutting,
    #[command(flatten, next_help_heading = "Microphone")]
    microphone: microphone::MicrophoneChoice,
    #[command(flatten, next_help_heading = "Profile and backbone")]
    profile: ProfileChoice,
    #[command(flatten, next_help_heading = "Profile and backbone")]
    backbone: ProfileBackboneChoice,
    #[arg(
        long,
        help_heading = "Output",
        help = "Print a line of JSON for each clip instead of text",
        long_help = JSON_HELP
    )]
    json: bool,
}

/// Help on the fields of `--json`: every one.
const JSON_HELP: &str = "\
Print a line of JSON for each clip instead of text

With --split there is a line for each sound in a clip. Fields:
  clip: path of the clip
  class: name of the sound, or (negatives) or (background)
  enrolled: whether it is a new example
  seconds: length of the part that was used
  peak_db: level of the loudest sample, dB of full scale; null for silence
  start, of: where that part begins, and how long the clip is, seconds; not there for a whole clip
  sounds: number of sounds that were found in the clip
  reason: one word on why it was not enrolled, such as known, too-quiet or no-sound
  found, limit, unit: the value that was measured for that, and the limit
  text: the same in words

A class whose examples do not resemble each other is reported on standard error.";

/// Options on which parts of a clip are used.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Cutting {
    /// Make each sound in a clip an example
    #[arg(long, conflicts_with_all = ["whole", "mic"])]
    split: bool,
    /// Use clips as they are, silence and all
    #[arg(long, conflicts_with = "mic")]
    whole: bool,
}

impl Cutting {
    /// Returns what becomes an example of `label`. Background is taken as it is.
    fn used(self, label: ClassLabel<'_>) -> Used {
        match self {
            Self { split: true, .. } => Used::EachSound,
            Self { whole: true, .. } => Used::Whole,
            Self { .. } if label == ClassLabel::Background => Used::Whole,
            Self { .. } => Used::MainSound,
        }
    }
}

/// Parts of a clip that become examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Used {
    /// The clip as it is.
    Whole,
    /// The sound with the most energy.
    MainSound,
    /// Each sound.
    EachSound,
}

/// The two classes without a name.
#[derive(Debug, clap::Args)]
struct NamelessChoice {
    /// Enrol the clips as sounds that must not be recognised
    #[arg(long, conflicts_with = "background")]
    negative: bool,
    /// Enrol the clips as the usual sound of the place
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
    /// Beginning of the part that was used, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<f32>,
    /// Length of the whole clip, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<f32>,
    /// Sounds that were found in the clip.
    #[serde(skip_serializing_if = "Option::is_none")]
    sounds: Option<usize>,
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
        let mut backbone = BackboneInUse::open_for(&self.backbone, &profile)?;
        // A profile of another backbone is refused before anyone makes a sound for nothing.
        if let Some(snapshot) = profile.read()? {
            backbone.check(&profile, &snapshot)?;
        }
        let clips = if self.microphone.is_asked_for() {
            self.microphone.record(&mut backbone, label)?
        } else {
            read(&clips_of(paths)?, &mut backbone, self.cutting.used(label))?
        };
        let (outcomes, examples, doubts) = enrol(&profile, &backbone, &lesson, &clips)?;
        self.print(&profile, &outcomes, label, examples)?;
        for doubt in doubts {
            errln!("{doubt}");
        }
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
                paths[0].shown()
            );
        } else {
            ensure!(
                !paths.is_empty(),
                "no clips of {label}; name one or more after it{}",
                with_microphone!(", or use --mic", "")
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
        for outcome in outcomes {
            if self.json {
                outln!("{}", serde_json::to_string(outcome)?);
            } else {
                outln!("{}", outcome.sentence());
            }
        }
        if !self.json {
            let count = counted(examples, "example");
            outln!("{label} has {count} in {}", profile.path().shown());
        }
        Ok(())
    }
}

/// Makes the sound in the clip at `path` an example of `label`. Returns whether it is one now, and the outcome in words.
pub(super) fn learn(
    profile: &Profile,
    backbone: &mut BackboneInUse,
    label: ClassLabel,
    path: &Path,
) -> Result<(bool, String)> {
    let lesson = Lesson {
        label,
        limits: Limits::default(),
        force: false,
    };
    let clips = read(&[path.to_owned()], backbone, Used::MainSound)?;
    let (outcomes, _, doubts) = enrol(profile, backbone, &lesson, &clips)?;
    let mut sentences: Vec<String> = outcomes.iter().map(Outcome::sentence).collect();
    sentences.extend(doubts);
    let learnt = outcomes.iter().any(|outcome| outcome.enrolled);
    Ok((learnt, sentences.join("\n")))
}

/// Returns the first word as a sound's name. A file there is a forgotten name.
fn name_of_sound(word: &Path) -> Result<&str> {
    let name = word
        .to_str()
        .with_context(|| format!("the name {} is not Unicode; expected text", word.shown()))?;
    ensure!(
        name != "-" && !Path::new(name).is_file(),
        "{name}: the first word is the sound's name, and this is a clip; \
         expected `mtslvr enrol NAME {name}`"
    );
    check_name(name)?;
    Ok(name)
}

/// Returns the clips, for a folder the recordings in it.
fn clips_of(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut clips = Vec::new();
    for path in paths {
        if !path.is_dir() {
            clips.push(path.clone());
            continue;
        }
        let below = audio::recordings_below(path)?;
        let (here, deeper): (Vec<_>, Vec<_>) = below
            .into_iter()
            .partition(|clip| clip.parent() == Some(path.as_path()));
        ensure!(
            deeper.is_empty(),
            "{}: has folders with clips; expected a folder of clips of one sound, such as {}",
            path.shown(),
            deeper[0].parent().unwrap_or(path).shown()
        );
        ensure!(
            !here.is_empty(),
            "{}: holds no clips; expected files of WAV, FLAC, MP3, M4A, Ogg, Opus, AIFF, CAF or WebM",
            path.shown()
        );
        clips.extend(here);
    }
    Ok(clips)
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
        "{} of {} not enrolled{hint}",
        refused.len(),
        counted(outcomes.len(), "clip")
    )
}

/// Reads and embeds the clips: all of them, or none and an error.
fn read(paths: &[PathBuf], backbone: &mut BackboneInUse, used: Used) -> Result<Vec<Clip>> {
    let rate = backbone.engine.space().frontend().sample_rate;
    let bar = progress::files(paths.len() as u64, "listening");
    let clips = paths.iter().map(|path| {
        let piped = path.as_os_str() == "-";
        let clips = if piped {
            let samples = Capture::pcm(std::io::stdin()).all()?;
            Clip::of("standard input", &samples, used, backbone)
        } else if used == Used::Whole {
            // In constant memory, whatever its length.
            Clip::read(path, audio::Reader::open(path, rate)?, backbone).map(|clip| vec![clip])
        } else {
            Clip::found_in(path, used, backbone)
        };
        bar.inc(1);
        clips
    });
    let clips: Result<Vec<Vec<Clip>>> = clips.collect();
    bar.finish_and_clear();
    Ok(clips?.into_iter().flatten().collect())
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

    /// Embeds what is `used` of the recording at `path`, in which the sounds are found as the listener will find
    /// them, piece by piece.
    fn found_in(path: &Path, used: Used, backbone: &mut BackboneInUse) -> Result<Vec<Self>> {
        let engine = &mut backbone.engine;
        let frontend = *engine.space().frontend();
        let rate = frontend.sample_rate;
        let source_name = path.display().to_string();
        let mut found: Vec<(f64, Recording)> = Vec::new();
        let (mut greatest, mut sounds, mut whole) = (0.0, 0, 0.0);
        for piece in Pieces::new(audio::Reader::open(path, rate)?, rate) {
            let piece = piece?;
            let samples = piece.samples();
            let take = Take::new(samples, &frontend)?;
            for cut in piece.own(&take) {
                sounds += 1;
                let energy = take.energy(cut);
                if used != Used::EachSound && energy < greatest {
                    continue;
                }
                greatest = energy;
                let recording = Recording::of_cut(engine, samples, &take, cut)
                    .map_err(|error| anyhow!("{source_name}: {error}"))?;
                if used != Used::EachSound {
                    found.clear();
                }
                found.push((piece.start(), recording));
            }
            whole = piece.start() + samples.len() as f64 / f64::from(rate);
        }
        if found.is_empty() {
            // All of it, to be refused.
            let mut clip = Self::read(path, audio::Reader::open(path, rate)?, backbone)?;
            clip.recording = clip.recording.within(0.0, whole as f32, 0);
            clip.source = None;
            return Ok(vec![clip]);
        }
        let source = SourceClip::of(path).ok();
        let clip = |(start, recording): (f64, Recording)| {
            let recording = recording.within(start, whole as f32, sounds);
            Self {
                source_name: source_name.clone(),
                source: source
                    .as_ref()
                    .and_then(|source| source.with_cut_of(&recording)),
                recording,
            }
        };
        Ok(found.into_iter().map(clip).collect())
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

    /// Embeds what is `used` of `samples`, which are in no file, and in which the sounds are found as the listener
    /// will find them.
    fn of(
        source_name: &str,
        samples: &[f32],
        used: Used,
        backbone: &mut BackboneInUse,
    ) -> Result<Vec<Self>> {
        if used == Used::Whole {
            let whole = Self::new(source_name.to_owned(), None, samples, backbone)?;
            return Ok(vec![whole]);
        }
        let take = Take::new(samples, backbone.engine.space().frontend())?;
        let engine = &mut backbone.engine;
        let recordings = match (used, take.cuts()) {
            (Used::EachSound, cuts @ [_, ..]) => {
                let each = cuts.iter();
                each.map(|cut| Recording::of_cut(engine, samples, &take, *cut))
                    .collect()
            }
            _ => Recording::of_main_sound(engine, samples, &take).map(|main| vec![main]),
        };
        let recordings: Vec<_> = recordings.map_err(|error| anyhow!("{source_name}: {error}"))?;
        let clip = |recording: Recording| Self {
            source_name: source_name.to_owned(),
            source: None,
            recording,
        };
        Ok(recordings.into_iter().map(clip).collect())
    }
}

/// Enrols the clips and writes the profile, unless no clip is enrolled. Returns the outcome for each
/// clip, how many examples the class has then, and doubts: whether they are of one sound, and whether
/// background is background.
fn enrol(
    profile: &Profile,
    backbone: &BackboneInUse,
    lesson: &Lesson,
    clips: &[Clip],
) -> Result<(Vec<Outcome>, usize, Vec<String>)> {
    let locked = profile.lock()?;
    let mut memory = backbone.memory();
    let mut learner = memory.learner();
    backbone.restore(profile, &mut learner)?;
    let mut log = ClipLog::read(profile)?;
    log.retain(learner.support());
    let mut doubts = doubts_on_background(&mut learner, lesson, &log, clips);
    doubts.extend(doubt_on_name(&mut learner, lesson, clips));
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
        backbone.note().write(&locked)?;
        locked.write(&learner)?;
    }
    let class = lesson.label.find(learner.support());
    let examples = class.map_or(0, |class| learner.support().examples(class).len());
    doubts.retain(|(clip, _)| outcomes[*clip].enrolled);
    let mut doubts: Vec<String> = doubts.into_iter().map(|(_, doubt)| doubt).collect();
    let doubt = class
        .filter(|_| matches!(lesson.label, ClassLabel::Sound(_)))
        .and_then(|class| doubt(&learner, class, lesson.label, &log));
    doubts.extend(doubt);
    Ok((outcomes, examples, doubts))
}

/// Says of each clip that is to be background, with its place, if it is one of an enrolled sound: an example
/// was made of its recording, or it is recognised. Of other classes it says nothing.
fn doubts_on_background(
    learner: &mut Learner,
    lesson: &Lesson,
    log: &ClipLog,
    clips: &[Clip],
) -> Vec<(usize, String)> {
    if lesson.label != ClassLabel::Background {
        return Vec::new();
    }
    let mut doubts = Vec::new();
    for (place, clip) in clips.iter().enumerate() {
        let source = clip.source.as_ref();
        let taught = source.and_then(|source| log.sound_made_of(source, learner.support()));
        let (class, why) = if let Some(class) = taught {
            (
                class,
                "an example of it was made of this recording".to_owned(),
            )
        } else if let Some(found) = recognised(learner, &clip.recording) {
            let (score, threshold) = (found.similarity, found.threshold);
            let why = format!("it is recognised (score {score:.2}, threshold {threshold:.2})");
            (found.class, why)
        } else {
            continue;
        };
        let name = learner.support().name(class).unwrap_or_default();
        doubts.push((
            place,
            format!(
                "warning: {} sounds like {name}: {why}. As background it keeps {name} from being \
                 recognised; unless you mean that, take it back with `mtslvr classes undo`.",
                clip.source_name
            ),
        ));
    }
    doubts
}

/// Says of a new sound that a clip of it, whose place is returned, is recognised as another one: its name may be a slip.
fn doubt_on_name(
    learner: &mut Learner,
    lesson: &Lesson,
    clips: &[Clip],
) -> Option<(usize, String)> {
    let ClassLabel::Sound(new) = lesson.label else {
        return None;
    };
    if find_sound(learner.support(), new).is_some() {
        return None;
    }
    let mut found = clips.iter().enumerate().filter_map(|(place, clip)| {
        let found = recognised(learner, &clip.recording)?;
        let name = learner.support().name(found.class).ok()?;
        let doubt = format!(
            "warning: {new} is a new sound, and {} is recognised as {name} (score {:.2}, threshold {:.2}). If you \
             meant {name}, take it back with `mtslvr classes undo`.",
            clip.source_name, found.similarity, found.threshold
        );
        Some((place, doubt))
    });
    found.next()
}

/// Says by numbers that the examples of a class do not resemble each other, if they do not.
fn doubt(learner: &Learner, class: ClassId, label: ClassLabel, log: &ClipLog) -> Option<String> {
    let alike = Resemblance::of(learner, class).filter(Resemblance::is_doubtful)?;
    let least = alike.least();
    let example = learner.support().examples(class).nth(least);
    let clip = example.and_then(|example| log.get(example));
    let clip = clip.map_or_else(String::new, |clip| format!(", {}", clip.path.shown()));
    Some(format!(
        "{label}: its {} examples do not all resemble each other: left out in turn, they score {:.2} on \
         average. Example {}{clip} scores {:.2}, and one in four unrelated sounds scores more than {:.2}. If \
         it is another sound, delete it with `{}`.",
        alike.left_out.len(),
        alike.mean(),
        least + 1,
        alike.left_out[least],
        alike.unrelated,
        CommandLine::new(&["classes", "delete"])
            .words([label.to_string()])
            .option("--example", Some((least + 1).to_string()))
    ))
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
            start: clip
                .recording
                .cut()
                .map(|(cut, _)| cut.start.max(0.0) as f32),
            of: clip.recording.cut().map(|(_, of)| of),
            sounds: clip.recording.sounds(),
            why_not: why.map(|why| Explained::new(&why, lesson, learner.support())),
        }
    }

    /// Returns the outcome in words.
    fn sentence(&self) -> String {
        let Self { clip, class, .. } = self;
        match &self.why_not {
            Some(why) if why.reason == "known" => format!("{clip}: known: {}", why.text),
            Some(why) => format!("{clip}: not enrolled: {}", as_called(&why.text)),
            None => {
                let peak = self.peak_db.unwrap_or(f32::NEG_INFINITY);
                let seconds = self.seconds;
                let part = match (self.start, self.of) {
                    (Some(start), Some(of)) if seconds < of - 0.05 => {
                        format!("{seconds:.1} of {of:.1} s, from {start:.1} s on")
                    }
                    _ => format!("{seconds:.2} s"),
                };
                let others = match self.sounds {
                    Some(sounds) if sounds > 1 => format!("; one of {sounds} sounds in it"),
                    _ => String::new(),
                };
                format!("{clip}: enrolled as {class} ({part}, peak {peak:.0} dB{others})")
            }
        }
    }
}
