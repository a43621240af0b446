//! The profile and the backbone of the commands that enrol and listen, and whether they fit together.

use super::backbone::{BackboneChoice, EngineChoice, ModelChoice, ProfileBackboneChoice};
use super::command_line::CommandLine;
use anyhow::Result;
use clap::ValueEnum;
use mtslvr_listen::profile::{
    BackboneNote, ClipLog, ClipState, Memory, Profile, ProfileError, Snapshot,
};
use mtslvr_pack::{Engine, ModelSource, OpenedBackbone};
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::Learner;
use mtslvr_runtime::space::BackboneId;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The option `--profile`, flattened into the arguments of a subcommand.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ProfileChoice {
    /// Profile to use [default: mtslvr/profile.mtss in your data folder]
    ///
    /// A profile is the file with the classes that you enrolled. Your data folder is $XDG_DATA_HOME or
    /// ~/.local/share, ~/Library/Application Support on macOS, %LOCALAPPDATA% on Windows.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
}

impl ProfileChoice {
    /// Returns the profile that was asked for.
    pub(super) fn profile(&self) -> Result<Profile, ProfileError> {
        Profile::new(self.profile.clone())
    }
}

/// The backbone that a command uses, open, beside the options that it was chosen with.
#[derive(Debug)]
pub(super) struct BackboneInUse {
    /// Name for messages.
    pub(super) name: String,
    /// The backbone, ready to embed.
    pub(super) engine: OpenedBackbone,
    choice: BackboneChoice,
}

impl BackboneInUse {
    /// Opens the backbone that was asked for.
    pub(super) fn open(choice: &BackboneChoice) -> Result<Self> {
        let file = choice.open()?;
        Ok(Self {
            name: file.name().to_owned(),
            engine: file.backbone()?,
            choice: choice.clone(),
        })
    }

    /// Opens the backbone that was asked for, or else the one that `profile` was enrolled under, if that is
    /// known: a shipped backbone, or one that was named when it was enrolled. Otherwise the default.
    ///
    /// # Errors
    /// If the profile or the backbone cannot be read.
    pub(super) fn open_for(choice: &ProfileBackboneChoice, profile: &Profile) -> Result<Self> {
        let choice = &choice.asked;
        let snapshot = match choice.model.named() {
            Some(_) => None,
            None => profile.read()?,
        };
        let id = snapshot.map(|snapshot| snapshot.header().backbone);
        Self::open_known(choice, id, &[profile])
    }

    /// Opens the backbone that was asked for, or else the one that `snapshot` was enrolled under, if a note beside one
    /// of `profiles` names it or it is a shipped one. Otherwise the default.
    ///
    /// # Errors
    /// If the backbone cannot be read.
    pub(super) fn open_for_import(
        choice: &ProfileBackboneChoice,
        snapshot: &Snapshot,
        profiles: &[&Profile],
    ) -> Result<Self> {
        let choice = &choice.asked;
        let id = match choice.model.named() {
            Some(_) => None,
            None => Some(snapshot.header().backbone),
        };
        Self::open_known(choice, id, profiles)
    }

    /// Opens the backbone with this id, in the engine that was asked for, if it is known; otherwise `choice`.
    fn open_known(
        choice: &BackboneChoice,
        id: Option<BackboneId>,
        profiles: &[&Profile],
    ) -> Result<Self> {
        match id.and_then(|id| Self::with_id(id, profiles)) {
            Some(own) if choice.engine.engine.is_some() => Self::open(&BackboneChoice {
                model: own.choice.model,
                engine: choice.engine,
            }),
            Some(own) => Ok(own),
            None => Self::open(choice),
        }
    }

    /// Returns the backbone with this id, if it is one that the note beside one of `profiles` names, or a shipped one.
    fn with_id(id: BackboneId, profiles: &[&Profile]) -> Option<Self> {
        let notes = profiles
            .iter()
            .filter_map(|profile| BackboneNote::read(profile));
        let notes: Vec<BackboneNote> = notes.collect();
        let noted = notes.iter().flat_map(BackboneNote::with_former);
        let noted = noted.map(|note| BackboneChoice {
            model: ModelChoice::of(ModelSource::from(OsString::from(&note.model))),
            engine: EngineChoice {
                engine: note
                    .engine
                    .as_ref()
                    .and_then(|name| Engine::from_str(name, true).ok()),
            },
        });
        let shipped = ModelSource::all_shipped()
            .into_iter()
            .map(|model| BackboneChoice {
                model: ModelChoice::of(model),
                engine: EngineChoice::default(),
            });
        let mut opened = noted.chain(shipped).filter_map(|c| Self::open(&c).ok());
        opened.find(|backbone| backbone.id() == id)
    }

