//! `mtslvr enroll`: recordings become examples of a sound.

mod microphone;

use super::backbone::BackboneChoice;
use super::progress;
use super::taught::{Chosen, ProfileChoice};
use anyhow::{Context, Result, anyhow, bail, ensure};
use mtslvr_audio as audio;
use mtslvr_listen::capture::Capture;
use mtslvr_listen::profile::{
    ClipLog, Explained, Lesson, NotLearnt, Profile, Recording, SourceClip, Subject, decibels, teach,
};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::{ClassId, Learner, Limits};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Teach a sound from one to five recordings of it
///
/// Each recording is checked before it is learnt: whether it is loud, clean and long enough, like the
/// other examples of its sound, and unlike other sounds. What is refused is explained, and the rest
/// is learnt. Recordings are WAV, FLAC, Ogg Vorbis or MP3, or `-` for raw 16-bit PCM on standard
/// input; trim them to the sound, because silence is learnt with it.
///
/// Two classes have no name and are answered "unknown": --negative is for what was taken for one of
/// the sounds and is none, --background for what the place sounds like when nothing happens.
///
/// Exit status: 0 if every recording was learnt or known already; 1 if one was refused, or after an
/// error, which leaves the profile as it was.
#[derive(Debug, clap::Args)]
#[command(override_usage = "mtslvr enroll [OPTIONS] NAME CLIP...\n       \
    mtslvr enroll [OPTIONS] NAME --mic\n       \
    mtslvr enroll [OPTIONS] <--negative|--background> <CLIP...|--mic>")]
pub(super) struct Args {
    /// The sound's name, unless it has none, and recordings of it
    #[arg(value_name = "NAME CLIP")]
    words: Vec<PathBuf>,
    /// Learn the recordings as none of the sounds ("that was not it")
    #[arg(long, conflicts_with = "background")]
    negative: bool,
    /// Learn the recordings as the sound of the place when nothing happens
    #[arg(long)]
    background: bool,
    #[command(flatten)]
    microphone: microphone::MicrophoneChoice,
    /// Learn also what the checks refuse
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    profile: ProfileChoice,
    #[command(flatten)]
    backbone: BackboneChoice,
    /// Print a line of JSON for each recording
    #[arg(long)]
    json: bool,
}

/// A recording with where it came from.
struct Clip {
    label: String,
    source: Option<SourceClip>,
    recording: Recording,
}

/// What became of a recording; `--json` prints it.
#[derive(Debug, Serialize)]
struct Outcome {
    clip: String,
    /// As tables name it.
    class: String,
    learnt: bool,
    seconds: f32,
    /// Of the loudest sample, decibels of full scale; null for silence.
    peak_db: Option<f32>,
    #[serde(flatten)]
    why_not: Option<Explained>,
}

impl Args {
    /// Runs the subcommand.
    pub(super) fn run(self) -> Result<()> {
        let (subject, clips) = self.words()?;
        let lesson = Lesson {
            subject,
            limits: Limits::default(),
            force: self.force,
        };
        let profile = self.profile.profile()?;
        let mut chosen = Chosen::open(&self.backbone)?;
        // Before anyone makes a sound for nothing.
        if let Some(snapshot) = profile.read()? {
            chosen.check(&profile, &snapshot)?;
        }
        let clips = if self.microphone.is_asked_for() {
            self.microphone.record(&mut chosen, subject)?
        } else {
            read(clips, &mut chosen)?
        };
        let (outcomes, examples) = learn(&profile, &chosen, &lesson, &clips)?;
        self.report(&profile, &outcomes, subject, examples)
    }

    /// What the recordings are of, and where they are.
    fn words(&self) -> Result<(Subject<'_>, &[PathBuf])> {
        let nameless = match (self.negative, self.background) {
            (true, _) => Some(Subject::Negatives),
            (_, true) => Some(Subject::Background),
            _ => None,
        };
        let (subject, clips) = match (nameless, self.words.split_first()) {
            (Some(subject), _) => (subject, &self.words[..]),
            (None, Some((name, clips))) => {
                let name = name
                    .to_str()
                    .with_context(|| format!("the name {} is not Unicode", name.display()))?;
                ensure!(
                    name != "-" && !Path::new(name).is_file(),
                    "{name}: the first word is the sound's name, and this is a recording; \
                     expected `mtslvr enroll NAME {name}`"
                );
                (Subject::Sound(name), clips)
            }
            (None, None) => bail!(
                "no name and no recordings; expected `mtslvr enroll NAME CLIP...`, for example \
                 `mtslvr enroll kettle kettle1.wav kettle2.wav`"
            ),
        };
        if self.microphone.is_asked_for() {
            ensure!(
                clips.is_empty(),
                "{}: a recording and --mic; expected one or the other",
                clips[0].display()
            );
        } else {
            ensure!(
                !clips.is_empty(),
                "no recordings of {subject}; name some behind it, or use --mic"
            );
        }
        Ok((subject, clips))
    }

