use super::*;
use crate::fewshot::{Reference, Storage};
use crate::space::test_space::space;

type Room = Storage<3, 5, 2>;

fn set(room: &mut Room) -> SupportSet<'_> {
    let lent = room.lend();
    let space = space(&[2], &[0.0; 2], Reference::assumed(0.5));
    SupportSet::new(lent.classes, lent.directions, &space)
}

fn at(i: i8) -> [i8; 2] {
    [127, i]
}

/// Everything about a set but the ids of its classes.
fn content<'s>(set: &'s SupportSet<'_>) -> (Vec<Class>, &'s [i8]) {
    let anonymous = |class: &Class| Class {
        id: ClassId::new(0),
        ..class.clone()
    };
    (
        set.classes().iter().map(anonymous).collect(),
        set.all_examples(),
    )
}

/// The id of the class at a place.
fn id(set: &SupportSet<'_>, place: usize) -> ClassId {
    set.classes()[place].id()
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
    let [a, b, c] = [0, 1, 2].map(|place| id(&with, place));
    assert!(with.examples(b).eq([&at(1), &at(3)]));
    with.remove(b).unwrap();
    assert_eq!(content(&with), content(&never));
    // The others are still known by their ids, and nothing is by that of the removed one.
    assert!(with.examples(a).eq([&at(0), &at(4)]));
    assert!(with.examples(c).eq([&at(2)]));
    assert_eq!(with.name(c), Ok("c"));
    assert_eq!(with.class(b), Err(SupportError::NoSuchClass { class: b }));
    assert_eq!(with.examples(b).len(), 0);
}

#[test]
fn the_last_example_takes_its_class_along() {
    let mut room = Room::new();
    let mut set = set(&mut room);
    for (i, name) in (0..).zip(["a", "b", "a"]) {
        set.enrol(name, &at(i)).unwrap();
    }
    let [a, b] = [0, 1].map(|place| id(&set, place));
    set.remove_example(a, 0).unwrap();
    assert!(set.examples(a).eq([&at(2)]));
    set.remove_example(a, 0).unwrap();
    assert_eq!(listing(&set), [("b", 1)]);
    assert_eq!(
        set.remove_example(b, 1),
        Err(SupportError::NoSuchExample { example: 1 })
    );
    set.clear();
    assert_eq!((set.class_count(), set.example_count()), (0, 0));
}

#[test]
fn a_class_can_be_renamed_disabled_and_given_a_threshold() {
    let mut room = Room::new();
    let mut set = set(&mut room);
    let a = set.enrol("a", &at(0)).unwrap();
    let b = set.enrol("b", &at(1)).unwrap();
    let negatives = set.enrol_role(Role::Negatives, &at(2)).unwrap();
    assert_eq!(set.enrol_role(Role::Negatives, &at(3)), Ok(negatives));
    set.rename(a, "kettle").unwrap();
    assert_eq!((set.find("kettle"), set.find("a")), (Some(a), None));
    assert_eq!(set.rename(a, "kettle"), Ok(()));
    assert_eq!(
        set.rename(a, "b"),
        Err(SupportError::NameTaken { class: b })
    );
    let role = Role::Negatives;
    assert_eq!(
        set.rename(negatives, "x"),
        Err(SupportError::NoName { role })
    );
    set.set_enabled(b, false).unwrap();
    set.set_threshold(b, Some(0.25)).unwrap();
    let class = set.class(b).unwrap();
    assert_eq!(
        (class.is_enabled(), class.threshold(), class.role()),
        (false, Some(0.25), Role::Sound)
    );
    for found in [1.1, -1.1, f32::INFINITY] {
        let refused = set.set_threshold(b, Some(found));
        assert_eq!(refused, Err(SupportError::Threshold { found }));
    }
    assert!(set.set_threshold(b, Some(f32::NAN)).is_err());
    // Another example changes none of it.
    set.enrol("b", &at(4)).unwrap();
    assert_eq!(
        (
            set.class(b).unwrap().threshold(),
            set.class(b).unwrap().examples()
        ),
        (Some(0.25), 2)
    );
    assert!(set.examples(negatives).eq([&at(2), &at(3)]));
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
    let a = id(&set, 0);
    assert_eq!(set.rename(a, &long), Err(E::NameTooLong { bytes: 34 }));
    for value in [126, -128] {
        assert_eq!(set.enrol("a", &[value, 0]), Err(E::NotADirection));
    }
    let length = E::Length {
        expected: 2,
        found: 1,
    };
    assert_eq!(set.enrol("a", &[127]), Err(length));
    let class = ClassId::new(3);
    let missing = E::NoSuchClass { class };
    assert_eq!(set.add_example(class, &at(0)), Err(missing));
    assert_eq!(set.remove(class), Err(missing));
    assert_eq!(set.rename(class, "x"), Err(missing));
    assert_eq!(set.set_enabled(class, true), Err(missing));
    assert_eq!(set.set_threshold(class, None), Err(missing));
    assert_eq!(set.remove_example(class, 0), Err(missing));
    assert_eq!(set, before);

    set.enrol("a", &at(1)).unwrap();
    set.enrol("b", &at(1)).unwrap();
    assert_eq!(
        set.enrol("a", &at(2)),
        Err(E::TooManyExamples { capacity: 5 })
    );
    set.remove(id(&set, 2)).unwrap();
    set.enrol("d", &at(2)).unwrap();
    assert_eq!(set.class_count(), 3);
}

#[test]
fn sets_are_equal_if_they_hold_the_same() {
    let changes: [fn(&mut SupportSet<'_>); 4] = [
        |set| {
            set.enrol("bell", &at(2)).unwrap();
        },
        |set| set.set_default_threshold(Some(0.25)).unwrap(),
        |set| set.rename(id(set, 0), "chime").unwrap(),
        |set| set.remove(id(set, 1)).unwrap(),
    ];
    let (mut one, mut other) = (Room::new(), Storage::<6, 9, 2>::new());
    let mut first = set(&mut one);
    let lent = other.lend();
    let space = space(&[2], &[0.0; 2], Reference::assumed(0.5));
    let mut second = SupportSet::new(lent.classes, lent.directions, &space);
    assert!(first == second);
    for set in [&mut first, &mut second] {
        set.enrol("bell", &at(1)).unwrap();
        set.enrol("tap", &at(3)).unwrap();
    }
    assert!(first == second);
    for (number, change) in changes.into_iter().enumerate() {
        change(&mut first);
        assert!(first != second, "change {number}");
        change(&mut second);
        assert!(first == second, "change {number}");
    }
}

#[test]
fn an_id_is_not_given_again() {
    let mut room = Room::new();
    let mut set = set(&mut room);
    let mut given = Vec::new();
    for i in 0..10 {
        let id = set.enrol("a", &at(i)).unwrap();
        assert!(!given.contains(&id), "{id} again");
        given.push(id);
        match i % 2 {
            0 => set.remove(id).unwrap(),
            _ => set.clear(),
        }
    }
    // Behind the last there is the first again, unless a class has it.
    let kept = set.enrol("kept", &at(0)).unwrap();
    set.next_id = ClassId::new(u16::MAX);
    let last = set.enrol("last", &at(1)).unwrap();
    assert_eq!(last, ClassId::new(u16::MAX));
    set.remove(last).unwrap();
    set.next_id = kept;
    let after = set.enrol("after", &at(1)).unwrap();
    assert_eq!(after.get(), kept.get() + 1);
    assert_eq!(set.examples(kept).len(), 1);
}
