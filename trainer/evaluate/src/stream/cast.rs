//! Draws the cast of a stream: the sounds that are enrolled, their examples, and the sounds that are
//! heard.

use crate::controls::LoadedSet;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;

/// Most draws of sides and classes before the sets count as too small.
const DRAWS: usize = 200;

/// Relation of the clips that are heard of an enrolled sound to its examples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Another speaker, kit or recording of the class: no group of an example is heard.
    #[default]
    Other,
    /// Other clips of the examples' own group: the same voice, the same kit.
    Same,
    /// The same recording again, like a bell or a beep; all examples are that recording, too.
    Recording,
}

/// Numbers of sounds in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CastShape {
    /// Clips that are heard of an enrolled sound.
    pub source: Source,
    /// Sounds that are enrolled.
    pub sounds: usize,
    /// Number of examples of each.
    pub shots: usize,
    /// Number of times that each of them is heard.
    pub heard: usize,
    /// Number of other sounds that are heard, in all.
    pub others: usize,
}

/// A clip of one of the sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClipRef {
    /// Index of the set.
    pub set: usize,
    /// Index of the clip in it.
    pub clip: usize,
}

/// The clips of one stream. Enrolled sounds are numbered in the order of [`Self::classes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cast {
    /// The enrolled sounds: index of the set, and of the class in it.
    pub classes: Vec<(usize, usize)>,
    /// The examples of each.
    pub examples: Vec<Vec<ClipRef>>,
    /// Clips that are heard of each, by [`Source`]; too few clips are repeated from the first.
    pub heard: Vec<Vec<ClipRef>>,
    /// Other sounds that are heard: any class but those enrolled and those of the background.
    pub others: Vec<ClipRef>,
}

/// The sets are too small for the stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CastError {
    /// Too few classes can be enrolled.
    #[error(
        "{found} classes have {shots} examples and {} a clip to hear; {sounds} are to be enrolled: give \
         more sets, or lower --sounds or --shots",
        .heard.whereabouts()
    )]
    TooFewClasses {
        /// Classes that can be.
        found: usize,
        /// Enrolled sounds asked for.
        sounds: usize,
        /// Number of examples of each.
        shots: usize,
        /// Clips that are heard of them.
        heard: Source,
    },
    /// The sets have no other sounds beside the enrolled ones.
    #[error("the sets hold no sound beside the enrolled ones and the background: give more sets")]
    NoOthers,
}

impl Cast {
    /// Draws a cast from `sets`. Classes are enrolled from sets for which `enrol` is true, each set
    /// as likely as another; `background` are classes that take no part.
    ///
    /// # Errors
    /// If the sets are too small.
    pub fn draw(
        sets: &[LoadedSet],
        enrol: &[bool],
        background: &[(usize, usize)],
        shape: CastShape,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self, CastError> {
        let mut most = 0;
        for _ in 0..DRAWS {
            let sides: Vec<_> = sets
                .iter()
                .map(|set| Sides::draw(set, shape, rng))
                .collect();
            let mut by_set: Vec<Vec<(usize, usize)>> = (0..sets.len())
                .filter(|set| enrol[*set])
                .map(|set| {
                    let classes = (0..sets[set].classes.len()).map(|class| (set, class));
                    let fits = |&(set, class): &(usize, usize)| {
                        !background.contains(&(set, class))
                            && sides[set].examples[class].len() >= shape.shots
                            && !sides[set].heard[class].is_empty()
                    };
                    let mut classes: Vec<_> = classes.filter(fits).collect();
                    classes.shuffle(rng);
                    classes
                })
                .collect();
            by_set.retain(|classes| !classes.is_empty());
            let found = by_set.iter().map(Vec::len).sum::<usize>();
            most = most.max(found);
            if found < shape.sounds {
                continue;
            }
            let classes = take_in_turn(&mut by_set, shape.sounds, rng);
            let mut cast = Self {
                examples: Vec::new(),
                heard: Vec::new(),
                others: Vec::new(),
                classes,
            };
            for &(set, class) in &cast.classes {
                let refs = |clips: &[usize], count: usize| -> Vec<ClipRef> {
                    let clips = clips.iter().cycle().take(count);
                    clips.map(|&clip| ClipRef { set, clip }).collect()
                };
                cast.examples
                    .push(refs(&sides[set].examples[class], shape.shots));
                cast.heard.push(refs(&sides[set].heard[class], shape.heard));
            }
            cast.others = draw_others(sets, &cast.classes, background, shape.others, rng)?;
            return Ok(cast);
        }
        Err(CastError::TooFewClasses {
            found: most,
            sounds: shape.sounds,
            shots: shape.shots,
            heard: shape.source,
        })
    }
}

impl Source {
    /// Returns its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Other => "another source",
            Self::Same => "the same source",
            Self::Recording => "the same recording",
        }
    }

    /// Says where a clip must be, beside the examples, to be heard.
    fn whereabouts(self) -> &'static str {
        match self {
            Self::Other => "in other groups",
            Self::Same => "in the same group of a manifest.csv",
            Self::Recording => "among them",
        }
    }
}