    fn report(
        &self,
        profile: &Profile,
        outcomes: &[Outcome],
        subject: Subject,
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
            writeln!(out, "{subject} has {count} in {}", profile.path().display())?;
        }
        let refused = outcomes
            .iter()
            .filter_map(|outcome| outcome.why_not.as_ref());
        let refused: Vec<_> = refused.filter(|why| why.reason != "known").collect();
        if refused.is_empty() {
            return Ok(());
        }
        let hint = if refused.iter().any(|why| why.can_be_forced()) {
            "; --force learns what the checks refuse"
        } else {
            ""
        };
        bail!(
            "{} of {} recordings not learnt{hint}",
            refused.len(),
            outcomes.len()
        )
    }
}

/// Reads and embeds the recordings; all of them, or an error.
fn read(paths: &[PathBuf], chosen: &mut Chosen) -> Result<Vec<Clip>> {
    let rate = chosen.backbone.space().frontend().sample_rate;
    let bar = progress::files(paths.len() as u64, "listening");
    let clips = paths.iter().map(|path| {
        let piped = path.as_os_str() == "-";
        let (samples, source) = if piped {
            (Capture::pcm(std::io::stdin()).all()?, None)
        } else {
            (audio::load(path, rate)?, SourceClip::of(path).ok())
        };
        let label = if piped {
            "standard input".to_owned()
        } else {
            path.display().to_string()
        };
        let clip = Clip::new(label, source, &samples, chosen);
        bar.inc(1);
        clip
    });
    let clips = clips.collect();
    bar.finish_and_clear();
    clips
}

impl Clip {
    fn new(
        label: String,
        source: Option<SourceClip>,
        samples: &[f32],
        chosen: &mut Chosen,
    ) -> Result<Self> {
        let recording = Recording::new(&mut chosen.backbone, samples)
            .map_err(|error| anyhow!("{label}: {error}"))?;
        Ok(Self {
            label,
            source,
            recording,
        })
    }
}

/// Changes the profile, unless nothing is to be learnt; gives what became of each recording, and how
/// many examples the class has then.
fn learn(
    profile: &Profile,
    chosen: &Chosen,
    lesson: &Lesson,
    clips: &[Clip],
) -> Result<(Vec<Outcome>, usize)> {
    let locked = profile.lock()?;
    let mut memory = chosen.memory();
    let mut learner = memory.learner();
    chosen.restore(profile, &mut learner)?;
    let mut log = ClipLog::read(profile)?;
    log.retain(learner.support());
    let mut outcomes = Vec::new();
    for clip in clips {
        let taught = teach(&mut learner, lesson, &clip.recording)
            .with_context(|| format!("{}: nothing was learnt", clip.label))?;
        if let (Ok(class), Some(source)) = (taught, &clip.source)
            && let Some(example) = learner.support().examples(class).last()
        {
            log.insert(example, source.clone());
        }
        outcomes.push(Outcome::new(clip, lesson, taught, &learner));
    }
    if outcomes.iter().any(|outcome| outcome.learnt) {
        log.write(&locked)?;
        locked.write(&learner)?;
    }
    let class = lesson.subject.find(learner.support());
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
            clip: clip.label.clone(),
            class: lesson.subject.to_string(),
            learnt: taught.is_ok(),
            seconds: clip.recording.seconds(),
            peak_db: (peak > 0.0).then(|| decibels(peak)),
            why_not: why.map(|why| Explained::new(&why, lesson, learner.support())),
        }
    }

    /// For people.
    fn sentence(&self) -> String {
        let Self { clip, class, .. } = self;
        match &self.why_not {
            Some(why) if why.reason == "known" => format!("{clip}: known: {}", why.text),
            Some(why) => format!("{clip}: not learnt: {}", why.text),
            None => {
                let peak = self.peak_db.unwrap_or(f32::NEG_INFINITY);
                let seconds = self.seconds;
                format!("{clip}: learnt as {class} ({seconds:.2} s, peak {peak:.0} dB)")
            }
        }
    }
}
