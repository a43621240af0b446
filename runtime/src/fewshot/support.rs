//! The examples that a device has been taught, by class.

use super::class::{CLASS_NAME_BYTES, Class, ClassId, ClassName, NameFault, Role};
use super::direction::is_direction;
use crate::space::EmbeddingSpace;

/// Named classes with their examples, each a direction ([`super::direction`]).
///
/// Classes stand in the order of their first example; the examples of a class stand together, in the
/// order in which they came. Removing one closes the gap. So answers depend only on the content of a
/// set: one from which a class has been removed answers like the set that never had it. A class is
/// named by its [`ClassId`], which such changes leave alone.
#[derive(Debug)]
pub struct SupportSet<'b> {
    /// The first `used` are in use.
    classes: &'b mut [Class],
    used: usize,
    /// The examples, class after class.
    directions: &'b mut [i8],
    space: EmbeddingSpace<'b>,
    default_threshold: Option<f32>,
    /// The next class gets this id, or the first one after it that no class has.
    next_id: ClassId,
}

/// Explains why a support set could not be changed. It is then unchanged.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SupportError {
    /// There is no room for another class.
    #[error("all {capacity} classes are taken: remove one first")]
    TooManyClasses {
        /// Most classes that there is room for; never more than 256.
        capacity: usize,
    },
    /// There is no room for another example.
    #[error("all {capacity} examples are taken: remove a class first")]
    TooManyExamples {
        /// Most examples that there is room for, of all classes together.
        capacity: usize,
    },
    /// The name is longer than [`CLASS_NAME_BYTES`].
    #[error("the name has {bytes} bytes, at most {CLASS_NAME_BYTES} fit")]
    NameTooLong {
        /// Length of the name in bytes.
        bytes: usize,
    },
    /// The name is empty.
    #[error("the class needs a name")]
    NameEmpty,
    /// The name shows nothing, or is one of the folders `.` and `..`.
    #[error("the name is blank, `.` or `..`: choose one that can be read")]
    NameUnreadable,
    /// The name has a character that steers a terminal or changes the direction of text.
    #[error("the name has the control character U+{code:04X}: leave it out")]
    NameControl {
        /// The character's number in Unicode.
        code: u32,
    },
    /// Another class has the name.
    #[error("class {class} has this name: choose another one")]
    NameTaken {
        /// That class.
        class: ClassId,
    },
    /// Negatives and background have no name.
    #[error("the class is for {role:?} and takes no name")]
    NoName {
        /// What the class is for.
        role: Role,
    },
    /// No class has this id.
    #[error("there is no class {class}")]
    NoSuchClass {
        /// The id asked for.
        class: ClassId,
    },
    /// The class has no example with this number.
    #[error("the class has no example {example}")]
    NoSuchExample {
        /// The number asked for, counted from 0 within the class.
        example: usize,
    },
    /// The example does not have as many values as the backbone's embeddings.
    #[error("the example has {found} values instead of {expected}")]
    Length {
        /// Values of an embedding.
        expected: usize,
        /// Values of the example.
        found: usize,
    },
    /// The example is not as [`super::direction`] makes it.
    #[error("the example is not a direction: its parts do not peak at 127")]
    NotADirection,
    /// The threshold is not a number from -1 to 1.
    #[error("the threshold is {found}, expected a number from -1 to 1")]
    Threshold {
        /// The number found.
        found: f32,
    },
}

impl<'b> SupportSet<'b> {
    /// Makes an empty set of directions of embeddings of `space`, with room for as many classes and
    /// examples as the slices hold.
    pub(super) fn new(
        classes: &'b mut [Class],
        directions: &'b mut [i8],
        space: &EmbeddingSpace<'b>,
    ) -> Self {
        Self {
            classes,
            used: 0,
            directions,
            space: *space,
            default_threshold: None,
            next_id: ClassId::new(0),
        }
    }

