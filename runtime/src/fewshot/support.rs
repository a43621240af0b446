//! The examples that a device has been taught, by class.

use super::class::{CLASS_NAME_BYTES, Class, ClassName, Role};
use super::direction::is_direction;
use crate::space::EmbeddingSpace;

/// Named classes with their examples, each a direction ([`super::direction`]).
///
/// Classes are numbered from 0 in the order of their first example; the examples of a class stand
/// together, in the order in which they came. Removing one closes the gap. So a set depends only on
/// what is in it: one from which a class has been removed equals the set that never had it.
#[derive(Debug)]
pub struct SupportSet<'b> {
    /// The first `used` are in use.
    classes: &'b mut [Class],
    used: usize,
    /// The examples, class after class.
    directions: &'b mut [i8],
    space: EmbeddingSpace<'b>,
    default_threshold: Option<f32>,
}

/// Why a support set could not be changed. It then is as it was.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum SupportError {
    /// There is no room for another class.
    TooManyClasses {
        /// Most classes that there is room for; never more than 256.
        capacity: usize,
    },
    /// There is no room for another example.
    TooManyExamples {
        /// Most examples that there is room for, of all classes together.
        capacity: usize,
    },
    /// The name is longer than [`CLASS_NAME_BYTES`].
    NameTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The name is empty.
    NameEmpty,
    /// Another class has the name.
    NameTaken {
        /// That class.
        class: u8,
    },
    /// Negatives and background have no name.
    NoName {
        /// What the class is for.
        role: Role,
    },
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
    /// The example does not have as many values as the backbone's embeddings.
    Length {
        /// Values of an embedding.
        expected: usize,
        /// Values in the example.
        found: usize,
    },
    /// The example is not what [`super::direction`] makes.
    NotADirection,
    /// The threshold is not a number from -1 to 1.
    Threshold {
        /// The number found.
        found: f32,
    },
}

impl<'b> SupportSet<'b> {
    /// An empty set of directions of embeddings of `space`, with room for as many classes and examples
    /// as the slices hold.
    pub(super) fn new(
        classes: &'b mut [Class],
        directions: &'b mut [i8],
        space: EmbeddingSpace<'b>,
    ) -> Self {
        Self {
            classes,
            used: 0,
            directions,
            space,
            default_threshold: None,
        }
    }

