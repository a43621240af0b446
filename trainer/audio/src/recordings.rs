//! Holds training audio in memory, and groups recordings of the same thing.

use super::samples::Samples;
use super::unlabelled_clip::{Manifest, UnlabelledClip};
use std::collections::BTreeMap;

/// Decoded recordings at one sample rate.
#[derive(Clone, Debug, Default)]
pub struct Recordings {
    /// Samples of each recording.
    pub clips: Vec<Samples>,
    /// The column `kind` of each recording, empty without one; no entries where there is no manifest.
    pub kinds: Vec<String>,
    /// Groups of recordings of the same thing, by the column `same` of a manifest. Each group has two
    /// or more; no recording is in two groups.
    pub groups: Vec<Group>,
    /// The manifests that were read.
    pub manifests: Vec<Manifest>,
}

/// Recordings of the same thing: a word by several voices, an instrument on several notes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its value in the column `same`.
    pub name: String,
    /// The column `kind` of its first recording; empty without one.
    pub kind: String,
    /// Its recordings, in their order.
    pub members: Vec<Member>,
}

/// A recording of a [`Group`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Index into [`Recordings::clips`].
    pub clip: usize,
    /// Its voice, kit or the like, which others may share: the column `group`.
    pub source: Option<String>,
}

impl Group {
    /// Returns the members to pair member `first` with: those of another source, or all others if they
    /// share its source.
    pub fn partners(&self, first: usize) -> Vec<usize> {
        let source = &self.members[first].source;
        let others = (0..self.members.len()).filter(|&other| other != first);
        let apart = |other: &usize| source.is_none() || self.members[*other].source != *source;
        let partners: Vec<usize> = others.clone().filter(apart).collect();
        match partners.is_empty() {
            true => others.collect(),
            false => partners,
        }
    }
}

impl Recordings {
    /// Collects loaded recordings: each clip with its samples.
    pub(super) fn new(
        loaded: impl IntoIterator<Item = (UnlabelledClip, Samples)>,
        manifests: Vec<Manifest>,
    ) -> Self {
        let (mut clips, mut kinds) = (Vec::new(), Vec::new());
        let mut groups = BTreeMap::new();
        for (index, (clip, samples)) in loaded.into_iter().enumerate() {
            clips.push(samples);
            let kind = clip.kind.unwrap_or_default();
            kinds.push(kind.clone());
            if let Some((manifest, name)) = clip.same {
                let group = groups.entry((manifest, name.clone()));
                let group = group.or_insert_with(|| Group {
                    name,
                    kind,
                    members: Vec::new(),
                });
                group.members.push(Member {
                    clip: index,
                    source: clip.group,
                });
            }
        }
        let groups = groups.into_values();
        Self {
            clips,
            kinds,
            groups: groups.filter(|group| group.members.len() > 1).collect(),
            manifests,
        }
    }

    /// Returns the number of samples of all recordings together.
    pub fn total_samples(&self) -> usize {
        self.clips.iter().map(Samples::len).sum()
    }

    /// Returns the number of recordings that are in a group.
    pub fn grouped(&self) -> usize {
        self.groups.iter().map(|group| group.members.len()).sum()
    }
}

impl From<Vec<Vec<f32>>> for Recordings {
    /// Collects recordings without any manifest.
    fn from(clips: Vec<Vec<f32>>) -> Self {
        Self {
            clips: clips.into_iter().map(Samples::from).collect(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partners_are_of_another_source_where_there_is_one() {
        let group = |sources: &[&str]| Group {
            name: "hello".into(),
            kind: "word".into(),
            members: sources
                .iter()
                .enumerate()
                .map(|(clip, &source)| Member {
                    clip,
                    source: (!source.is_empty()).then(|| source.to_owned()),
                })
                .collect(),
        };
        let partners = |sources: &[&str]| -> Vec<Vec<usize>> {
            let group = group(sources);
            (0..sources.len())
                .map(|first| group.partners(first))
                .collect()
        };
        assert_eq!(partners(&["a", "b", "a"]), [vec![1], vec![0, 2], vec![1]]);
        assert_eq!(partners(&["a", "a"]), [[1], [0]]);
        assert_eq!(partners(&["", "", "a"]), [[1, 2], [0, 2], [0, 1]]);
    }
}
