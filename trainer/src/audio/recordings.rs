//! Training audio in memory, and which recordings are of one thing.

use super::samples::Samples;
use super::unlabelled::{Manifest, UnlabelledClip};
use std::collections::BTreeMap;

/// Decoded recordings at one sample rate.
#[derive(Clone, Debug, Default)]
pub struct Recordings {
    /// Samples of each recording.
    pub clips: Vec<Samples>,
    /// Recordings of one thing, by the column `same` of a manifest: two or more in each group, and
    /// every recording in one group at most.
    pub groups: Vec<Group>,
    /// The manifests that were read.
    pub manifests: Vec<Manifest>,
}

/// Recordings of one thing: a word by several voices, an instrument on several notes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its value in the column `same`.
    pub name: String,
    /// The column `kind` of its first recording; empty without one.
    pub kind: String,
    /// Indices into [`Recordings::clips`], rising.
    pub members: Vec<usize>,
}

impl Recordings {
    /// Puts what was loaded together: each clip with its samples.
    pub(super) fn new(
        loaded: impl IntoIterator<Item = (UnlabelledClip, Samples)>,
        manifests: Vec<Manifest>,
    ) -> Self {
        let (mut clips, mut groups) = (Vec::new(), BTreeMap::new());
        for (index, (clip, samples)) in loaded.into_iter().enumerate() {
            clips.push(samples);
            if let Some((manifest, name)) = clip.same {
                let group = groups.entry((manifest, name.clone()));
                let group = group.or_insert_with(|| Group {
                    name,
                    kind: clip.kind.unwrap_or_default(),
                    members: Vec::new(),
                });
                group.members.push(index);
            }
        }
        let groups = groups.into_values();
        Self {
            clips,
            groups: groups.filter(|group| group.members.len() > 1).collect(),
            manifests,
        }
    }

    /// Samples of all recordings together.
    pub fn total_samples(&self) -> usize {
        self.clips.iter().map(Samples::len).sum()
    }

    /// Number of recordings that are in a group.
    pub fn grouped(&self) -> usize {
        self.groups.iter().map(|group| group.members.len()).sum()
    }
}

impl From<Vec<Vec<f32>>> for Recordings {
    /// Recordings that nothing is known of.
    fn from(clips: Vec<Vec<f32>>) -> Self {
        Self {
            clips: clips.into_iter().map(Samples::from).collect(),
            ..Self::default()
        }
    }
}
