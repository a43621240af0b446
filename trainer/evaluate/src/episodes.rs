//! Draws few-shot episodes: N classes, K labelled *support* examples of each, and *queries* to
//! classify.
//!
//! Classes and clips are drawn without replacement. Where clips have groups (speaker, player, kit,
//! original recording), an episode keeps every group on one side: no voice that is heard in any
//! class's support is heard in any class's queries. Episode `i` of a seed is the same whatever was
//! drawn before it, so episodes can be drawn in parallel.

use rand::seq::{IndexedRandom, SliceRandom, index};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Most draws of the sides of the groups before other classes are drawn.
const SIDE_DRAWS: usize = 100;
/// Most draws of the classes before the set counts as too small for the episode.
const CLASS_DRAWS: usize = 40;

/// Shape of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpisodeShape {
    /// Classes.
    pub ways: usize,
    /// Support examples of each class.
    pub shots: usize,
    /// At most this many queries of each class; fewer, but at least one, where a class has no more
    /// clips outside the support's groups.
    pub queries: usize,
}

/// Class and group of a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Index of its class.
    pub class: usize,
    /// Speaker, kit or recording; a clip without one is a group of its own.
    pub group: Option<String>,
}

/// One drawn task. Positions in `support` and `queries` are the episode's labels (`0..ways`);
/// values are indices of clips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// The drawn classes; label `l` of the episode is class `classes[l]` of the set.
    pub classes: Vec<usize>,
    /// `ways` lists of `shots` clips.
    pub support: Vec<Vec<usize>>,
    /// `ways` lists of 1 to `queries` clips.
    pub queries: Vec<Vec<usize>>,
}

/// Support and queries: a list of clips for each class.
type Sides = (Vec<Vec<usize>>, Vec<Vec<usize>>);

/// Explains why a set cannot give the episodes asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EpisodeError {
    /// Ways below two, or no shots, or no queries.
    #[error("an episode needs at least 2 ways, 1 shot and 1 query; asked for {} ways, {} shots, {} queries", .0.ways, .0.shots, .0.queries)]
    Shape(EpisodeShape),
    /// A class is too small.
    #[error(
        "set `{set}`: class `{class}` has {found} clips, and {shots} shots need {needed} (one more to ask about): \
         add clips, or lower --shots"
    )]
    TooFewClips {
        /// Name of the set.
        set: String,
        /// Name of the smallest class.
        class: String,
        /// Clips it has.
        found: usize,
        /// Shots asked for.
        shots: usize,
        /// Clips needed.
        needed: usize,
    },
    /// Too few classes for the ways.
    #[error("set `{set}`: {found} classes can be drawn{}, and {ways} ways need {ways}: lower --ways", left_out_clause(.left_out))]
    TooFewClasses {
        /// Name of the set.
        set: String,
        /// Classes that can be drawn.
        found: usize,
        /// Ways asked for.
        ways: usize,
        /// Classes whose clips are all of one group.
        left_out: Vec<String>,
    },
    /// No way was found to keep every group on one side.
    #[error(
        "set `{set}`: with every group on one side of an episode, class `{class}` gave at most {found} support clips, \
         and {shots} are needed with one clip of another group to ask about: lower --shots or --ways, or add groups"
    )]
    GroupsTooFew {
        /// Name of the set.
        set: String,
        /// The class that most often could not be filled.
        class: String,
        /// Most support clips it had.
        found: usize,
        /// Shots asked for.
        shots: usize,
    },
}

fn left_out_clause(left_out: &[String]) -> String {
    if left_out.is_empty() {
        String::new()
    } else {
        format!(
            " ({} left out: all clips of one group)",
            left_out.join(", ")
        )
    }
}

/// Draws episodes from one labelled set.
#[derive(Clone, Debug)]
pub struct EpisodeSampler {
    set: String,
    class_names: Vec<String>,
    shape: EpisodeShape,
    seed: u64,
    /// Classes that can be drawn, in the set's order.
    drawable: Vec<usize>,
    left_out: Vec<usize>,
    /// Per class of the set: (clip, group number).
    members: Vec<Vec<(usize, usize)>>,
}