    /// Returns the note to keep beside a profile that is enrolled under this backbone.
    pub(super) fn note(&self) -> BackboneNote {
        BackboneNote::of_choice(&self.choice.model.source(), self.choice.engine.engine)
    }

    /// Returns the name of the model that `profile` belongs to, if that is known.
    pub(super) fn name_for(id: BackboneId, profile: &Profile) -> Option<String> {
        Self::with_id(id, &[profile]).map(|backbone| backbone.note().model)
    }

    fn id(&self) -> BackboneId {
        self.engine.space().backbone()
    }

    /// Returns the rate at which it takes samples, Hz.
    pub(super) fn sample_rate(&self) -> u32 {
        self.engine.space().frontend().sample_rate
    }

    /// Returns room for a learner of its embeddings.
    pub(super) fn memory(&self) -> Memory {
        Memory::for_backbone(&self.engine)
    }

    /// Refuses a profile that was enrolled under another backbone. A profile without examples fits
    /// every backbone.
    ///
    /// # Errors
    /// [`ProfileError::OtherBackbone`], with the commands that help.
    pub(super) fn check(&self, profile: &Profile, snapshot: &Snapshot) -> Result<(), ProfileError> {
        let header = snapshot.header();
        if header.backbone == self.id() || header.examples == 0 {
            return Ok(());
        }
        let remedy = self.reembedding(profile, snapshot)?;
        let own = match Self::name_for(header.backbone, profile) {
            Some(name) => format!("give --model {name}"),
            None => "name the backbone that it was enrolled under (--model, --engine)".to_owned(),
        };
        Err(ProfileError::OtherBackbone {
            path: profile.path().to_owned(),
            enrolled_under: Box::new(header.backbone),
            model: self.name.clone(),
            in_use: Box::new(self.id()),
            remedy: format!("{remedy}, or {own}, or another --profile"),
        })
    }

    /// Refuses the snapshot in `file` if it was enrolled under another backbone.
    ///
    /// # Errors
    /// [`ProfileError::OtherBackbone`].
    pub(super) fn check_import(
        &self,
        snapshot: &Snapshot,
        file: &Path,
    ) -> Result<(), ProfileError> {
        let header = snapshot.header();
        if header.backbone == self.id() {
            return Ok(());
        }
        Err(ProfileError::OtherBackbone {
            path: file.to_owned(),
            enrolled_under: Box::new(header.backbone),
            model: self.name.clone(),
            in_use: Box::new(self.id()),
            remedy: "name the backbone that it was enrolled under (--model, --engine)".to_owned(),
        })
    }

    /// Says how to take a profile of another backbone to this one, as far as its clips are kept.
    fn reembedding(&self, profile: &Profile, snapshot: &Snapshot) -> Result<String, ProfileError> {
        let mut memory = Memory::for_snapshot(&snapshot.header());
        let mut learner = memory.learner();
        snapshot.restore(&mut learner)?;
        let log = ClipLog::read(profile)?;
        let classes = learner.support().classes().iter();
        let examples = classes.flat_map(|class| learner.support().examples(class.id()));
        let kept = examples.filter(|example| {
            let clip = log.get(example);
            clip.is_some_and(|clip| clip.state() == ClipState::Kept)
        });
        let (kept, all) = (kept.count(), snapshot.header().examples);
        let command = CommandLine::new(&["classes", "reembed"])
            .option("--profile", Some(profile.path()))
            .option(
                "--model",
                self.choice.model.named().map(ToString::to_string),
            )
            .option(
                "--engine",
                self.choice.engine.engine.map(mtslvr_pack::Engine::name),
            );
        Ok(match kept {
            0 => {
                "none of its clips are kept, so enrol the sounds again in a new profile".to_owned()
            }
            _ if kept == all => format!(
                "the clips of all {all} examples are kept: embed them again with `{command}`"
            ),
            _ => format!(
                "the clips of {kept} of its {all} examples are kept: embed those again with `{}`",
                command.flag("--drop-missing", true)
            ),
        })
    }

    /// Fills `learner` with the profile as it is now, and leaves it as it is if there is no file.
    pub(super) fn restore(
        &self,
        profile: &Profile,
        learner: &mut Learner,
    ) -> Result<(), ProfileError> {
        let Some(snapshot) = profile.read()? else {
            return Ok(());
        };
        self.check(profile, &snapshot)?;
        let header = snapshot.header();
        if header.examples > 0 || header.backbone == self.id() {
            snapshot.restore(learner)?;
        }
        Ok(())
    }
}