    /// Describes the embeddings that the examples are directions of.
    pub fn space(&self) -> &EmbeddingSpace<'b> {
        &self.space
    }

    /// Adds an example to the sound called `name` and returns its class, which is made if it is new.
    ///
    /// # Errors
    /// [`SupportError`]: no room, no name that fits, or no direction.
    pub fn enrol(&mut self, name: &str, direction: &[i8]) -> Result<ClassId, SupportError> {
        match self.find(name) {
            Some(class) => self.add_example(class, direction).map(|()| class),
            None => self.add_class(class_name(name)?, Role::Sound, direction),
        }
    }

    /// Adds an example to the class that is there for `role`, [`Role::Negatives`] or
    /// [`Role::Background`], and returns that class, which is made if it is new.
    ///
    /// # Errors
    /// [`SupportError`]: no room, no direction, or the role of a sound, which needs a name.
    pub fn enrol_role(&mut self, role: Role, direction: &[i8]) -> Result<ClassId, SupportError> {
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
    ) -> Result<ClassId, SupportError> {
        let capacity = self.class_capacity();
        if self.used >= capacity {
            return Err(SupportError::TooManyClasses { capacity });
        }
        self.insert(self.example_count(), direction)?;
        let id = self.free_id();
        self.classes[self.used] = Class {
            id,
            name,
            role,
            examples: 1,
            ..Class::EMPTY
        };
        self.used += 1;
        self.next_id = ClassId::new(id.get().wrapping_add(1));
        Ok(id)
    }

    /// Returns the first id from `next_id` on that no class has; there are far more ids than classes.
    fn free_id(&self) -> ClassId {
        let mut id = self.next_id;
        while self.classes().iter().any(|class| class.id == id) {
            id = ClassId::new(id.get().wrapping_add(1));
        }
        id
    }

    /// Adds an example to a class.
    ///
    /// # Errors
    /// [`SupportError`]: no such class, no room, or no direction.
    pub fn add_example(&mut self, class: ClassId, direction: &[i8]) -> Result<(), SupportError> {
        let place = self.place(class)?;
        self.insert(self.start(place + 1), direction)?;
        self.classes[place].examples += 1;
        Ok(())
    }

    /// Puts an example where the one with the number `at` is, moving that and those after it.
    fn insert(&mut self, at: usize, direction: &[i8]) -> Result<(), SupportError> {
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
        let (start, end) = (at * dim, count * dim);
        self.directions.copy_within(start..end, start + dim);
        self.directions[start..start + dim].copy_from_slice(direction);
        Ok(())
    }

    /// Removes a class with its examples. The others keep their ids.
    ///
    /// # Errors
    /// [`SupportError::NoSuchClass`].
    pub fn remove(&mut self, class: ClassId) -> Result<(), SupportError> {
        let place = self.place(class)?;
        self.close(self.start(place), self.classes[place].examples());
        self.classes[place..self.used].rotate_left(1);
        self.used -= 1;
        Ok(())
    }

    /// Removes an example, counted from 0 within its class; with its last example goes the class.
    ///
    /// # Errors
    /// [`SupportError::NoSuchClass`] or [`SupportError::NoSuchExample`].
    pub fn remove_example(&mut self, class: ClassId, example: usize) -> Result<(), SupportError> {
        let place = self.place(class)?;
        let count = self.classes[place].examples();
        if example >= count {
            return Err(SupportError::NoSuchExample { example });
        }
        if count == 1 {
            return self.remove(class);
        }
        self.close(self.start(place) + example, 1);
        self.classes[place].examples -= 1;
        Ok(())
    }

    /// Moves the examples behind `at + count` to `at`.
    fn close(&mut self, at: usize, count: usize) {
        let dim = self.dim();
        let end = self.example_count() * dim;
        let from = (at + count) * dim;
        self.directions.copy_within(from..end, at * dim);
    }

    /// Gives a sound another name.
    ///
    /// # Errors
    /// [`SupportError`]: no such class, one that takes no name, or a name that is taken or does not fit.
    pub fn rename(&mut self, class: ClassId, name: &str) -> Result<(), SupportError> {
        let place = self.place(class)?;
        let role = self.classes[place].role;
        if role != Role::Sound {
            return Err(SupportError::NoName { role });
        }
        let name = class_name(name)?;
        match self.find(&name) {
            Some(other) if other != class => Err(SupportError::NameTaken { class: other }),
            _ => {
                self.classes[place].name = name;
                Ok(())
            }
        }
    }

    /// Lets a class take part, or not: while it does not, it is kept but counts for nothing.
    ///
    /// # Errors
    /// [`SupportError::NoSuchClass`].
    pub fn set_enabled(&mut self, class: ClassId, enabled: bool) -> Result<(), SupportError> {
        let place = self.place(class)?;
        self.classes[place].disabled = !enabled;
        Ok(())
    }

    /// Sets the smallest similarity, -1 to 1, at which a query belongs to the class; `None` leaves it
    /// to the learner.
    ///
    /// # Errors
    /// [`SupportError::NoSuchClass`] or [`SupportError::Threshold`].
    pub fn set_threshold(
        &mut self,
        class: ClassId,
        threshold: Option<f32>,
    ) -> Result<(), SupportError> {
        let place = self.place(class)?;
        check_threshold(threshold)?;
        self.classes[place].threshold = threshold;
        Ok(())
    }

    /// Sets the smallest similarity, -1 to 1, at which a query belongs to a class without a threshold
    /// of its own; `None` leaves it to the learner.
    ///
    /// # Errors
    /// [`SupportError::Threshold`].
    pub fn set_default_threshold(&mut self, threshold: Option<f32>) -> Result<(), SupportError> {
        check_threshold(threshold)?;
        self.default_threshold = threshold;
        Ok(())
    }

    /// Returns the threshold that [`Self::set_default_threshold`] set.
    pub fn default_threshold(&self) -> Option<f32> {
        self.default_threshold
    }

    /// Replaces the content by `classes` and returns the room for their examples, which must be
    /// filled. There must be room, and every class must be as this set would have made it.
    pub(super) fn restore(
        &mut self,
        default_threshold: Option<f32>,
        next_id: ClassId,
        classes: impl Iterator<Item = Class>,
    ) -> &mut [i8] {
        self.used = 0;
        self.default_threshold = default_threshold;
        self.next_id = next_id;
        for (to, class) in self.classes.iter_mut().zip(classes) {
            *to = class;
            self.used += 1;
        }
        let len = self.example_count() * self.dim();
        &mut self.directions[..len]
    }

    /// Forgets everything, thresholds too. Ids that have been given are not given again.
    pub fn clear(&mut self) {
        self.used = 0;
        self.default_threshold = None;
    }

    /// Returns the classes in order.
    pub fn classes(&self) -> &[Class] {
        self.classes.get(..self.used).unwrap_or_default()
    }

    /// Returns a class.
    ///
    /// # Errors
    /// [`SupportError::NoSuchClass`].
    pub fn class(&self, class: ClassId) -> Result<&Class, SupportError> {
        let mut classes = self.classes().iter();
        let known = classes.find(|other| other.id == class);
        known.ok_or(SupportError::NoSuchClass { class })
    }

    /// Finds the sound called `name`.
    pub fn find(&self, name: &str) -> Option<ClassId> {
        self.find_class(|class| class.role == Role::Sound && class.name == name)
    }

    /// Finds the first class that is there for `role`.
    pub fn find_role(&self, role: Role) -> Option<ClassId> {
        self.find_class(|class| class.role == role)
    }

    fn find_class(&self, is_it: impl Fn(&&Class) -> bool) -> Option<ClassId> {
        self.classes().iter().find(is_it).map(Class::id)
    }

    /// Returns the name of a class; empty unless it is a sound.
    ///
    /// # Errors
    /// [`SupportError::NoSuchClass`].
    pub fn name(&self, class: ClassId) -> Result<&str, SupportError> {
        self.class(class).map(Class::name)
    }

    /// Returns the number of classes.
    pub fn class_count(&self) -> usize {
        self.used
    }

    /// Returns the number of examples of all classes together.
    pub fn example_count(&self) -> usize {
        self.start(self.used)
    }

    /// Returns the largest number of examples that there is room for, of all classes together.
    pub fn example_capacity(&self) -> usize {
        // Counted with 16 bits.
        (self.directions.len() / self.dim()).min(u16::MAX.into())
    }

    /// Returns the largest number of classes that there is room for.
    pub fn class_capacity(&self) -> usize {
        self.classes.len().min(256)
    }

    /// Returns the number of values of an example.
    pub fn dim(&self) -> usize {
        self.space.dim()
    }

    /// Returns the examples of a class, in the order in which they came; none if there is no such class.
    pub fn examples(&self, class: ClassId) -> impl ExactSizeIterator<Item = &[i8]> + Clone {
        self.examples_at(self.place(class).unwrap_or(self.used))
    }

    /// Returns the examples of all classes, class after class.
    pub(super) fn all_examples(&self) -> &[i8] {
        &self.directions[..self.example_count() * self.dim()]
    }

    /// Returns the examples of the class at `place` of [`Self::classes`]; none behind the last.
    pub(super) fn examples_at(&self, place: usize) -> impl ExactSizeIterator<Item = &[i8]> + Clone {
        let (start, end) = (self.start(place), self.start(place + 1));
        let dim = self.dim();
        let examples = self.directions.get(start * dim..end * dim);
        examples.unwrap_or_default().chunks_exact(dim.max(1))
    }

    /// Returns the place of a class in [`Self::classes`].
    fn place(&self, class: ClassId) -> Result<usize, SupportError> {
        let place = self.classes().iter().position(|other| other.id == class);
        place.ok_or(SupportError::NoSuchClass { class })
    }

    /// Returns the number, counted over all classes, of the first example of the class at `place`.
    fn start(&self, place: usize) -> usize {
        let before = self.classes().iter().take(place);
        before.map(Class::examples).sum()
    }

    /// Returns the id from which on the next class gets the first that is free.
    pub(super) fn next_id(&self) -> ClassId {
        self.next_id
    }
}