impl EpisodeSampler {
    /// Prepares to draw episodes of `shape` from `clips`, whose classes index `class_names`.
    ///
    /// A class whose clips are all of one group cannot be on both sides; such classes are left out
    /// ([`Self::left_out`]).
    ///
    /// # Errors
    /// If a class has too few clips for the shots, or too few classes can be drawn.
    pub fn new(
        set: &str,
        class_names: &[String],
        clips: &[Candidate],
        shape: EpisodeShape,
        seed: u64,
    ) -> Result<Self, EpisodeError> {
        if shape.ways < 2 || shape.shots == 0 || shape.queries == 0 {
            return Err(EpisodeError::Shape(shape));
        }
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut next_group = 0;
        let mut members = vec![Vec::new(); class_names.len()];
        for (clip, candidate) in clips.iter().enumerate() {
            let mut fresh = || {
                next_group += 1;
                next_group - 1
            };
            let group = match &candidate.group {
                Some(name) => *numbers.entry(name).or_insert_with(fresh),
                None => fresh(),
            };
            members[candidate.class].push((clip, group));
        }
        let needed = shape.shots + 1;
        if let Some((class, clips)) = members.iter().enumerate().min_by_key(|(_, m)| m.len())
            && clips.len() < needed
        {
            return Err(EpisodeError::TooFewClips {
                set: set.to_owned(),
                class: class_names[class].clone(),
                found: clips.len(),
                shots: shape.shots,
                needed,
            });
        }
        let (drawable, left_out): (Vec<usize>, Vec<usize>) =
            (0..members.len()).partition(|&c| members[c].iter().any(|m| m.1 != members[c][0].1));
        let name = |&c: &usize| class_names[c].clone();
        if drawable.len() < shape.ways {
            return Err(EpisodeError::TooFewClasses {
                set: set.to_owned(),
                found: drawable.len(),
                ways: shape.ways,
                left_out: left_out.iter().map(name).collect(),
            });
        }
        Ok(Self {
            set: set.to_owned(),
            class_names: class_names.to_vec(),
            shape,
            seed,
            drawable,
            left_out,
            members,
        })
    }

    /// Returns the classes that episodes are drawn from, as indices into the set's classes.
    pub fn drawable(&self) -> &[usize] {
        &self.drawable
    }

    /// Returns the names of the classes that no episode can hold, because all their clips are of one
    /// group.
    pub fn left_out(&self) -> Vec<String> {
        self.left_out
            .iter()
            .map(|&c| self.class_names[c].clone())
            .collect()
    }

    /// Returns the number of clips of the classes that episodes are drawn from.
    pub fn clips(&self) -> usize {
        self.drawable.iter().map(|&c| self.members[c].len()).sum()
    }

