use super::*;
use crate::fewshot::{Class, Reference, Storage, Strangers};
use crate::model::Cohort;
use crate::space::test_space::space;
use proptest::prelude::*;

type Small = Storage<4, 8, 4>;

const MEAN: [f32; 4] = [0.1; 4];
/// Of sounds that are never quite unalike, so that all parts of the calibration count.
const LIKENESS: Reference = Reference::assumed(0.4);
const KINDS: [HeadKind; 3] = [
    HeadKind::NearestMean,
    HeadKind::Ridge { lambda: 0.3 },
    HeadKind::Logistic { c: 3.0 },
];

fn learner(storage: &mut Small, kind: HeadKind) -> Learner<'_> {
    let space = space(&[2, 2], &MEAN, Reference::assumed(0.0));
    Learner::new(storage.lend(), kind, space).unwrap()
}

fn embedding(seed: u32) -> [f32; 4] {
    [1.0, 2.0, 3.0, 4.0].map(|k: f32| (k * (seed as f32 + 0.7)).sin())
}

/// All that answers depend on.
fn bits(learner: &mut Learner) -> Option<Vec<u32>> {
    let mut scratch = vec![f32::NAN; learner.scratch_len()];
    learner.fit(&mut scratch).ok()?;
    let (duals, biases) = learner.head().unwrap();
    let classes = biases.len();
    let lengths = &learner.head.lengths[..classes];
    let mut values: Vec<f32> = duals.iter().chain(biases).chain(lengths).copied().collect();
    for strangers in [Strangers::Unrelated, Strangers::Related] {
        let calibration = Calibration {
            strangers,
            ..Calibration::default()
        };
        for scores in &learner.head.scores[..classes] {
            let strangers = learner.strangers();
            values.push(strangers.threshold(scores, &LIKENESS, calibration));
        }
    }
    Some(values.iter().map(|v| v.to_bits()).collect())
}

/// A step of a user's life with a device.
#[derive(Clone, Debug)]
enum Step {
    Enrol(usize, u32),
    EnrolRole(Role, u32),
    Remove(usize),
    RemoveExample(usize, usize),
    Rename(usize, usize),
    Enable(usize, bool),
    Threshold(usize, Option<f32>),
    Clear,
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn take(learner: &mut Learner, step: &Step) {
    let support = learner.support_mut();
    // Where there is no class, no class has this id.
    let ids: Vec<ClassId> = support.classes().iter().map(Class::id).collect();
    let id = |place: usize| ids.get(place).copied().unwrap_or(ClassId::new(60_000));
    // Steps that are refused change nothing.
    let _ = match *step {
        Step::Enrol(name, seed) => learner.enrol(NAMES[name], &embedding(seed)).is_ok(),
        Step::EnrolRole(role, seed) => learner.enrol_role(role, &embedding(seed)).is_ok(),
        Step::Remove(class) => support.remove(id(class)).is_ok(),
        Step::RemoveExample(class, example) => support.remove_example(id(class), example).is_ok(),
        Step::Rename(class, name) => support.rename(id(class), NAMES[name]).is_ok(),
        Step::Enable(class, enabled) => support.set_enabled(id(class), enabled).is_ok(),
        Step::Threshold(class, threshold) => support.set_threshold(id(class), threshold).is_ok(),
        Step::Clear => {
            support.clear();
            true
        }
    };
}

/// A set with the same content, built in order.
fn rebuilt<'b>(from: &SupportSet, storage: &'b mut Small, only_enabled: bool) -> Learner<'b> {
    let mut learner = learner(storage, HeadKind::default());
    let to = learner.support_mut();
    for class in from.classes() {
        if only_enabled && !class.is_enabled() {
            continue;
        }
        let mut made = None;
        for example in from.examples(class.id()) {
            let enrolled = match class.role() {
                Role::Sound => to.enrol(class.name(), example),
                role => to.enrol_role(role, example),
            };
            made = Some(enrolled.unwrap());
        }
        let made = made.unwrap();
        to.set_enabled(made, class.is_enabled()).unwrap();
        to.set_threshold(made, class.threshold()).unwrap();
    }
    learner
}

/// Everything about a set but the ids of its classes.
fn content(set: &SupportSet) -> (Option<f32>, Vec<Class>, Vec<i8>) {
    let anonymous = |class: &Class| Class {
        id: ClassId::new(0),
        ..class.clone()
    };
    let classes = set.classes().iter().map(anonymous).collect();
    (
        set.default_threshold(),
        classes,
        set.all_examples().to_vec(),
    )
}

