//! The index's entries for examples.

use crate::fewshot::persist::layout::field::reference;

/// Names the record that holds an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// Key of the record.
    pub key: u16,
    /// Fingerprint of the example.
    pub fingerprint: u64,
}

impl Reference {
    fn read(entry: &[u8; reference::LEN]) -> Self {
        Self {
            key: reference::KEY.get(entry),
            fingerprint: reference::FINGERPRINT.get(entry),
        }
    }

    /// Returns the entry's bytes.
    pub fn emit(self) -> [u8; reference::LEN] {
        let mut entry = [0; reference::LEN];
        reference::KEY.set(&mut entry, self.key);
        reference::FINGERPRINT.set(&mut entry, self.fingerprint);
        entry
    }
}

/// Entries for examples, in the examples' order.
#[derive(Clone, Copy, Debug)]
pub(super) struct References<'a>(pub &'a [[u8; reference::LEN]]);

impl<'a> References<'a> {
    /// Takes the references of an index.
    pub fn of(section: &'a [u8]) -> Self {
        Self(section.as_chunks().0)
    }

    /// Returns the references in order.
    pub fn iter(self) -> impl Iterator<Item = Reference> + use<'a> {
        self.0.iter().map(Reference::read)
    }

    /// Tells whether a reference names the record with this key.
    pub fn holds(self, key: u16) -> bool {
        self.iter().any(|reference| reference.key == key)
    }

    /// Finds the record of an example.
    pub fn key_of(self, fingerprint: u64) -> Option<u16> {
        let mut references = self.iter();
        let found = references.find(|reference| reference.fingerprint == fingerprint);
        found.map(|reference| reference.key)
    }
}

/// Tells for each of some references whether its record is there as it was written: a bit for each.
#[derive(Debug)]
pub(super) struct WholeRecords<'s>(&'s mut [u8]);

impl<'s> WholeRecords<'s> {
    /// Returns the bytes that are needed for as many references.
    pub const fn len(references: usize) -> usize {
        references.div_ceil(8)
    }

    /// Begins with records of which none is known to be whole.
    pub fn none(bits: &'s mut [u8]) -> Self {
        bits.fill(0);
        Self(bits)
    }

    /// Begins anew.
    pub fn forget(&mut self) {
        self.0.fill(0);
    }

    /// Says whether the record of the reference with this number is whole. More references than there
    /// are bits have records that are not.
    pub fn set(&mut self, number: usize, whole: bool) {
        if let Some(bits) = self.0.get_mut(number / 8) {
            let bit = 1 << (number % 8);
            *bits = if whole { *bits | bit } else { *bits & !bit };
        }
    }

    fn contains(&self, number: usize) -> bool {
        let bits = self.0.get(number / 8);
        bits.is_some_and(|bits| bits >> (number % 8) & 1 == 1)
    }

    /// Returns those of `references` whose record is whole.
    pub fn of(&self, references: References<'_>) -> impl Iterator<Item = Reference> {
        let numbered = references.iter().enumerate();
        numbered.filter_map(|(number, reference)| self.contains(number).then_some(reference))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_whole_until_a_newer_one_is_not() {
        let entries = [1, 2, 3].map(|key| {
            Reference {
                key,
                fingerprint: u64::from(key) << 40,
            }
            .emit()
        });
        let references = References(&entries);
        let mut bits = [0xff; WholeRecords::len(3)];
        let mut whole = WholeRecords::none(&mut bits);
        assert_eq!(whole.of(references).count(), 0);
        for (number, is_whole) in [(0, true), (2, true), (0, false), (99, true)] {
            whole.set(number, is_whole);
        }
        let keys: Vec<u16> = whole
            .of(references)
            .map(|reference| reference.key)
            .collect();
        assert_eq!(keys, [3]);
        assert_eq!(references.key_of(2 << 40), Some(2));
        assert!(references.holds(1) && !references.holds(4));
    }
}
