//! Remembers which model a profile was enrolled under, in a file beside it.

use super::error::ProfileError;
use super::file::MOST_BYTES;
use super::file::{LockedProfile, Profile};
use mtslvr_audio::read_bounded;
use mtslvr_pack::{Engine, ModelSource};
use serde::{Deserialize, Serialize};

/// The model and the engine of a profile, as a user named them. The snapshot holds only the backbone's id:
/// that tells whether the note is right, and the note where the backbone is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackboneNote {
    /// Name of a shipped backbone, or the absolute path of a file or run folder.
    pub model: String,
    /// Name of the engine, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The note that this one replaced, which is right again once the change is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Box<BackboneNote>>,
}

impl BackboneNote {
    /// Describes a model, and the engine if one was named.
    pub fn new(model: String, engine: Option<String>) -> Self {
        Self {
            model,
            engine,
            before: None,
        }
    }

    /// Describes a model as a user chose it, and the engine if one was named.
    pub fn of_choice(model: &ModelSource, engine: Option<Engine>) -> Self {
        let model = match model {
            ModelSource::Path(path) => std::path::absolute(path)
                .unwrap_or_else(|_| path.clone())
                .display()
                .to_string(),
            shipped @ ModelSource::Shipped(_) => shipped.to_string(),
        };
        Self::new(model, engine.map(|engine| engine.name().to_owned()))
    }

    /// Returns this note and the one that it replaced.
    pub fn with_former(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.before.as_deref())
    }

    /// Reads the note beside `profile`; `None` if there is none that can be read: the profile works without
    /// it if its backbone is named.
    pub fn read(profile: &Profile) -> Option<Self> {
        let bytes = read_bounded(&profile.backbone_note(), MOST_BYTES).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Writes it beside a profile, with the note on another backbone that was there.
    ///
    /// # Errors
    /// [`ProfileError::Io`].
    pub fn write(&self, profile: &LockedProfile) -> Result<(), ProfileError> {
        let path = profile.profile().backbone_note();
        let old = Self::read(profile.profile());
        let mut former = old.iter().flat_map(Self::with_former);
        let former = former.find(|note| (&note.model, &note.engine) != (&self.model, &self.engine));
        let note = Self {
            before: former.map(|note| Box::new(Self::new(note.model.clone(), note.engine.clone()))),
            ..self.clone()
        };
        let json = serde_json::to_vec_pretty(&note).expect("strings are JSON");
        profile.profile().write_private(&path, &json)
    }
}
