//! Which profile and which backbone: what the commands that teach and listen have in common.

use super::backbone::BackboneChoice;
use anyhow::Result;
use mtslvr_listen::profile::{ClipLog, ClipState, Memory, Profile, ProfileError, Snapshot};
use mtslvr_pack::OpenedBackbone;
use mtslvr_runtime::backbone::Backbone;
use mtslvr_runtime::fewshot::Learner;
use mtslvr_runtime::space::BackboneId;
use std::path::{Path, PathBuf};

/// Flattened into the arguments of a subcommand.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ProfileChoice {
    /// The file with what was taught [default: mtslvr/profile.mtss in the user's data folder, which is
    /// XDG_DATA_HOME or ~/.local/share]
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
}

impl ProfileChoice {
    /// The profile that was asked for.
    pub(super) fn profile(&self) -> Result<Profile, ProfileError> {
        Profile::new(self.profile.clone())
    }
}

/// A backbone that was asked for, open.
#[derive(Debug)]
pub(super) struct Chosen {
    /// For messages.
    pub name: String,
    /// Ready to embed.
    pub backbone: OpenedBackbone,
    choice: BackboneChoice,
}

impl Chosen {
    /// Opens the backbone that was asked for.
    pub(super) fn open(choice: &BackboneChoice) -> Result<Self> {
        let file = choice.open()?;
        Ok(Self {
            name: file.name().to_owned(),
            backbone: file.backbone()?,
            choice: choice.clone(),
        })
    }

    fn id(&self) -> BackboneId {
        self.backbone.space().backbone()
    }

    /// Room for a learner of this backbone's embeddings.
    pub(super) fn memory(&self) -> Memory {
        Memory::for_backbone(&self.backbone)
    }

    /// Refuses what was enrolled under another backbone, saying what can be done about it. What holds
    /// no example suits every backbone.
    pub(super) fn check(&self, profile: &Profile, snapshot: &Snapshot) -> Result<(), ProfileError> {
        let header = snapshot.header();
        if header.backbone == self.id() || header.examples == 0 {
            return Ok(());
        }
        let again = self.learning_again(profile, snapshot)?;
        Err(ProfileError::OtherBackbone {
            path: profile.path().to_owned(),
            enrolled_under: Box::new(header.backbone),
            model: self.name.clone(),
            in_use: Box::new(self.id()),
            remedy: format!(
                "{again}, or name the backbone that it was enrolled under (--model, --engine), or \
                 another --profile"
            ),
        })
    }

    /// Refuses the snapshot in `file` if it was enrolled under another backbone.
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

    /// How to learn the examples of a foreign profile again, as far as their clips are kept.
    fn learning_again(
        &self,
        profile: &Profile,
        snapshot: &Snapshot,
    ) -> Result<String, ProfileError> {
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
        let mut command = format!(
            "mtslvr classes reembed --profile {}",
            profile.path().display()
        );
        if let Some(model) = self.choice.model.named() {
            command += &format!(" --model {model}");
        }
        if let Some(engine) = self.choice.engine {
            command += &format!(" --engine {}", engine.name());
        }
        Ok(match kept {
            0 => "none of its clips are kept, so enrol them again in a new profile".to_owned(),
            _ if kept == all => {
                format!(
                    "the clips of all {all} examples are kept: learn them again with `{command}`"
                )
            }
            _ => format!(
                "the clips of {kept} of its {all} examples are kept: learn those again with \
                 `{command} --drop-missing`"
            ),
        })
    }

    /// Makes `learner` hold what the profile holds now: nothing, if there is none.
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