    /// Draws episode number `task`.
    ///
    /// # Errors
    /// If no division of the groups was found that leaves each class its support and a query.
    pub fn episode(&self, task: u64) -> Result<Episode, EpisodeError> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(task);
        // Per class that failed: how often, and the most support clips it had.
        let mut failures: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        for _ in 0..CLASS_DRAWS {
            let classes: Vec<usize> = self
                .drawable
                .sample(&mut rng, self.shape.ways)
                .copied()
                .collect();
            let shared = self.shared_groups(&classes);
            for _ in 0..SIDE_DRAWS {
                match self.draw_clips(&classes, &shared, &mut rng) {
                    Ok((support, queries)) => {
                        return Ok(Episode {
                            classes,
                            support,
                            queries,
                        });
                    }
                    Err((class, found)) => {
                        let failure = failures.entry(class).or_default();
                        *failure = (failure.0 + 1, failure.1.max(found));
                    }
                }
            }
        }
        let (class, (_, found)) = failures
            .into_iter()
            .max_by_key(|(_, (count, _))| *count)
            .expect("every draw that did not return has failed at a class");
        Err(EpisodeError::GroupsTooFew {
            set: self.set.clone(),
            class: self.class_names[class].clone(),
            found: found.min(self.shape.shots),
            shots: self.shape.shots,
        })
    }

    /// Returns the groups that more than one of `classes` has clips of, in the order of their first
    /// clip.
    fn shared_groups(&self, classes: &[usize]) -> Vec<usize> {
        let mut first_class: HashMap<usize, usize> = HashMap::new();
        let mut shared = Vec::new();
        for &class in classes {
            for &(_, group) in &self.members[class] {
                if *first_class.entry(group).or_insert(class) != class && !shared.contains(&group) {
                    shared.push(group);
                }
            }
        }
        shared
    }

    /// Draws the clips of `classes`. Each shared group goes to a side by a fair coin before any
    /// clip is drawn; a group of one class alone goes where that class needs it.
    ///
    /// On failure, returns the class that could not be filled, and the number of support clips it had.
    fn draw_clips(
        &self,
        classes: &[usize],
        shared: &[usize],
        rng: &mut ChaCha8Rng,
    ) -> Result<Sides, (usize, usize)> {
        let supporting: HashMap<usize, bool> =
            shared.iter().map(|&g| (g, rng.random_bool(0.5))).collect();
        let mut support = Vec::with_capacity(classes.len());
        let mut queries = Vec::with_capacity(classes.len());
        for &class in classes {
            let mut clips = self.members[class].clone();
            clips.shuffle(rng);
            let mut sides = supporting.clone();
            let available = |sides: &HashMap<usize, bool>, side: bool| -> Vec<usize> {
                let on_side = |m: &&(usize, usize)| sides.get(&m.1).copied() == Some(side);
                clips.iter().filter(on_side).map(|m| m.0).collect()
            };
            // Whole groups join the support in the order in which the shuffled clips name them,
            // which makes the first one's chance proportional to its clips.
            let mut pool = available(&sides, true);
            for &(_, group) in &clips {
                if pool.len() >= self.shape.shots {
                    break;
                }
                if let std::collections::hash_map::Entry::Vacant(side) = sides.entry(group) {
                    side.insert(true);
                    pool = available(&sides, true);
                }
            }
            for &(_, group) in &clips {
                sides.entry(group).or_insert(false);
            }
            let query_pool = available(&sides, false);
            if pool.len() < self.shape.shots || query_pool.is_empty() {
                // A support that took every group leaves no query, so it counts as too short.
                let found = if query_pool.is_empty() {
                    self.shape.shots - 1
                } else {
                    pool.len()
                };
                return Err((class, found));
            }
            let drawn = index::sample(rng, pool.len(), self.shape.shots);
            support.push(drawn.iter().map(|i| pool[i]).collect());
            let asked = self.shape.queries.min(query_pool.len());
            let drawn = index::sample(rng, query_pool.len(), asked);
            queries.push(drawn.iter().map(|i| query_pool[i]).collect());
        }
        Ok((support, queries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn names(classes: usize) -> Vec<String> {
        (0..classes).map(|c| format!("class-{c}")).collect()
    }

    fn clip(class: usize, group: impl Into<Option<usize>>) -> Candidate {
        let group = group.into().map(|g| format!("g{g}"));
        Candidate { class, group }
    }

    /// Every speaker says every digit: the shape of fsdd.
    fn crossed(classes: usize, groups: usize, each: usize) -> Vec<Candidate> {
        (0..classes)
            .flat_map(|c| (0..groups).flat_map(move |g| (0..each).map(move |_| clip(c, g))))
            .collect()
    }

    const FIVE_WAY: EpisodeShape = EpisodeShape {
        ways: 5,
        shots: 1,
        queries: 5,
    };

    fn check(episode: &Episode, clips: &[Candidate], shape: EpisodeShape) {
        let distinct: HashSet<_> = episode.classes.iter().collect();
        assert_eq!(distinct.len(), shape.ways);
        let mut seen = HashSet::new();
        let mut support_groups = HashSet::new();
        for (label, support) in episode.support.iter().enumerate() {
            assert_eq!(support.len(), shape.shots);
            for &i in support {
                assert_eq!(clips[i].class, episode.classes[label]);
                assert!(seen.insert(i), "a clip was drawn twice");
                support_groups.extend(clips[i].group.clone());
            }
        }
        for (label, queries) in episode.queries.iter().enumerate() {
            assert!((1..=shape.queries).contains(&queries.len()));
            for &i in queries {
                assert_eq!(clips[i].class, episode.classes[label]);
                assert!(seen.insert(i), "a clip was drawn twice");
                if let Some(group) = &clips[i].group {
                    assert!(!support_groups.contains(group), "a group is on both sides");
                }
            }
        }
    }

    #[test]
    fn few_groups_in_every_class_work() {
        for shots in [1, 5, 10] {
            let shape = EpisodeShape { shots, ..FIVE_WAY };
            let clips = crossed(10, 6, 17);
            let sampler = EpisodeSampler::new("digits", &names(10), &clips, shape, 1).unwrap();
            for task in 0..50 {
                check(&sampler.episode(task).unwrap(), &clips, shape);
            }
        }
    }

    #[test]
    fn a_class_with_two_groups_exactly_filled_works() {
        let clips = crossed(5, 2, 5);
        let shape = EpisodeShape {
            shots: 5,
            ..FIVE_WAY
        };
        let sampler = EpisodeSampler::new("pairs", &names(5), &clips, shape, 1).unwrap();
        check(&sampler.episode(0).unwrap(), &clips, shape);
    }

    #[test]
    fn every_clip_is_drawn_equally_often_where_groups_do_not_bind() {
        let clips: Vec<_> = (0..60).map(|i| clip(i % 6, None)).collect();
        let sampler = EpisodeSampler::new("plain", &names(6), &clips, FIVE_WAY, 3).unwrap();
        let mut drawn = vec![0usize; clips.len()];
        for task in 0..3000 {
            for i in sampler.episode(task).unwrap().support.concat() {
                drawn[i] += 1;
            }
        }
        // 3000 tasks x 5 supports / 60 clips = 250 expected; sd below 16.
        assert!(drawn.iter().all(|&n| (180..320).contains(&n)), "{drawn:?}");
    }

    #[test]
    fn the_seed_decides() {
        let clips = crossed(10, 6, 3);
        let at = |seed, task| {
            let sampler =
                EpisodeSampler::new("digits", &names(10), &clips, FIVE_WAY, seed).unwrap();
            sampler.episode(task).unwrap()
        };
        assert_eq!(at(1, 7), at(1, 7));
        assert_ne!(at(1, 7), at(1, 8));
        assert_ne!(at(1, 7), at(2, 7));
    }

    #[test]
    fn too_few_clips_names_set_class_and_counts() {
        let mut clips = crossed(5, 6, 1);
        clips.retain(|c| c.class != 2 || c.group.as_deref() < Some("g3"));
        let shape = EpisodeShape {
            shots: 4,
            ..FIVE_WAY
        };
        let error = EpisodeSampler::new("kits", &names(5), &clips, shape, 1).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("`kits`") && text.contains("`class-2` has 3 clips"),
            "{text}"
        );
        assert!(text.contains("4 shots need 5"), "{text}");
    }

    #[test]
    fn a_class_of_one_group_is_left_out() {
        let mut clips = crossed(6, 3, 4);
        clips.retain(|c| c.class != 4 || c.group.as_deref() == Some("g0"));
        let sampler = EpisodeSampler::new("kits", &names(6), &clips, FIVE_WAY, 1).unwrap();
        assert_eq!(sampler.left_out(), ["class-4"]);
        assert!((0..50).all(|t| !sampler.episode(t).unwrap().classes.contains(&4)));
        clips.retain(|c| c.class != 3 || c.group.as_deref() == Some("g1"));
        let error = EpisodeSampler::new("kits", &names(6), &clips, FIVE_WAY, 1).unwrap_err();
        assert!(
            error.to_string().contains("class-3, class-4 left out"),
            "{error}"
        );
    }

    #[test]
    fn groups_that_cannot_be_divided_are_an_error() {
        // In opposite proportions: 4 shots of class 0 need g1 in the support, those of class 1 g0.
        let clips = [
            vec![clip(0, 1); 4],
            vec![clip(0, 0), clip(1, 1)],
            vec![clip(1, 0); 4],
        ]
        .concat();
        let shape = EpisodeShape {
            ways: 2,
            shots: 4,
            queries: 1,
        };
        let sampler = EpisodeSampler::new("kits", &names(2), &clips, shape, 1).unwrap();
        let error = sampler.episode(0).unwrap_err();
        assert!(matches!(error, EpisodeError::GroupsTooFew { .. }));
        assert!(error.to_string().contains("`kits`"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn groups_stay_on_one_side(
            clips in prop::collection::vec((0usize..7, prop::option::of(0usize..9)), 60..140),
            ways in 2usize..5, shots in 1usize..4, queries in 1usize..7, seed: u64, task in 0u64..100,
        ) {
            let clips: Vec<_> = clips.into_iter().map(|(c, g)| clip(c, g)).collect();
            let shape = EpisodeShape { ways, shots, queries };
            if let Ok(sampler) = EpisodeSampler::new("random", &names(7), &clips, shape, seed) {
                check(&sampler.episode(task).unwrap(), &clips, shape);
            }
        }
    }
}
