//! Spellings of the name of a sound: the same letters are the same name, however they are composed.

use mtslvr_runtime::fewshot::{ClassId, Role, SupportSet};
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;

/// Returns `name` in Unicode's normalisation form C (Unicode Standard Annex 15), in which names are
/// kept and compared. Keyboards and file systems compose letters differently.
pub fn composed(name: &str) -> Cow<'_, str> {
    if name.is_ascii() {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.nfc().collect())
}

/// Finds the sound called `name`, however either of the two is spelt.
pub fn find_sound(support: &SupportSet, name: &str) -> Option<ClassId> {
    let wanted = composed(name);
    let mut classes = support.classes().iter();
    let found = classes
        .find(|class| class.role() == Role::Sound && composed(class.name()) == wanted);
    found.map(|class| class.id())
}

/// Returns `name` as the sound of that name is spelt in `support`, or composed if there is none.
pub(super) fn as_taught(support: &SupportSet, name: &str) -> String {
    let known = find_sound(support, name).and_then(|class| support.name(class).ok());
    known.map_or_else(|| composed(name).into_owned(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::Memory;
    use super::*;
    use mtslvr_runtime::fewshot::persist::SnapshotHeader;
    use mtslvr_runtime::space::{BackboneId, Part, Parts};

    #[test]
    fn a_name_is_found_however_its_letters_are_composed() {
        let part = Part {
            name: "features",
            len: 2,
            share: 1.0,
        };
        let mut memory = Memory::for_snapshot(&SnapshotHeader {
            backbone: BackboneId::new([7; 32]),
            parts: Parts::new([part]).unwrap(),
            classes: 0,
            examples: 0,
        });
        let mut learner = memory.learner();
        let (whole, parts) = ("T\u{fc}r", "Tu\u{308}r");
        assert_eq!((composed(parts), composed("plain")), (whole.into(), "plain".into()));
        // A device keeps what it was given.
        let class = learner.enrol(parts, &[1.0, -1.0]).unwrap();
        let support = learner.support();
        assert_eq!(find_sound(support, whole), Some(class));
        assert_eq!(as_taught(support, whole), parts);
        assert_eq!(as_taught(support, "Gera\u{308}t"), "Ger\u{e4}t");
        assert_eq!(find_sound(support, "Tur"), None);
    }
}
