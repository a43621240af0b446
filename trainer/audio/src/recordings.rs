//! Holds training audio in memory, and groups recordings of the same thing.

use super::samples::Samples;
use super::unlabelled_clip::{Manifest, UnlabelledClip};
use std::collections::BTreeMap;

/// Most things of a kind that [`Recordings::things_by_kind`] gives.
const MOST_THINGS: usize = 128;

/// Most clips of a thing.
const MOST_CLIPS: usize = 4;

/// Decoded recordings at one sample rate.
#[derive(Clone, Debug, Default)]
pub struct Recordings {
    /// Samples of each recording.
    pub clips: Vec<Samples>,
    /// The column `kind` of each recording, empty without one; no entries where there is no manifest.
    pub kinds: Vec<String>,
    /// The column `group` of each recording, its voice, kit or the like, as `kinds`.
    pub sources: Vec<String>,
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
        let (mut clips, mut kinds, mut sources) = (Vec::new(), Vec::new(), Vec::new());
        let mut groups = BTreeMap::new();
        for (index, (clip, samples)) in loaded.into_iter().enumerate() {
            clips.push(samples);
            let kind = clip.kind.unwrap_or_default();
            kinds.push(kind.clone());
            sources.push(clip.group.clone().unwrap_or_default());
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
            sources,
            groups: groups.filter(|group| group.members.len() > 1).collect(),
            manifests,
        }
    }

    /// Returns clips of one thing, by kind: a list of kinds, each a list of things, each a list of its clips.
    /// There are 2 to 4 clips of a thing, of up to `2 length` samples, and at most 128 things of a kind.
    ///
    /// The things of a kind are its groups. Where it has fewer than two, they are its recordings that hold
    /// two windows of `length` samples or more, and the clips are windows that do not overlap.
    pub fn things_by_kind(&self, length: usize) -> Vec<Vec<Vec<Vec<f32>>>> {
        let mut groups: BTreeMap<&str, Vec<&Group>> = BTreeMap::new();
        for group in &self.groups {
            groups.entry(&group.kind).or_default().push(group);
        }
        let mut long: BTreeMap<&str, Vec<&Samples>> = BTreeMap::new();
        for (index, clip) in self.clips.iter().enumerate() {
            let kind = self.kinds.get(index).map_or("", String::as_str);
            if length > 0 && clip.len() >= 2 * length {
                long.entry(kind).or_default().push(clip);
            }
        }
        let grouped = |kind: &str| groups.get(kind).is_some_and(|groups| groups.len() > 1);
        let of_group = |group: &&Group| -> Vec<Vec<f32>> {
            let members = spread(&group.members, MOST_CLIPS);
            members
                .map(|member| self.start(member.clip, length))
                .collect()
        };
        let windows = |clip: &&Samples| -> Vec<Vec<f32>> {
            let count = (clip.len() / length).min(MOST_CLIPS);
            let apart = clip.len() / count;
            (0..count).map(|at| clip.cut(at * apart, length)).collect()
        };
        let from_groups = groups
            .iter()
            .filter(|(kind, _)| grouped(kind))
            .map(|(_, groups)| spread(groups, MOST_THINGS).map(of_group).collect());
        let from_windows = long
            .iter()
            .filter(|(kind, _)| !grouped(kind))
            .map(|(_, clips)| spread(clips, MOST_THINGS).map(windows).collect());
        from_groups.chain(from_windows).collect()
    }

    /// Returns clips of one source (a voice, a kit), by kind, in the form of [`Self::things_by_kind`]. Kinds with
    /// fewer than two sources of two recordings are left out.
    pub fn sources_by_kind(&self, length: usize) -> Vec<Vec<Vec<Vec<f32>>>> {
        let mut kinds: BTreeMap<&str, BTreeMap<&str, Vec<usize>>> = BTreeMap::new();
        let described = self.kinds.iter().zip(&self.sources).enumerate();
        for (clip, (kind, source)) in described.filter(|(_, (_, source))| !source.is_empty()) {
            let sources = kinds.entry(kind).or_default();
            sources.entry(source).or_default().push(clip);
        }
        let several = |clips: &Vec<usize>| clips.len() > 1;
        let repeated = kinds
            .into_values()
            .map(|sources| sources.into_values().filter(several).collect())
            .filter(|sources: &Vec<Vec<usize>>| sources.len() > 1);
        let of_source = |clips: &Vec<usize>| -> Vec<Vec<f32>> {
            let clips = spread(clips, MOST_CLIPS);
            clips.map(|&clip| self.start(clip, length)).collect()
        };
        repeated
            .map(|sources| spread(&sources, MOST_THINGS).map(of_source).collect())
            .collect()
    }

    /// Returns the first `2 length` samples of a recording, or all if it has fewer.
    fn start(&self, clip: usize, length: usize) -> Vec<f32> {
        let clip = &self.clips[clip];
        clip.cut(0, clip.len().min(2 * length))
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

/// Returns up to `most` of `all`, evenly spread.
fn spread<T>(all: &[T], most: usize) -> impl Iterator<Item = &T> {
    all.iter().step_by(all.len().div_ceil(most).max(1))
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
    fn things_are_groups_or_else_windows_of_one_recording() {
        let clip = |len: usize| Samples::from(vec![0.5; len]);
        let member = |clip: usize| Member { clip, source: None };
        let group = |name: &str, clips: &[usize]| Group {
            name: name.into(),
            kind: "word".into(),
            members: clips.iter().copied().map(member).collect(),
        };
        let kinds = [
            "word", "word", "word", "word", "word", "rain", "rain", "rain",
        ];
        let recordings = Recordings {
            clips: [3, 90, 4, 5, 6, 45, 9, 1_000].map(clip).to_vec(),
            kinds: kinds.map(str::to_owned).to_vec(),
            sources: ["a", "b", "a", "b", "", "c", "c", "c"]
                .map(str::to_owned)
                .to_vec(),
            groups: vec![group("yes", &[0, 1]), group("no", &[2, 3, 4])],
            manifests: Vec::new(),
        };
        let lengths = |kinds: &[Vec<Vec<Vec<f32>>>]| -> Vec<Vec<Vec<usize>>> {
            let clips = |clips: &Vec<Vec<f32>>| clips.iter().map(Vec::len).collect();
            let things = |things: &Vec<Vec<Vec<f32>>>| things.iter().map(clips).collect();
            kinds.iter().map(things).collect()
        };
        let words = vec![vec![3, 20], vec![4, 5, 6]];
        let rain = vec![vec![10; 4], vec![10; 4]];
        assert_eq!(lengths(&recordings.things_by_kind(10)), [words, rain]);
        // The rain has one source.
        let voices = vec![vec![3, 4], vec![20, 5]];
        assert_eq!(lengths(&recordings.sources_by_kind(10)), [voices]);
        assert!(Recordings::default().things_by_kind(10).is_empty());
    }

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
