//! Lists, names and removes what was taught.

use crate::boundary::{self, MTSLVR_NAME_SIZE, Out, name_out, result};
use crate::error::{Error, Outcome};
use crate::recogniser::{self, Mtslvr, Role};
use core::ffi::c_char;
use mtslvr_runtime::fewshot::{Class as Taught, ClassId, Learner, Role as ClassRole, SupportSet};

/// A class that was taught.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Class {
    /// Names the class for as long as it exists: through renaming, saving, and the removal of others.
    pub id: u16,
    /// Examples of the class.
    pub examples: u16,
    /// One of mtslvr_role.
    pub role: i32,
    /// False if the class takes no part.
    pub enabled: bool,
    /// True if the threshold was set, false if it follows from the examples.
    pub threshold_is_set: bool,
    /// Smallest similarity, -1 to 1, at which a sound is of this class.
    pub threshold: f32,
    /// Name, with a zero at its end; empty for negatives and background.
    pub name: [c_char; MTSLVR_NAME_SIZE],
}

impl Class {
    fn of(class: &Taught, learner: &Learner<'_>) -> Self {
        let role = match class.role() {
            ClassRole::Negatives => Role::Negatives,
            ClassRole::Background => Role::Background,
            _ => Role::Sound,
        };
        Self {
            id: class.id().get(),
            examples: u16::try_from(class.examples()).unwrap_or(u16::MAX),
            role: role as i32,
            enabled: class.is_enabled(),
            threshold_is_set: class.threshold().is_some(),
            threshold: learner.threshold(class.id()),
            name: name_out(class.name()),
        }
    }
}

/// Describes the class at `place`, 0 to the number of classes in mtslvr_info. Places are in the order of the
/// first examples and change when a class is removed; ids do not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_class_at(
    m: *mut Mtslvr,
    place: usize,
    described: *mut Class,
) -> Error {
    // SAFETY: the rules of all calls.
    result(unsafe {
        recogniser::with(m, |recogniser| {
            let learner = &recogniser.sounds;
            let found = learner.support().classes().get(place);
            let found = found.ok_or(Error::NoSuchClass)?;
            Out::new(described)?.put(Class::of(found, learner));
            Ok(())
        })
    })
}

/// Describes the class with this id.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_class_get(
    m: *mut Mtslvr,
    class_id: u16,
    described: *mut Class,
) -> Error {
    // SAFETY: the rules of all calls.
    result(unsafe {
        recogniser::with(m, |recogniser| {
            let learner = &recogniser.sounds;
            let found = learner.support().class(ClassId::new(class_id))?;
            Out::new(described)?.put(Class::of(found, learner));
            Ok(())
        })
    })
}

/// Finds the id of the sound called `name`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_class_find(
    m: *mut Mtslvr,
    name: *const c_char,
    class_id: *mut u16,
) -> Error {
    // SAFETY: the rules of all calls.
    result(unsafe {
        recogniser::with(m, |recogniser| {
            let found = recogniser.sounds.support().find(boundary::name(name)?);
            Out::new(class_id)?.put(found.ok_or(Error::NoSuchClass)?.get());
            Ok(())
        })
    })
}

/// Does `work` with what was taught.
///
/// # Safety
/// As the rules of all calls say.
unsafe fn change(m: *mut Mtslvr, work: impl FnOnce(&mut SupportSet<'static>) -> Outcome) -> Error {
    // SAFETY: the caller promises the same.
    result(unsafe { recogniser::with(m, |recogniser| work(recogniser.sounds.support_mut())) })
}

/// Gives a sound another name. mtslvr_fit is due afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_class_rename(
    m: *mut Mtslvr,
    class_id: u16,
    name: *const c_char,
) -> Error {
    // SAFETY: the rules of all calls.
    unsafe {
        change(m, |support| {
            Ok(support.rename(ClassId::new(class_id), boundary::name(name)?)?)
        })
    }
}

/// Removes a class with its examples. mtslvr_fit is due afterwards, and gives what it would give had the
/// class never been there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_class_remove(m: *mut Mtslvr, class_id: u16) -> Error {
    // SAFETY: the rules of all calls.
    unsafe { change(m, |support| Ok(support.remove(ClassId::new(class_id))?)) }
}

/// Removes an example, counted from 0 within its class; with its last example goes the class. mtslvr_fit is
/// due afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_class_remove_example(
    m: *mut Mtslvr,
    class_id: u16,
    example: usize,
) -> Error {
    // SAFETY: the rules of all calls.
    unsafe {
        change(m, |support| {
            Ok(support.remove_example(ClassId::new(class_id), example)?)
        })
    }
}

/// Lets a class take part, or not: while it does not, it is kept but counts for nothing. mtslvr_fit is due
/// afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_class_enable(
    m: *mut Mtslvr,
    class_id: u16,
    enabled: bool,
) -> Error {
    // SAFETY: the rules of all calls.
    unsafe {
        change(m, |support| {
            Ok(support.set_enabled(ClassId::new(class_id), enabled)?)
        })
    }
}

/// Removes all classes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_clear(m: *mut Mtslvr) -> Error {
    // SAFETY: the rules of all calls.
    unsafe {
        change(m, |support| {
            support.clear();
            Ok(())
        })
    }
}

/// Sets the smallest similarity, -1 to 1, at which a sound is of the class, instead of the one that
/// follows from the examples. No new fit is due.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_class_set_threshold(
    m: *mut Mtslvr,
    class_id: u16,
    threshold: f32,
) -> Error {
    // SAFETY: the rules of all calls.
    unsafe { set_threshold(m, class_id, Some(threshold)) }
}

/// Lets the threshold of the class follow from the examples again. No new fit is due.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mtslvr_class_reset_threshold(m: *mut Mtslvr, class_id: u16) -> Error {
    // SAFETY: the rules of all calls.
    unsafe { set_threshold(m, class_id, None) }
}

/// Sets a class's threshold.
///
/// # Safety
/// As the rules of all calls say.
unsafe fn set_threshold(m: *mut Mtslvr, class_id: u16, threshold: Option<f32>) -> Error {
    // SAFETY: the caller promises the same.
    result(unsafe {
        recogniser::with(m, |recogniser| {
            let class = ClassId::new(class_id);
            Ok(recogniser.sounds.set_class_threshold(class, threshold)?)
        })
    })
}
