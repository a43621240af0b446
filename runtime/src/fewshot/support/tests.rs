use super::*;
use crate::fewshot::{Reference, Storage};
use crate::space::test_space::space;

type Room = Storage<3, 5, 2>;

fn set(room: &mut Room) -> SupportSet<'_> {
    let lent = room.lend();
    let space = space(&[2], &[0.0; 2], Reference::assumed(0.5));
    SupportSet::new(lent.classes, lent.directions, space)
}

fn at(i: i8) -> [i8; 2] {
    [127, i]
}

fn listing<'s>(set: &'s SupportSet<'_>) -> Vec<(&'s str, usize)> {
    let classes = set.classes().iter();
    classes
        .map(|class| (class.name(), class.examples()))
        .collect()
}

#[test]
fn a_removed_class_leaves_no_trace() {
    let (mut room, mut other_room) = (Room::new(), Room::new());
    let (mut with, mut never) = (set(&mut room), set(&mut other_room));
    for (i, name) in (0..).zip(["a", "b", "c", "b", "a"]) {
        with.enrol(name, &at(i)).unwrap();
        if name != "b" {
            never.enrol(name, &at(i)).unwrap();
        }
    }
    assert_eq!(listing(&with), [("a", 2), ("b", 2), ("c", 1)]);
    assert!(with.examples(1).eq([&at(1), &at(3)]));
    with.remove(1).unwrap();
    assert_eq!(with, never);
    assert!(with.examples(0).eq([&at(0), &at(4)]));
    assert!(with.examples(1).eq([&at(2)]));
}

#[test]
fn the_last_example_takes_its_class_along() {
    let mut room = Room::new();
    let mut set = set(&mut room);
    for (i, name) in (0..).zip(["a", "b", "a"]) {
        set.enrol(name, &at(i)).unwrap();
    }
    set.remove_example(0, 0).unwrap();
    assert!(set.examples(0).eq([&at(2)]));
    set.remove_example(0, 0).unwrap();
    assert_eq!(listing(&set), [("b", 1)]);
    assert_eq!(
        set.remove_example(0, 1),
        Err(SupportError::NoSuchExample { example: 1 })
    );
    set.clear();
    assert_eq!((set.class_count(), set.example_count()), (0, 0));
}

#[test]
fn a_class_can_be_renamed_disabled_and_given_a_threshold() {
    let mut room = Room::new();
    let mut set = set(&mut room);
    set.enrol("a", &at(0)).unwrap();
    set.enrol("b", &at(1)).unwrap();
    let negatives = set.enrol_role(Role::Negatives, &at(2)).unwrap();
    assert_eq!(set.enrol_role(Role::Negatives, &at(3)), Ok(negatives));
    set.rename(0, "kettle").unwrap();
    assert_eq!((set.find("kettle"), set.find("a")), (Some(0), None));
    assert_eq!(set.rename(0, "kettle"), Ok(()));
    assert_eq!(
        set.rename(0, "b"),
        Err(SupportError::NameTaken { class: 1 })
    );
    let role = Role::Negatives;
    assert_eq!(set.rename(2, "x"), Err(SupportError::NoName { role }));
    set.set_enabled(1, false).unwrap();
    set.set_threshold(1, Some(0.25)).unwrap();
    let b = set.class(1).unwrap();
    assert_eq!(
        (b.is_enabled(), b.threshold(), b.role()),
        (false, Some(0.25), Role::Sound)
    );
    for found in [1.1, -1.1, f32::INFINITY] {
        let refused = set.set_threshold(1, Some(found));
        assert_eq!(refused, Err(SupportError::Threshold { found }));
    }
    assert!(set.set_threshold(1, Some(f32::NAN)).is_err());
    // Another example changes none of it.
    set.enrol("b", &at(4)).unwrap();
    assert_eq!(
        (
            set.class(1).unwrap().threshold(),
            set.class(1).unwrap().examples()
        ),
        (Some(0.25), 2)
    );
    assert!(set.examples(2).eq([&at(2), &at(3)]));
}

#[test]
fn limits_are_named_and_change_nothing() {
    let (mut room, mut before_room) = (Room::new(), Room::new());
    let (mut set, mut before) = (set(&mut room), set(&mut before_room));
    for name in ["a", "b", "c"] {
        set.enrol(name, &at(5)).unwrap();
        before.enrol(name, &at(5)).unwrap();
    }
    use SupportError as E;
    let full = E::TooManyClasses { capacity: 3 };
    assert_eq!(set.enrol("d", &at(0)), Err(full));
    assert_eq!(set.enrol_role(Role::Background, &at(0)), Err(full));
    assert_eq!(set.enrol("", &at(0)), Err(E::NameEmpty));
    let long = "ü".repeat(17);
    assert_eq!(set.enrol(&long, &at(0)), Err(E::NameTooLong { bytes: 34 }));
    assert_eq!(set.rename(0, &long), Err(E::NameTooLong { bytes: 34 }));
    for value in [126, -128] {
        assert_eq!(set.enrol("a", &[value, 0]), Err(E::NotADirection));
    }
    let length = E::Length {
        expected: 2,
        found: 1,
    };
    assert_eq!(set.enrol("a", &[127]), Err(length));
    let missing = E::NoSuchClass { class: 3 };
    assert_eq!(set.add_example(3, &at(0)), Err(missing));
    assert_eq!(set.remove(3), Err(missing));
    assert_eq!(set.rename(3, "x"), Err(missing));
    assert_eq!(set, before);

    set.enrol("a", &at(1)).unwrap();
    set.enrol("b", &at(1)).unwrap();
    assert_eq!(
        set.enrol("a", &at(2)),
        Err(E::TooManyExamples { capacity: 5 })
    );
    set.remove(2).unwrap();
    set.enrol("d", &at(2)).unwrap();
    assert_eq!(set.class_count(), 3);
}