/// Takes `count` classes: draws a set, then takes its next class; no set comes again before each had a
/// turn.
fn take_in_turn(
    by_set: &mut Vec<Vec<(usize, usize)>>,
    count: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<(usize, usize)> {
    let mut classes = Vec::new();
    while classes.len() < count {
        by_set.shuffle(rng);
        classes.extend(by_set.iter_mut().filter_map(Vec::pop));
        by_set.retain(|left| !left.is_empty());
    }
    classes.truncate(count);
    classes
}

fn draw_others(
    sets: &[LoadedSet],
    enrolled: &[(usize, usize)],
    background: &[(usize, usize)],
    count: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<ClipRef>, CastError> {
    let mut by_set: Vec<Vec<ClipRef>> = Vec::new();
    for (set, loaded) in sets.iter().enumerate() {
        let classes = loaded.candidates.iter().map(|c| (set, c.class)).enumerate();
        let others =
            classes.filter(|(_, class)| !enrolled.contains(class) && !background.contains(class));
        by_set.push(others.map(|(clip, _)| ClipRef { set, clip }).collect());
    }
    by_set.retain(|clips| !clips.is_empty());
    if by_set.is_empty() {
        return Err(CastError::NoOthers);
    }
    let draw = |_| {
        let set = by_set.choose(rng).expect("there are sets");
        *set.choose(rng).expect("none of them is empty")
    };
    Ok((0..count).map(draw).collect())
}

/// Clips of each class of a set that may be examples, and clips that may be heard, in random order.
struct Sides {
    examples: Vec<Vec<usize>>,
    heard: Vec<Vec<usize>>,
}

impl Sides {
    fn draw(set: &LoadedSet, shape: CastShape, rng: &mut ChaCha8Rng) -> Self {
        let mut clips: Vec<usize> = (0..set.clips.len()).collect();
        clips.shuffle(rng);
        match shape.source {
            Source::Other => Self::of_other_groups(set, &clips),
            Source::Same => Self::of_one_group(set, &clips, shape.shots),
            Source::Recording => Self::of_one_clip(set, &clips, shape.shots),
        }
    }

    fn none(set: &LoadedSet) -> Self {
        let none = vec![Vec::new(); set.classes.len()];
        Self {
            examples: none.clone(),
            heard: none,
        }
    }

    /// Puts half of the groups on each side; a clip without a group is a group of its own.
    fn of_other_groups(set: &LoadedSet, clips: &[usize]) -> Self {
        let group = |clip: usize| match &set.candidates[clip].group {
            Some(group) => format!("group {group}"),
            None => format!("clip {clip}"),
        };
        // In order of the shuffled clips: a set's groups are the same on every run.
        let mut seen = HashSet::new();
        let groups: Vec<String> = clips
            .iter()
            .map(|clip| group(*clip))
            .filter(|group| seen.insert(group.clone()))
            .collect();
        let for_examples: HashSet<&String> = groups[..groups.len() / 2].iter().collect();
        let mut sides = Self::none(set);
        for &clip in clips {
            let class = set.candidates[clip].class;
            if for_examples.contains(&group(clip)) {
                sides.examples[class].push(clip);
            } else {
                sides.heard[class].push(clip);
            }
        }
        sides
    }

    /// Takes the first group of each class that has more than `shots` clips: so many are examples, the
    /// others are heard.
    fn of_one_group(set: &LoadedSet, clips: &[usize], shots: usize) -> Self {
        let mut sides = Self::none(set);
        for class in 0..set.classes.len() {
            let of_class = clips.iter().filter(|c| set.candidates[**c].class == class);
            let of_class: Vec<usize> = of_class.copied().collect();
            let of_group = |first: &usize| {
                let group = set.candidates[*first].group.as_ref()?;
                let same = |clip: &usize| set.candidates[*clip].group.as_ref() == Some(group);
                let clips: Vec<usize> = of_class.iter().copied().filter(same).collect();
                (clips.len() > shots).then_some(clips)
            };
            if let Some(mut clips) = of_class.iter().find_map(of_group) {
                sides.heard[class] = clips.split_off(shots);
                sides.examples[class] = clips;
            }
        }
        sides
    }

    /// Takes the first clip of each class, `shots` times as an example and once to be heard.
    fn of_one_clip(set: &LoadedSet, clips: &[usize], shots: usize) -> Self {
        let mut sides = Self::none(set);
        for &clip in clips {
            let class = set.candidates[clip].class;
            if sides.heard[class].is_empty() {
                sides.heard[class].push(clip);
                sides.examples[class] = vec![clip; shots];
            }
        }
        sides
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::Candidate;
    use rand::SeedableRng;

    pub const SHAPE: CastShape = CastShape {
        source: Source::Other,
        sounds: 2,
        shots: 3,
        heard: 4,
        others: 5,
    };

    /// Two sets: one with groups of two clips that every class has, one without.
    pub fn sets() -> Vec<LoadedSet> {
        let set = |name: &str, grouped: bool| {
            let classes = 3;
            let clips: Vec<(usize, usize)> = (0..classes)
                .flat_map(|class| (0..12).map(move |clip| (class, clip)))
                .collect();
            LoadedSet {
                name: name.into(),
                classes: (0..classes).map(|class| format!("class {class}")).collect(),
                candidates: clips
                    .iter()
                    .map(|&(class, clip)| Candidate {
                        class,
                        group: grouped.then(|| format!("speaker {}", clip / 2)),
                    })
                    .collect(),
                clips: clips
                    .iter()
                    .map(|&(class, clip)| vec![0.1 * (class + clip + 1) as f32; 400])
                    .collect(),
            }
        };
        vec![set("spoken", true), set("struck", false)]
    }

    #[test]
    fn no_group_of_an_example_is_heard() {
        let sets = sets();
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let cast = Cast::draw(&sets, &[true, true], &[(1, 0)], SHAPE, &mut rng).unwrap();
            // Each set has its turn, and the background takes no part.
            assert_ne!(cast.classes[0].0, cast.classes[1].0);
            assert!(!cast.classes.contains(&(1, 0)));
            let class_of = |clip: &ClipRef| (clip.set, sets[clip.set].candidates[clip.clip].class);
            let group_of = |clip: &ClipRef| sets[clip.set].candidates[clip.clip].group.clone();
            let sides = cast.examples.iter().zip(&cast.heard);
            for ((examples, heard), class) in sides.zip(&cast.classes) {
                assert_eq!((examples.len(), heard.len()), (3, 4));
                assert!(
                    examples
                        .iter()
                        .chain(heard)
                        .all(|clip| class_of(clip) == *class)
                );
                for clip in heard {
                    assert!(!examples.contains(clip));
                    let group = group_of(clip);
                    let shared = |example: &ClipRef| group.is_some() && group_of(example) == group;
                    assert!(
                        !cast
                            .examples
                            .iter()
                            .flatten()
                            .any(|e| e.set == clip.set && shared(e))
                    );
                }
            }
            assert_eq!(cast.others.len(), 5);
            for other in &cast.others {
                assert!(!cast.classes.contains(&class_of(other)) && class_of(other) != (1, 0));
            }
            let mut again = ChaCha8Rng::seed_from_u64(seed);
            let same = Cast::draw(&sets, &[true, true], &[(1, 0)], SHAPE, &mut again);
            assert_eq!(same.as_ref(), Ok(&cast));
        }
    }

    #[test]
    fn the_same_source_is_heard_again() {
        let sets = sets();
        let shape = CastShape {
            source: Source::Same,
            shots: 1,
            ..SHAPE
        };
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let cast = Cast::draw(&sets, &[true, true], &[], shape, &mut rng).unwrap();
            let sides = cast.examples.iter().zip(&cast.heard);
            for ((examples, heard), class) in sides.zip(&cast.classes) {
                // Speakers have two clips of a class; the other set has no groups.
                assert_eq!((class.0, examples.len(), heard.len()), (0, 1, 4));
                let of = |clip: ClipRef| sets[0].candidates[clip.clip].clone();
                assert!(heard.iter().all(|clip| of(*clip) == of(examples[0])));
                assert!(heard.iter().all(|clip| *clip != examples[0]));
            }
        }
        let shape = CastShape {
            source: Source::Recording,
            ..SHAPE
        };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let cast = Cast::draw(&sets, &[true, true], &[], shape, &mut rng).unwrap();
        for (examples, heard) in cast.examples.iter().zip(&cast.heard) {
            assert_eq!((examples.len(), heard.len()), (3, 4));
            assert!(examples.iter().chain(heard).all(|clip| *clip == heard[0]));
        }
    }

    #[test]
    fn sets_that_are_too_small_are_named() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let shape = CastShape { shots: 12, ..SHAPE };
        let error = Cast::draw(&sets(), &[true, true], &[], shape, &mut rng).unwrap_err();
        let (found, sounds, shots) = (0, 2, 12);
        assert_eq!(
            error,
            CastError::TooFewClasses {
                found,
                sounds,
                shots,
                heard: Source::Other,
            }
        );
        let shape = CastShape { sounds: 3, ..SHAPE };
        let all = [(1, 0), (1, 1), (1, 2)];
        let error = Cast::draw(&sets(), &[true, true], &all, shape, &mut rng).unwrap_err();
        assert_eq!(error, CastError::NoOthers);
    }
}