fn step() -> impl Strategy<Value = Step> {
    let role = prop_oneof![Just(Role::Negatives), Just(Role::Background)];
    prop_oneof![
        6 => (0..5_usize, 0..50_u32).prop_map(|(name, seed)| Step::Enrol(name, seed)),
        1 => (role, 0..50_u32).prop_map(|(role, seed)| Step::EnrolRole(role, seed)),
        1 => (0..5_usize).prop_map(Step::Remove),
        1 => (0..5_usize, 0..3_usize).prop_map(|(class, i)| Step::RemoveExample(class, i)),
        1 => (0..5_usize, 0..5_usize).prop_map(|(class, name)| Step::Rename(class, name)),
        1 => (0..5_usize, any::<bool>()).prop_map(|(class, on)| Step::Enable(class, on)),
        1 => (0..5_usize, prop::option::of(-1.0..1.0_f32)).prop_map(|(c, t)| Step::Threshold(c, t)),
        1 => Just(Step::Clear),
    ]
}

/// Directions of ordinary sounds, of [`Small`]'s dimensions.
const ORDINARY: [i8; 8] = [127, 20, 127, -30, -90, 127, 127, 127];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    /// After any script, what is there equals what is built from it afresh, to the bit; and what is
    /// disabled counts as little as what was never there.
    #[test]
    fn only_what_is_there_counts(
        steps in prop::collection::vec(step(), 0..40),
        shares in prop_oneof![Just(Shares::Packed), Just(Shares::Task)],
    ) {
        let [mut a, mut b, mut c] = [const { Small::new() }; 3];
        let mut lived = learner(&mut a, HeadKind::default());
        lived.set_shares(shares);
        for step in &steps {
            take(&mut lived, step);
            // A fit on the way leaves no trace either.
            let _ = bits(&mut lived);
        }
        let mut afresh = rebuilt(lived.support(), &mut b, false);
        afresh.set_shares(shares);
        prop_assert_eq!(content(lived.support()), content(afresh.support()));
        let expected = bits(&mut lived);
        prop_assert_eq!(&bits(&mut afresh), &expected);
        let mut enabled = rebuilt(lived.support(), &mut c, true);
        enabled.set_shares(shares);
        prop_assert_eq!(&bits(&mut enabled), &expected);
    }

    /// A cohort lowers the similarity by how ordinary the query is, and changes no score.
    #[test]
    fn a_cohort_lowers_the_similarity(
        seeds in prop::collection::vec(0_u32..50, 1..7),
        query in 50_u32..90,
    ) {
        let plain = space(&[2, 2], &MEAN, LIKENESS);
        let cohort = Cohort::new(&ORDINARY, 4);
        let with = plain.with_cohort(cohort).unwrap();
        let query = embedding(query);
        let [mut a, mut b] = [const { Small::new() }; 2];
        let [mut without, mut with] = [(&mut a, plain), (&mut b, with)].map(|(room, space)| {
            let mut learner = Learner::new(room.lend(), HeadKind::default(), space).unwrap();
            for (name, seed) in NAMES.iter().cycle().take(4).zip(&seeds) {
                learner.enrol(name, &embedding(*seed)).unwrap();
            }
            learner.fit(&mut [0.0; 200]).unwrap();
            learner
        });
        let [mut one, mut other] = [[0.0; 4]; 2];
        let plain = without.classify(&query, &mut one).unwrap();
        let lowered = with.classify(&query, &mut other).unwrap();
        prop_assert_eq!(plain.scores, lowered.scores);
        let mut values = [0; 4];
        direction(&query, &MEAN, without.space().parts(), &mut values).unwrap();
        let level = without.metric().level(&cohort.unwrap(), &values);
        let expected = (plain.similarity - level).clamp(-1.0, 1.0);
        prop_assert_eq!(lowered.similarity, expected);
    }
}

#[test]
fn shares_of_a_task_come_back_with_its_snapshot() {
    use crate::fewshot::persist::{export, import, snapshot_len};
    let [mut a, mut b] = [const { Small::new() }; 2];
    let (mut taught, mut blank) = (
        learner(&mut a, HeadKind::default()),
        learner(&mut b, HeadKind::default()),
    );
    // The second part alone tells the classes apart.
    for i in 0..4 {
        let [x, y, ..] = embedding(i);
        let own = if i % 2 == 0 { 1.0 } else { -1.0 };
        let name = NAMES[i as usize % 2];
        taught.enrol(name, &[x, y, own, 0.3 * own]).unwrap();
    }
    assert_eq!(taught.shares(), Shares::Packed);
    let packed = bits(&mut taught);
    taught.set_shares(Shares::Task);
    assert_eq!(taught.head_metric(), None);
    let own = bits(&mut taught);
    assert_ne!(own, packed);
    let [first, second, ..] = taught.head_metric().unwrap().shares();
    assert!(second > first && (first + second - 1.0).abs() < 1e-6);
    assert_eq!(taught.metric().shares()[0], 0.5);

    let mut bytes = vec![0; snapshot_len(taught.support())];
    export(&taught, &mut bytes).unwrap();
    blank.set_shares(Shares::Task);
    import(&mut blank, &bytes).unwrap();
    assert_eq!(bits(&mut blank), own);
}

