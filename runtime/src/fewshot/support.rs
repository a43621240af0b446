//! The examples that a device has been taught, by class.

use heapless::{String, Vec};

/// Room for a class's name, bytes of UTF-8.
pub const CLASS_NAME_BYTES: usize = 32;

/// Name of a class.
pub type ClassName = String<CLASS_NAME_BYTES>;

/// Up to `CLASSES` named classes with up to `EXAMPLES` examples in all, each a normalised embedding
/// of `DIM` values.
///
/// Classes are numbered from 0 in the order of their first example; examples stand in the order in
/// which they came. Removing one closes the gap, so that a set from which a class has been removed
/// equals the set that never had it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SupportSet<const CLASSES: usize, const EXAMPLES: usize, const DIM: usize> {
    names: Vec<ClassName, CLASSES>,
    examples: Vec<[f32; DIM], EXAMPLES>,
    labels: Vec<u8, EXAMPLES>,
}

/// Why a support set could not be changed. It then is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupportError {
    /// There is no room for another class.
    TooManyClasses {
        /// The set's `CLASSES`, or 256 if that is less.
        capacity: usize,
    },
    /// There is no room for another example.
    TooManyExamples {
        /// The set's `EXAMPLES`.
        capacity: usize,
    },
    /// The name is longer than [`CLASS_NAME_BYTES`].
    NameTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The name is empty.
    NameEmpty,
    /// No class has this number.
    NoSuchClass {
        /// The number asked for.
        class: u8,
    },
    /// The class has no example with this number.
    NoSuchExample {
        /// The number asked for, counted within the class.
        example: usize,
    },
    /// The example is not `DIM` values long.
    Length {
        /// The set's `DIM`.
        expected: usize,
        /// Values in the example.
        found: usize,
    },
    /// The example's length as a vector is not 1 (or not a number): it was not normalised.
    NotNormalised,
}

impl<const CLASSES: usize, const EXAMPLES: usize, const DIM: usize>
    SupportSet<CLASSES, EXAMPLES, DIM>
{
    /// An empty set.
    pub const fn new() -> Self {
        Self {
            names: Vec::new(),
            examples: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// Adds an example to the class called `name`, making the class if it is new, and returns the
    /// class's number.
    pub fn enrol(&mut self, name: &str, example: &[f32]) -> Result<u8, SupportError> {
        if let Some(class) = self.find(name) {
            self.add_example(class, example)?;
            return Ok(class);
        }
        if name.is_empty() {
            return Err(SupportError::NameEmpty);
        }
        let new_name = ClassName::try_from(name)
            .map_err(|_| SupportError::NameTooLong { bytes: name.len() })?;
        let capacity = CLASSES.min(256);
        let class = self.names.len();
        if class >= capacity {
            return Err(SupportError::TooManyClasses { capacity });
        }
        self.push(class as u8, example)?;
        // There is room: the number of names was compared with the capacity above.
        let _ = self.names.push(new_name);
        Ok(class as u8)
    }

    /// Adds an example to a class.
    pub fn add_example(&mut self, class: u8, example: &[f32]) -> Result<(), SupportError> {
        self.name(class)?;
        self.push(class, example)
    }

    fn push(&mut self, class: u8, example: &[f32]) -> Result<(), SupportError> {
        let example: &[f32; DIM] = example.try_into().map_err(|_| SupportError::Length {
            expected: DIM,
            found: example.len(),
        })?;
        let square = super::dot(example, example);
        if !(0.999..=1.001).contains(&square) {
            return Err(SupportError::NotNormalised);
        }
        let full = SupportError::TooManyExamples { capacity: EXAMPLES };
        self.examples.push(*example).map_err(|_| full)?;
        self.labels.push(class).map_err(|_| full)
    }

    /// Removes a class with its examples. Classes after it move down by one.
    pub fn remove(&mut self, class: u8) -> Result<(), SupportError> {
        self.name(class)?;
        self.names.remove(usize::from(class));
        self.retain(|_, label| label != class);
        for label in &mut self.labels {
            *label -= u8::from(*label > class);
        }
        Ok(())
    }

    /// Removes an example, counted from 0 within its class; with its last example goes the class.
    pub fn remove_example(&mut self, class: u8, example: usize) -> Result<(), SupportError> {
        self.name(class)?;
        let mut members = (0..self.labels.len()).filter(|i| self.labels[*i] == class);
        let place = members
            .nth(example)
            .ok_or(SupportError::NoSuchExample { example })?;
        if self.count(class) == 1 {
            return self.remove(class);
        }
        self.retain(|i, _| i != place);
        Ok(())
    }

    /// Keeps the examples for which `keep(place, label)` holds, in their order.
    fn retain(&mut self, keep: impl Fn(usize, u8) -> bool) {
        let mut kept = 0;
        for i in 0..self.labels.len() {
            if keep(i, self.labels[i]) {
                self.labels[kept] = self.labels[i];
                self.examples.copy_within(i..i + 1, kept);
                kept += 1;
            }
        }
        self.labels.truncate(kept);
        self.examples.truncate(kept);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.names.clear();
        self.examples.clear();
        self.labels.clear();
    }

    /// Number of the class called `name`.
    pub fn find(&self, name: &str) -> Option<u8> {
        (0..=u8::MAX)
            .zip(&self.names)
            .find_map(|(class, known)| (known == name).then_some(class))
    }

    /// Name of a class.
    pub fn name(&self, class: u8) -> Result<&str, SupportError> {
        self.names
            .get(usize::from(class))
            .map(|name| name.as_str())
            .ok_or(SupportError::NoSuchClass { class })
    }

    /// Number of examples of a class; zero if there is no such class.
    pub fn count(&self, class: u8) -> usize {
        self.labels.iter().filter(|label| **label == class).count()
    }

    /// The classes in order: name and number of examples.
    pub fn classes(&self) -> impl Iterator<Item = (&str, usize)> {
        (0..=u8::MAX)
            .zip(&self.names)
            .map(|(class, name)| (name.as_str(), self.count(class)))
    }

    /// Number of classes.
    pub fn class_count(&self) -> usize {
        self.names.len()
    }

    /// All examples in a row, [`Self::labels`]`.len() * DIM` values: the `x` of [`super::fit`].
    pub fn examples(&self) -> &[f32] {
        self.examples.as_flattened()
    }

    /// The class of each example: the `y` of [`super::fit`].
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }
}

impl core::fmt::Display for SupportError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooManyClasses { capacity } => {
                write!(f, "all {capacity} classes are taken: remove one first")
            }
            Self::TooManyExamples { capacity } => {
                write!(f, "all {capacity} examples are taken: remove a class first")
            }
            Self::NameTooLong { bytes } => {
                write!(
                    f,
                    "the name has {bytes} bytes, at most {CLASS_NAME_BYTES} fit"
                )
            }
            Self::NameEmpty => f.write_str("the class needs a name"),
            Self::NoSuchClass { class } => write!(f, "there is no class {class}"),
            Self::NoSuchExample { example } => write!(f, "the class has no example {example}"),
            Self::Length { expected, found } => {
                write!(f, "the example has {found} values instead of {expected}")
            }
            Self::NotNormalised => f.write_str("the example was not normalised"),
        }
    }
}