    /// Describes the embeddings that the examples are directions of.
    pub fn space(&self) -> &EmbeddingSpace<'b> {
        &self.space
    }

    /// Adds an example to the sound called `name`, making the class if it is new, and returns the
    /// class's number.
    pub fn enrol(&mut self, name: &str, direction: &[i8]) -> Result<u8, SupportError> {
        match self.find(name) {
            Some(class) => self.add_example(class, direction).map(|()| class),
            None => self.add_class(class_name(name)?, Role::Sound, direction),
        }
    }

    /// Adds an example to the class that is there for `role`, [`Role::Negatives`] or
    /// [`Role::Background`], making the class if it is new, and returns its number.
    pub fn enrol_role(&mut self, role: Role, direction: &[i8]) -> Result<u8, SupportError> {
        match self.find_role(role) {
            _ if role == Role::Sound => Err(SupportError::NameEmpty),
            Some(class) => self.add_example(class, direction).map(|()| class),
            None => self.add_class(ClassName::new(), role, direction),
        }
    }

    fn add_class(
        &mut self,
        name: ClassName,
        role: Role,
        direction: &[i8],
    ) -> Result<u8, SupportError> {
        let capacity = self.class_capacity();
        if self.used >= capacity {
            return Err(SupportError::TooManyClasses { capacity });
        }
        self.insert(self.example_count(), direction)?;
        self.classes[self.used] = Class {
            name,
            role,
            examples: 1,
            ..Class::EMPTY
        };
        self.used += 1;
        Ok((self.used - 1) as u8)
    }

    /// Adds an example to a class.
    pub fn add_example(&mut self, class: u8, direction: &[i8]) -> Result<(), SupportError> {
        let end = self.start(class)? + self.class(class)?.examples();
        self.insert(end, direction)?;
        self.classes[usize::from(class)].examples += 1;
        Ok(())
    }

    /// Puts an example where the one with the number `place` is, moving that and those after it.
    fn insert(&mut self, place: usize, direction: &[i8]) -> Result<(), SupportError> {
        let (count, dim) = (self.example_count(), self.dim());
        if direction.len() != dim {
            let (expected, found) = (dim, direction.len());
            return Err(SupportError::Length { expected, found });
        }
        if !is_direction(direction, self.space.parts()) {
            return Err(SupportError::NotADirection);
        }
        let capacity = self.example_capacity();
        if count >= capacity {
            return Err(SupportError::TooManyExamples { capacity });
        }
        let (start, end) = (place * dim, count * dim);
        self.directions.copy_within(start..end, start + dim);
        self.directions[start..start + dim].copy_from_slice(direction);
        Ok(())
    }

    /// Removes a class with its examples. Classes after it move down by one.
    pub fn remove(&mut self, class: u8) -> Result<(), SupportError> {
        let (start, count) = (self.start(class)?, self.class(class)?.examples());
        self.close(start, count);
        self.classes[usize::from(class)..self.used].rotate_left(1);
        self.used -= 1;
        Ok(())
    }

    /// Removes an example, counted from 0 within its class; with its last example goes the class.
    pub fn remove_example(&mut self, class: u8, example: usize) -> Result<(), SupportError> {
        let (start, count) = (self.start(class)?, self.class(class)?.examples());
        if example >= count {
            return Err(SupportError::NoSuchExample { example });
        }
        if count == 1 {
            return self.remove(class);
        }
        self.close(start + example, 1);
        self.classes[usize::from(class)].examples -= 1;
        Ok(())
    }

    /// Moves the examples behind `place + count` to `place`.
    fn close(&mut self, place: usize, count: usize) {
        let dim = self.dim();
        let end = self.example_count() * dim;
        let from = (place + count) * dim;
        self.directions.copy_within(from..end, place * dim);
    }

    /// Gives a sound another name. It keeps its number.
    pub fn rename(&mut self, class: u8, name: &str) -> Result<(), SupportError> {
        let role = self.class(class)?.role;
        if role != Role::Sound {
            return Err(SupportError::NoName { role });
        }
        let name = class_name(name)?;
        match self.find(&name) {
            Some(other) if other != class => Err(SupportError::NameTaken { class: other }),
            _ => {
                self.classes[usize::from(class)].name = name;
                Ok(())
            }
        }
    }

    /// Lets a class take part, or not: while it does not, it is kept but counts for nothing.
    pub fn set_enabled(&mut self, class: u8, enabled: bool) -> Result<(), SupportError> {
        self.class(class)?;
        self.classes[usize::from(class)].disabled = !enabled;
        Ok(())
    }

    /// Sets the least similarity, -1 to 1, at which a query belongs to the class; `None` leaves it
    /// to the learner.
    pub fn set_threshold(&mut self, class: u8, threshold: Option<f32>) -> Result<(), SupportError> {
        self.class(class)?;
        check_threshold(threshold)?;
        self.classes[usize::from(class)].threshold = threshold;
        Ok(())
    }

    /// Sets the least similarity, -1 to 1, at which a query belongs to a class without a threshold
    /// of its own; `None` leaves it to the learner.
    pub fn set_default_threshold(&mut self, threshold: Option<f32>) -> Result<(), SupportError> {
        check_threshold(threshold)?;
        self.default_threshold = threshold;
        Ok(())
    }

    /// What [`Self::set_default_threshold`] set.
    pub fn default_threshold(&self) -> Option<f32> {
        self.default_threshold
    }

    /// Holds `classes` instead of what it held, and gives the room for their examples, which must be
    /// filled. There must be room, and every class must be as this set would have made it.
    pub(super) fn restore(
        &mut self,
        default_threshold: Option<f32>,
        classes: impl Iterator<Item = Class>,
    ) -> &mut [i8] {
        self.used = 0;
        self.default_threshold = default_threshold;
        for (to, class) in self.classes.iter_mut().zip(classes) {
            *to = class;
            self.used += 1;
        }
        let len = self.example_count() * self.dim();
        &mut self.directions[..len]
    }

    /// Forgets everything, thresholds too.
    pub fn clear(&mut self) {
        self.used = 0;
        self.default_threshold = None;
    }

    /// The classes in order.
    pub fn classes(&self) -> &[Class] {
        &self.classes[..self.used]
    }

    /// A class.
    pub fn class(&self, class: u8) -> Result<&Class, SupportError> {
        let found = self.classes().get(usize::from(class));
        found.ok_or(SupportError::NoSuchClass { class })
    }

    /// Number of the sound called `name`.
    pub fn find(&self, name: &str) -> Option<u8> {
        self.position(|class| class.role == Role::Sound && class.name == name)
    }

    /// Number of the first class that is there for `role`.
    pub fn find_role(&self, role: Role) -> Option<u8> {
        self.position(|class| class.role == role)
    }

    fn position(&self, is_it: impl Fn(&Class) -> bool) -> Option<u8> {
        self.classes()
            .iter()
            .position(is_it)
            .map(|class| class as u8)
    }

    /// Name of a class; empty unless it is a sound.
    pub fn name(&self, class: u8) -> Result<&str, SupportError> {
        self.class(class).map(Class::name)
    }

    /// Number of classes.
    pub fn class_count(&self) -> usize {
        self.used
    }

    /// Number of examples of all classes together.
    pub fn example_count(&self) -> usize {
        self.classes().iter().map(Class::examples).sum()
    }

    /// Most examples that there is room for, of all classes together.
    pub fn example_capacity(&self) -> usize {
        // Counted with 16 bits.
        (self.directions.len() / self.dim()).min(u16::MAX.into())
    }

    /// Most classes that there is room for.
    pub fn class_capacity(&self) -> usize {
        self.classes.len().min(256)
    }

    /// Values of an example.
    pub fn dim(&self) -> usize {
        self.space.dim()
    }

    /// Number, counted over all classes, of the first example of `class`.
    fn start(&self, class: u8) -> Result<usize, SupportError> {
        self.class(class)?;
        let before = &self.classes[..usize::from(class)];
        Ok(before.iter().map(Class::examples).sum())
    }

    /// The examples of a class, in the order in which they came; none if there is no such class.
    pub fn examples(&self, class: u8) -> impl ExactSizeIterator<Item = &[i8]> + Clone {
        let start = self.start(class).unwrap_or(0);
        let count = self.class(class).map_or(0, Class::examples);
        self.rows(start, count)
    }

    fn rows(&self, start: usize, count: usize) -> impl ExactSizeIterator<Item = &[i8]> + Clone {
        let dim = self.dim();
        self.directions[start * dim..(start + count) * dim].chunks_exact(dim)
    }
}