fn class_name(name: &str) -> Result<ClassName, SupportError> {
    match NameFault::of(name) {
        Some(NameFault::Empty) => Err(SupportError::NameEmpty),
        Some(NameFault::Unreadable) => Err(SupportError::NameUnreadable),
        Some(NameFault::Control(code)) => Err(SupportError::NameControl { code }),
        None => {
            ClassName::try_from(name).map_err(|_| SupportError::NameTooLong { bytes: name.len() })
        }
    }
}

fn check_threshold(threshold: Option<f32>) -> Result<(), SupportError> {
    match threshold {
        Some(found) if !(-1.0..=1.0).contains(&found) => Err(SupportError::Threshold { found }),
        _ => Ok(()),
    }
}

/// Two sets are equal if they hold the same for the same backbone, ids included, whatever they have
/// room for.
impl PartialEq for SupportSet<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.space.backbone() == other.space.backbone()
            && self.dim() == other.dim()
            && self.default_threshold == other.default_threshold
            && self.classes() == other.classes()
            && self.all_examples() == other.all_examples()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for SupportSet<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let examples = self.example_count();
        defmt::write!(
            f,
            "SupportSet {{ classes: {}, examples: {} }}",
            self.classes(),
            examples
        );
    }
}

#[cfg(test)]
mod tests;