impl core::error::Error for SupportError {}

#[cfg(test)]
mod tests {
    use super::*;

    type Set = SupportSet<3, 5, 2>;

    fn at(angle: f32) -> [f32; 2] {
        [angle.cos(), angle.sin()]
    }

    #[test]
    fn a_removed_class_leaves_no_trace() {
        let mut set = Set::new();
        let mut never = Set::new();
        for (i, name) in ["a", "b", "c", "b", "a"].into_iter().enumerate() {
            set.enrol(name, &at(i as f32)).unwrap();
            if name != "b" {
                never.enrol(name, &at(i as f32)).unwrap();
            }
        }
        assert_eq!(
            set.classes().collect::<std::vec::Vec<_>>(),
            [("a", 2), ("b", 2), ("c", 1)]
        );
        set.remove(1).unwrap();
        assert_eq!(set, never);
        assert_eq!(set.labels(), [0, 1, 0]);
        let bits = |set: &Set| {
            set.examples()
                .iter()
                .map(|v| v.to_bits())
                .collect::<std::vec::Vec<_>>()
        };
        assert_eq!(bits(&set), bits(&never));
    }

    #[test]
    fn the_last_example_takes_its_class_along() {
        let mut set = Set::new();
        set.enrol("a", &at(0.0)).unwrap();
        set.enrol("b", &at(1.0)).unwrap();
        set.enrol("a", &at(2.0)).unwrap();
        set.remove_example(0, 0).unwrap();
        assert_eq!(set.examples()[2..], at(2.0));
        set.remove_example(0, 0).unwrap();
        assert_eq!(set.classes().collect::<std::vec::Vec<_>>(), [("b", 1)]);
        assert_eq!(
            set.remove_example(0, 1),
            Err(SupportError::NoSuchExample { example: 1 })
        );
        set.clear();
        assert_eq!(set, Set::new());
    }

    #[test]
    fn limits_are_named_and_change_nothing() {
        let mut set = Set::new();
        for name in ["a", "b", "c"] {
            set.enrol(name, &at(0.5)).unwrap();
        }
        let before = set.clone();
        use SupportError as E;
        assert_eq!(
            set.enrol("d", &at(0.0)),
            Err(E::TooManyClasses { capacity: 3 })
        );
        assert_eq!(set.enrol("", &at(0.0)), Err(E::NameEmpty));
        let long = "ü".repeat(17);
        assert_eq!(
            set.enrol(&long, &at(0.0)),
            Err(E::NameTooLong { bytes: 34 })
        );
        assert_eq!(set.enrol("a", &[0.5, 0.5]), Err(E::NotNormalised));
        assert_eq!(set.enrol("a", &[f32::NAN, 0.5]), Err(E::NotNormalised));
        assert_eq!(
            set.enrol("a", &[1.0]),
            Err(E::Length {
                expected: 2,
                found: 1
            })
        );
        assert_eq!(
            set.add_example(3, &at(0.0)),
            Err(E::NoSuchClass { class: 3 })
        );
        assert_eq!(set.remove(3), Err(E::NoSuchClass { class: 3 }));
        assert_eq!(set, before);

        set.enrol("a", &at(0.1)).unwrap();
        set.enrol("b", &at(0.1)).unwrap();
        assert_eq!(
            set.enrol("a", &at(0.2)),
            Err(E::TooManyExamples { capacity: 5 })
        );
        set.remove(2).unwrap();
        set.enrol("d", &at(0.2)).unwrap();
        assert_eq!(set.class_count(), 3);
    }
}
