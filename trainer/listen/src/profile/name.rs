//! Spellings of the name of a sound: the same letters are the same name, however they are composed.

use mtslvr_runtime::fewshot::{Class, ClassId, Role, SupportSet};
use std::borrow::Cow;
#[cfg(feature = "compose")]
use unicode_normalization::char::{canonical_combining_class, compose, decompose_canonical};

/// Returns `name` as it is: whoever leaves the feature `compose` out gives names in one spelling.
#[cfg(not(feature = "compose"))]
pub fn composed(name: &str) -> Cow<'_, str> {
    Cow::Borrowed(name)
}

/// Returns `name` in Unicode's normalisation form C (Unicode Standard Annex 15), in which names are
/// kept and compared. Keyboards and file systems compose letters differently.
#[cfg(feature = "compose")]
pub fn composed(name: &str) -> Cow<'_, str> {
    if name.is_ascii() {
        return Cow::Borrowed(name);
    }
    let mut letters = Vec::new();
    for letter in name.chars() {
        decompose_canonical(letter, |part| {
            letters.push((canonical_combining_class(part), part));
        });
    }
    // Marks behind a letter stand in the order of their classes; the order within a class counts.
    for marks in letters.chunk_by_mut(|_, (class, _)| *class != 0) {
        let first = usize::from(marks[0].0 == 0);
        marks[first..].sort_by_key(|(class, _)| *class);
    }
    Cow::Owned(recomposed(&letters))
}

/// Joins each letter with the marks that follow it, where there is a character for both: the canonical
/// composition algorithm of the Unicode Standard, section 3.11. The crate's own iterator does the same
/// and brings 60 KB of tables that this form does not need.
#[cfg(feature = "compose")]
fn recomposed(letters: &[(u8, char)]) -> String {
    let mut out: Vec<char> = Vec::with_capacity(letters.len());
    // Place of the last letter, and the class of what was put behind it.
    let (mut starter, mut last) = (None, 0);
    for &(class, letter) in letters {
        let blocked = last != 0 && last >= class;
        let joined = starter
            .filter(|_| !blocked)
            .and_then(|at: usize| Some((at, compose(out[at], letter)?)));
        match joined {
            // A letter joins the one before it only if nothing lies between.
            Some((at, both)) if class != 0 || out.len() == at + 1 => out[at] = both,
            _ => {
                if class == 0 {
                    starter = Some(out.len());
                }
                last = class;
                out.push(letter);
            }
        }
    }
    out.into_iter().collect()
}

/// Words that are no names, and the reason for each.
const RESERVED: [(&str, &str); 7] = [
    (
        "(negatives)",
        "it stands for what was enrolled with --negative",
    ),
    (
        "(background)",
        "it stands for what was enrolled with --background",
    ),
    (
        "right",
        "`review` takes it for the answer that a sound was recognised rightly",
    ),
    (
        "none",
        "`review` takes it for the answer that a sound was none of yours",
    ),
    ("quit", "`review` takes it for the end"),
    (
        "unknown",
        "`listen` and `classes test` say it of a sound that is none of yours",
    ),
    (
        "strangers",
        "`classes test` says it of the sounds that are none of yours",
    ),
];

/// Explains why a word cannot be the name of a sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{name}\" cannot be the name of a sound: {reason}; choose another name")]
pub struct ReservedName {
    /// The word.
    name: &'static str,
    /// Meaning that it has already.
    reason: &'static str,
}

/// Checks that `name` has no other meaning where names are read and shown. Spaces around it do not count.
///
/// # Errors
/// [`ReservedName`].
pub fn check_name(name: &str) -> Result<(), ReservedName> {
    let known = RESERVED.iter().find(|(word, _)| *word == name.trim());
    known.map_or(Ok(()), |&(name, reason)| Err(ReservedName { name, reason }))
}

/// Finds the sound called `name`, however either of the two is spelt.
pub fn find_sound(support: &SupportSet, name: &str) -> Option<ClassId> {
    let wanted = composed(name);
    let mut classes = support.classes().iter();
    let found =
        classes.find(|class| class.role() == Role::Sound && composed(class.name()) == wanted);
    found.map(Class::id)
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
    use unicode_normalization::UnicodeNormalization;

    #[test]
    fn words_with_another_meaning_are_no_names() {
        for (word, _) in RESERVED {
            let error = check_name(&format!(" {word} ")).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
        assert_eq!(check_name("right hand"), Ok(()));
        assert_eq!(check_name("negatives"), Ok(()));
    }

    #[cfg(feature = "compose")]
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
        assert_eq!(
            (composed(parts), composed("plain")),
            (whole.into(), "plain".into())
        );
        for text in [
            "\u{1112}\u{1161}\u{11ab}",
            "a\u{323}\u{307}\u{302}b",
            "a\u{302}\u{307}\u{323}",
            "\u{212b}\u{1e9b}\u{323} \u{f900}\u{0344}",
            "\u{301}\u{305}e\u{327}\u{301}",
            "\u{9c7}\u{9be}x\u{9c7}\u{301}\u{9be}",
            "\u{30ab}\u{3099}\u{1f1e6}\u{1d15e}",
        ] {
            let expected: String = text.nfc().collect();
            assert_eq!(composed(text), expected, "{text:?}");
            assert_eq!(composed(&expected), expected);
        }
        // A device keeps what it was given.
        let class = learner.enrol(parts, &[1.0, -1.0]).unwrap();
        let support = learner.support();
        assert_eq!(find_sound(support, whole), Some(class));
        assert_eq!(as_taught(support, whole), parts);
        assert_eq!(as_taught(support, "Gera\u{308}t"), "Ger\u{e4}t");
        assert_eq!(find_sound(support, "Tur"), None);
    }
}
