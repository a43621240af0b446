use super::*;
use proptest::prelude::*;

/// Frames of 16 bands in which a bump goes from one band to another.
fn sweep(frames: usize, from: f32, to: f32) -> Vec<f32> {
    let at = |frame: usize| from + (to - from) * frame as f32 / frames.max(2) as f32;
    let level = |frame: usize, band: usize| (-0.5 * (band as f32 - at(frame)).powi(2)).exp();
    let rows = (0..frames).flat_map(|frame| (0..BANDS).map(move |band| (frame, band)));
    rows.map(|(frame, band)| level(frame, band)).collect()
}

fn course(frames: &[f32]) -> Course {
    Course::of(frames, BANDS)
}

const UP: ClassId = ClassId::new(3);

fn taught(room: &mut [Template]) -> Verifier<'_> {
    let mut verifier = Verifier::new(room);
    for (frames, to) in [(30, 14.0), (33, 13.0), (28, 14.5), (31, 13.5)] {
        verifier
            .add(Some(UP), course(&sweep(frames, 1.0, to)))
            .unwrap();
    }
    verifier
}

#[test]
fn the_order_and_the_length_count() {
    let mut room = [Template::EMPTY; 6];
    let verifier = taught(&mut room);
    let verify = |frames: &[f32]| verifier.verify(UP, &course(frames));
    assert!(verify(&sweep(29, 1.0, 14.0)).passes());
    let backwards = verify(&sweep(29, 14.0, 1.0));
    assert!(backwards.order > backwards.most_order, "{backwards:?}");
    let whole = sweep(30, 1.0, 14.0);
    for half in whole.chunks(15 * BANDS) {
        let half = verify(half);
        assert!(half.length > half.most_length, "{half:?}");
    }
    assert!(!verify(&[]).passes());
}

#[test]
fn a_louder_or_coloured_sound_has_the_same_course() {
    let sound = sweep(30, 1.0, 14.0);
    let other: Vec<f32> = sound
        .iter()
        .enumerate()
        .map(|(at, level)| level + 0.5 + 0.02 * (at % BANDS) as f32)
        .collect();
    let distance = course(&sound).distance(&course(&other));
    assert!(distance < 0.01, "{distance}");
}

#[test]
fn one_example_says_nothing_and_a_class_without_any_neither() {
    let mut room = [Template::EMPTY; 2];
    let mut verifier = Verifier::new(&mut room);
    verifier
        .add(Some(UP), course(&sweep(30, 1.0, 14.0)))
        .unwrap();
    let backwards = course(&sweep(30, 14.0, 1.0));
    assert!(verifier.verify(UP, &backwards).passes());
    assert!(verifier.verify(ClassId::new(9), &backwards).passes());
}

#[test]
fn it_learns_from_mistakes() {
    let mut room = [Template::EMPTY; 6];
    let mut verifier = taught(&mut room);
    // Near enough to pass, and nearer to itself than to the examples.
    let mistaken = sweep(30, 2.0, 13.0);
    assert!(verifier.verify(UP, &course(&mistaken)).passes());
    verifier.add(None, course(&mistaken)).unwrap();
    assert!(verifier.verify(UP, &course(&mistaken)).is_mistake);
    assert!(verifier.verify(UP, &course(&sweep(30, 1.0, 14.0))).passes());
    verifier.remove(None);
    assert!(verifier.verify(UP, &course(&mistaken)).passes());
}

#[test]
fn a_removed_class_leaves_nothing_behind() {
    let [mut room, mut alone] = [const { [Template::EMPTY; 6] }; 2];
    let mut verifier = taught(&mut room);
    let other = ClassId::new(4);
    for _ in 0..2 {
        verifier
            .add(Some(other), course(&sweep(20, 14.0, 1.0)))
            .unwrap();
    }
    let full = verifier.add(None, Course::EMPTY);
    assert_eq!(full, Err(VerifierFull { capacity: 6 }));
    verifier.remove(Some(other));
    let query = course(&sweep(25, 3.0, 9.0));
    assert_eq!(
        verifier.verify(UP, &query),
        taught(&mut alone).verify(UP, &query)
    );
    verifier.remove(Some(UP));
    assert!(verifier.is_empty() && verifier.verify(UP, &query).passes());
}

#[test]
fn a_template_is_as_large_as_is_said() {
    const { assert!(TEMPLATE_BYTES <= 344) };
}

/// Dynamic time warping by its definition, over a whole table.
fn by_definition(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    let mut table = vec![vec![f64::INFINITY; b.len()]; a.len()];
    for i in 0..a.len() {
        for j in 0..b.len() {
            let cost: f64 = a[i].iter().zip(&b[j]).map(|(x, y)| (x - y).powi(2)).sum();
            let before = |i: usize, j: usize| table[i][j];
            table[i][j] = match (i, j) {
                (0, 0) => 2.0 * cost,
                (0, _) => before(0, j - 1) + cost,
                (_, 0) => before(i - 1, 0) + cost,
                _ => (before(i - 1, j - 1) + 2.0 * cost)
                    .min(before(i - 1, j) + cost)
                    .min(before(i, j - 1) + cost),
            };
        }
    }
    table[a.len() - 1][b.len() - 1] / (a.len() + b.len()) as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Any frames have courses, and the distance is that of the definition, but for rounding to int8.
    #[test]
    fn distances_are_those_of_the_definition(
        a in prop::collection::vec(-4.0_f32..4.0, 0..70 * BANDS),
        b in prop::collection::vec(-4.0_f32..4.0, 0..70 * BANDS),
    ) {
        let (a, b) = (course(&a), course(&b));
        prop_assert_eq!(a.distance(&a).min(1.0), if a == Course::EMPTY { 1.0 } else { 0.0 });
        prop_assert_eq!(a.distance(&b), b.distance(&a));
        if a != Course::EMPTY && b != Course::EMPTY {
            let rows = |course: &Course| -> Vec<Vec<f64>> {
                let units = |slice: &[i8; BANDS]| slice.iter().map(|v| f64::from(*v) / 32.0).collect();
                course.as_slices().iter().map(units).collect()
            };
            let expected = by_definition(&rows(&a), &rows(&b));
            let found = f64::from(a.distance(&b));
            prop_assert!((found - expected).abs() <= 1e-4 * expected.max(1.0), "{} {}", found, expected);
        }
    }

    #[test]
    fn any_frames_and_numbers_of_bands_are_taken(
        frames in prop::collection::vec(prop::num::f32::ANY, 0..300),
        mels in 0_usize..40,
    ) {
        let any = Course::of(&frames, mels);
        prop_assert!(any.distance(&any).is_finite() || any == Course::EMPTY);
    }
}