#[test]
fn removing_gives_the_bits_of_never_having_enrolled() {
    for kind in KINDS {
        let [mut a, mut b] = [const { Small::new() }; 2];
        let (mut with, mut without) = (learner(&mut a, kind), learner(&mut b, kind));
        for (i, name) in (0..).zip(["a", "b", "c", "b", "a", "c"]) {
            with.enrol(name, &embedding(i)).unwrap();
            if name != "b" {
                without.enrol(name, &embedding(i)).unwrap();
            }
        }
        let full = bits(&mut with);
        let b = with.support().find("b").unwrap();
        with.support_mut().remove(b).unwrap();
        assert_eq!(with.head(), None);
        assert_eq!(bits(&mut with), bits(&mut without));
        assert_ne!(bits(&mut with), full);
    }
}

#[test]
fn each_step_tells_what_is_missing() {
    let mut storage = Small::new();
    let mut learner = learner(&mut storage, HeadKind::Ridge { lambda: 1.0 });
    let mut scores = [0.0; 4];
    let query = embedding(0);
    assert_eq!(
        learner.classify(&query, &mut scores),
        Err(ClassifyError::NotFitted)
    );
    assert_eq!(learner.fit(&mut []), Err(FitError::NoExamples));
    assert_eq!(
        learner.enrol("silence", &MEAN),
        Err(EnrolError::Embedding(DirectionError::Degenerate))
    );
    learner.enrol("a", &query).unwrap();
    let needed = learner.scratch_len();
    let found = needed - 1;
    assert_eq!(
        learner.fit(&mut vec![0.0; found]),
        Err(FitError::ScratchTooShort { needed, found })
    );
    assert_eq!(
        learner.classify(&query, &mut scores),
        Err(ClassifyError::NotFitted)
    );
    learner.fit(&mut vec![0.0; needed]).unwrap();
    assert_eq!(
        learner.classify(&query, &mut []),
        Err(ClassifyError::ScoresTooShort {
            needed: 1,
            found: 0
        })
    );
    assert_eq!(
        learner.classify(&[f32::NAN; 4], &mut scores),
        Err(ClassifyError::Embedding(DirectionError::NotFinite))
    );
    assert_eq!(
        learner.classify_direction(&[127; 3], &mut scores),
        Err(ClassifyError::Embedding(DirectionError::Length))
    );
    let short = space(&[2, 1], &MEAN[1..], Reference::assumed(0.0));
    let refused = Learner::new(Small::new().lend(), HeadKind::default(), short).unwrap_err();
    assert_eq!(refused, DirectionError::Length);
}

#[test]
fn thresholds_and_roles_decide_what_is_unknown() {
    let mut storage = Small::new();
    let mut learner = learner(&mut storage, HeadKind::default());
    let mut scores = [0.0; 4];
    let mut scratch = [0.0; 100];
    let query = embedding(0);
    let a = learner.enrol("a", &query).unwrap();
    learner.fit(&mut scratch).unwrap();
    // A single class is recognised by similarity alone.
    let decision = learner.classify(&query, &mut scores).unwrap();
    assert_eq!((decision.class, decision.scores.len()), (Some(a), 1));
    assert!((decision.similarity - 1.0).abs() < 1e-6);
    learner.set_default_threshold(Some(0.5)).unwrap();
    let opposite = query.map(|value| 0.2 - value);
    let decision = learner.classify(&opposite, &mut scores).unwrap();
    assert_eq!((decision.class, decision.best), (None, a));
    assert!((decision.similarity + 1.0).abs() < 1e-2);
    learner.set_class_threshold(a, Some(-1.0)).unwrap();
    assert_eq!(
        learner.classify(&opposite, &mut scores).unwrap().class,
        Some(a)
    );

    let negatives = learner.enrol_role(Role::Negatives, &opposite).unwrap();
    let b = learner.enrol("b", &embedding(3)).unwrap();
    learner.fit(&mut scratch).unwrap();
    let decision = learner.classify(&opposite, &mut scores).unwrap();
    assert_eq!((decision.class, decision.best), (None, negatives));
    learner.support_mut().set_enabled(negatives, false).unwrap();
    learner.fit(&mut scratch).unwrap();
    let decision = learner.classify(&embedding(3), &mut scores).unwrap();
    assert_eq!(
        (decision.class, decision.scores[1]),
        (Some(b), f32::NEG_INFINITY)
    );
    assert!(decision.scores[2] > decision.scores[0]);
}