fn class_name(name: &str) -> Result<ClassName, SupportError> {
    if name.is_empty() {
        return Err(SupportError::NameEmpty);
    }
    ClassName::try_from(name).map_err(|_| SupportError::NameTooLong { bytes: name.len() })
}

fn check_threshold(threshold: Option<f32>) -> Result<(), SupportError> {
    match threshold {
        Some(found) if !(-1.0..=1.0).contains(&found) => Err(SupportError::Threshold { found }),
        _ => Ok(()),
    }
}

/// Two sets are equal if they hold the same for the same backbone, whatever they have room for.
impl PartialEq for SupportSet<'_> {
    fn eq(&self, other: &Self) -> bool {
        let examples = |set: &Self| set.example_count() * set.dim();
        self.space.backbone() == other.space.backbone()
            && self.dim() == other.dim()
            && self.default_threshold == other.default_threshold
            && self.classes() == other.classes()
            && self.directions[..examples(self)] == other.directions[..examples(other)]
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
            Self::NameTaken { class } => {
                write!(f, "class {class} has this name: choose another one")
            }
            Self::NoName { role } => write!(f, "the class is for {role:?} and takes no name"),
            Self::NoSuchClass { class } => write!(f, "there is no class {class}"),
            Self::NoSuchExample { example } => write!(f, "the class has no example {example}"),
            Self::Length { expected, found } => {
                write!(f, "the example has {found} values instead of {expected}")
            }
            Self::NotADirection => {
                f.write_str("the example is not a direction: its parts do not peak at 127")
            }
            Self::Threshold { found } => {
                write!(
                    f,
                    "the threshold is {found}, expected a number from -1 to 1"
                )
            }
        }
    }
}

impl core::error::Error for SupportError {}

#[cfg(test)]
mod tests;