#[test]
fn what_is_nearer_to_a_negative_is_unknown() {
    let mut storage = Small::new();
    let mut learner = learner(&mut storage, HeadKind::default());
    let mut scores = [0.0; 4];
    let at = |degrees: f32| {
        let (sin, cos) = degrees.to_radians().sin_cos();
        [cos, sin, cos, sin].map(|value| value + 0.1)
    };
    for degrees in [0.0, 20.0, 40.0] {
        learner.enrol("a", &at(degrees)).unwrap();
    }
    let a = learner.support().find("a");
    learner.enrol("b", &at(180.0)).unwrap();
    let mut class_of = |learner: &mut Learner, degrees| {
        learner.fit(&mut [0.0; 100]).unwrap();
        learner.classify(&at(degrees), &mut scores).unwrap().class
    };
    assert_eq!(class_of(&mut learner, 60.0), a);
    let negatives = learner.enrol_role(Role::Negatives, &at(70.0)).unwrap();
    assert_eq!(class_of(&mut learner, 60.0), None);
    assert_eq!(class_of(&mut learner, 30.0), a);
    learner.support_mut().set_enabled(negatives, false).unwrap();
    assert_eq!(class_of(&mut learner, 60.0), a);
}

#[test]
fn the_threshold_is_the_users_or_calibrated() {
    let mut storage = Small::new();
    let space = space(&[2, 2], &MEAN, LIKENESS);
    let mut learner = Learner::new(storage.lend(), HeadKind::default(), space).unwrap();
    let at = |degrees: f32| {
        let (sin, cos) = degrees.to_radians().sin_cos();
        [cos, sin, cos, sin].map(|value| value + 0.1)
    };
    let mut scores = [0.0; 4];
    let mut classified = |learner: &mut Learner, degrees: f32| {
        learner.fit(&mut [0.0; 100]).unwrap();
        let decision = learner.classify(&at(degrees), &mut scores).unwrap();
        (decision.class, decision.threshold, decision.chance)
    };
    let twentieth = Calibration::of_clips(0.05);
    learner.set_calibration(twentieth);
    assert_eq!(learner.threshold(ClassId::new(0)), 0.4);
    let a = learner.enrol("a", &at(0.0)).unwrap();
    let (class, alone, chance) = classified(&mut learner, 20.0);
    assert_eq!((class, alone), (Some(a), 0.4));
    assert!(chance < 0.05);
    let (class, _, chance) = classified(&mut learner, 80.0);
    assert_eq!(class, None);
    assert!(chance > 0.05);
    // A second class gives strangers a second chance.
    learner.enrol("b", &at(90.0)).unwrap();
    let (_, both, _) = classified(&mut learner, 20.0);
    assert!(both > alone && both == learner.threshold(a));
    // At a lower rate, and for sounds as alike as these, it is stricter.
    learner.set_calibration(Calibration::default());
    assert!(classified(&mut learner, 20.0).1 > both);
    learner.enrol("b", &at(20.0)).unwrap();
    learner.set_calibration(twentieth);
    let unrelated = classified(&mut learner, 10.0).1;
    learner.set_calibration(Calibration {
        strangers: Strangers::Related,
        ..twentieth
    });
    assert!(classified(&mut learner, 10.0).1 > unrelated);
    // What the user sets goes before, a class's own before all.
    let derived = learner.threshold(a);
    learner.set_default_threshold(Some(0.25)).unwrap();
    assert_eq!(classified(&mut learner, 0.0).1, 0.25);
    learner.set_class_threshold(a, Some(0.75)).unwrap();
    assert_eq!(classified(&mut learner, 0.0).1, 0.75);
    assert_eq!(learner.derived_threshold(a), derived);
    // A class of one example has no other that it could be compared with.
    let b = learner.support().find("b").unwrap();
    assert_eq!(learner.own_score(a), None);
    assert!(learner.own_score(b).is_some_and(|score| score < 1.0));
    learner.support_mut().set_enabled(b, false).unwrap();
    assert_eq!(learner.own_score(b), None);
}

#[test]
fn the_length_of_a_sum_is_that_of_its_vectors() {
    // Two at right angles and one of another class.
    let gram = [1.0, 0.0, 0.5, 0.0, 1.0, 0.5, 0.5, 0.5, 1.0];
    let labels = [7, 7, 3];
    assert!((length_of_sum(&gram, &labels, 7) - 2.0_f32.sqrt()).abs() < 1e-6);
    assert_eq!(length_of_sum(&gram, &labels, 3), 1.0);
    assert_eq!(length_of_sum(&gram, &labels, 9), 0.0);
    // What rounding leaves of three that cancel out is nothing; as much of one vector is its length.
    assert_eq!(root_of_square(5e-6, 3.0), 0.0);
    assert!((root_of_square(5e-6, 1.0) - 5e-6_f32.sqrt()).abs() < 1e-9);
}
