//! Describes a backbone's embeddings: which backbone makes them, from which features, which named parts
//! they have, and how alike unrelated sounds are.

use core::fmt;
use core::ops::Range;

use crate::fewshot::Reference;
use crate::frontend::FrontendConfig;
use crate::model::Cohort;

/// Largest number of parts of an embedding.
pub const MAX_PARTS: usize = 8;

/// Largest length of a part's name, bytes of UTF-8.
pub const PART_NAME_BYTES: usize = 32;

/// Identifies a backbone: the SHA-256 hash of its contents.
///
/// Embeddings of two backbones cannot be compared, so everything that was taught names the backbone
/// it was taught under.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackboneId([u8; Self::LEN]);

impl BackboneId {
    /// Bytes of an id.
    pub const LEN: usize = 32;

    /// Takes the bytes of a SHA-256 hash.
    pub const fn new(hash: [u8; Self::LEN]) -> Self {
        Self(hash)
    }

    /// Returns the bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// Writes the first 8 bytes as 16 hexadecimal digits, enough to tell backbones apart by eye.
impl fmt::Display for BackboneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BackboneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackboneId({self})")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for BackboneId {
    fn format(&self, f: defmt::Formatter<'_>) {
        let first = self.0.first_chunk().copied().unwrap_or_default();
        defmt::write!(f, "{=u64:016x}", u64::from_be_bytes(first));
    }
}

/// A named run of values of an embedding, such as the `invariant` or the `equivariant` features.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Part<'m> {
    /// Name, 1 to [`PART_NAME_BYTES`] bytes; no two parts of an embedding have the same one.
    pub name: &'m str,
    /// Number of values, at least 1.
    pub len: usize,
    /// Share in the similarity of two embeddings, 0 to 1. The shares of all parts add up to 1.
    pub share: f32,
}

impl Part<'_> {
    const UNUSED: Self = Self {
        name: "",
        len: 0,
        share: 0.0,
    };
}

/// The parts of an embedding, in the order in which they lie in it.
#[derive(Clone, Copy, PartialEq)]
pub struct Parts<'m> {
    /// The first `count` are in use; the others are [`Part::UNUSED`].
    parts: [Part<'m>; MAX_PARTS],
    count: usize,
}

/// Explains why a list of parts cannot describe an embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PartsError {
    /// There is no part, or there are more than [`MAX_PARTS`].
    #[error("an embedding has 1 to {MAX_PARTS} parts")]
    Count,
    /// A name is empty, longer than [`PART_NAME_BYTES`], or used twice.
    #[error("a part's name is empty, longer than {PART_NAME_BYTES} bytes, or used twice")]
    Name,
    /// A part has no values, or all together have more than 65,535.
    #[error("a part has no values, or all together have more than 65,535")]
    Len,
    /// A share is not from 0 to 1, or the shares do not add up to 1 (to one in a thousand).
    #[error("the shares of the parts are not from 0 to 1, or do not add up to 1")]
    Share,
}

impl<'m> Parts<'m> {
    /// Checks a list of parts and takes it.
    ///
    /// # Errors
    /// [`PartsError`]: the rule of [`Part`] that is broken.
    pub fn new(parts: impl IntoIterator<Item = Part<'m>>) -> Result<Self, PartsError> {
        let mut checked = Self {
            parts: [Part::UNUSED; MAX_PARTS],
            count: 0,
        };
        let (mut dim, mut shares) = (0_usize, 0.0_f32);
        for part in parts {
            let named = (1..=PART_NAME_BYTES).contains(&part.name.len());
            if !named
                || checked
                    .as_slice()
                    .iter()
                    .any(|other| other.name == part.name)
            {
                return Err(PartsError::Name);
            }
            dim = dim.checked_add(part.len).ok_or(PartsError::Len)?;
            if part.len == 0 || dim > usize::from(u16::MAX) {
                return Err(PartsError::Len);
            }
            if !(0.0..=1.0).contains(&part.share) {
                return Err(PartsError::Share);
            }
            shares += part.share;
            let place = checked.parts.get_mut(checked.count);
            *place.ok_or(PartsError::Count)? = part;
            checked.count += 1;
        }
        if checked.count == 0 {
            return Err(PartsError::Count);
        }
        if (shares - 1.0).abs() > 1e-3 {
            return Err(PartsError::Share);
        }
        Ok(checked)
    }

    /// Returns the number of values of a whole embedding.
    pub fn dim(&self) -> usize {
        self.as_slice().iter().map(|part| part.len).sum()
    }

    /// Returns the parts as a slice.
    pub fn as_slice(&self) -> &[Part<'m>] {
        self.parts.get(..self.count).unwrap_or_default()
    }

    /// Returns the parts, each with the range of its values in an embedding.
    pub fn ranges(&self) -> impl Iterator<Item = (&Part<'m>, Range<usize>)> {
        self.as_slice().iter().scan(0, |start, part| {
            let range = *start..*start + part.len;
            *start = range.end;
            Some((part, range))
        })
    }

    /// Returns the range of the values of the part called `name`.
    pub fn range_of(&self, name: &str) -> Option<Range<usize>> {
        self.ranges()
            .find_map(|(part, range)| (part.name == name).then_some(range))
    }
}

impl fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Parts<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        self.as_slice().format(f);
    }
}

/// Describes the embeddings of a backbone: everything that features, heads and decisions need to know.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EmbeddingSpace<'m> {
    backbone: BackboneId,
    frontend: FrontendConfig,
    parts: Parts<'m>,
    base_mean: &'m [f32],
    reference: Reference,
    cohort: Option<Cohort<'m>>,
}

impl<'m> EmbeddingSpace<'m> {
    /// Describes a space in which `base_mean` is the mean embedding of ordinary audio.
    ///
    /// Returns `None` if `base_mean` is not as long as an embedding of these parts.
    pub fn new(
        backbone: BackboneId,
        frontend: FrontendConfig,
        parts: Parts<'m>,
        base_mean: &'m [f32],
        reference: Reference,
    ) -> Option<Self> {
        (base_mean.len() == parts.dim()).then_some(Self {
            backbone,
            frontend,
            parts,
            base_mean,
            reference,
            cohort: None,
        })
    }

    /// Adds directions of ordinary sounds, or takes them away. The reference must have been measured
    /// with the same ones.
    ///
    /// Returns `None` if a direction is not as long as an embedding, or has weights of other parts.
    pub fn with_cohort(self, cohort: Option<Cohort<'m>>) -> Option<Self> {
        let parts = self.parts.as_slice().len();
        let fits = cohort.is_none_or(|cohort| {
            cohort.dim() == self.dim() && [0, parts].contains(&cohort.weights_of(0).len())
        });
        fits.then_some(Self { cohort, ..self })
    }

    /// Returns the id of the backbone that makes the embeddings.
    pub fn backbone(&self) -> BackboneId {
        self.backbone
    }

    /// Returns the parameters of the features that the backbone takes.
    pub fn frontend(&self) -> &FrontendConfig {
        &self.frontend
    }

    /// Returns the named parts of an embedding.
    pub fn parts(&self) -> &Parts<'m> {
        &self.parts
    }

    /// Returns the number of values of an embedding.
    pub fn dim(&self) -> usize {
        self.base_mean.len()
    }

    /// Returns the mean embedding of ordinary audio, which heads subtract: [`Self::dim`] values.
    pub fn base_mean(&self) -> &'m [f32] {
        self.base_mean
    }

    /// Returns how alike the embeddings of unrelated sounds are. With a cohort, that is the distribution
    /// of similarities less [`Metric::level`](crate::fewshot::Metric::level).
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// Returns directions of ordinary sounds, which a query is compared with beside the sounds that were
    /// taught, if there are any.
    pub fn cohort(&self) -> Option<Cohort<'m>> {
        self.cohort
    }

    /// Copies what it borrows.
    #[cfg(feature = "std")]
    pub fn into_owned(self) -> OwnedSpace {
        let parts = self.parts.as_slice().iter();
        OwnedSpace {
            backbone: self.backbone,
            frontend: self.frontend,
            parts: parts
                .map(|part| (part.name.to_owned(), part.len, part.share))
                .collect(),
            base_mean: self.base_mean.to_vec(),
            reference: self.reference,
            cohort: self
                .cohort
                .map_or(Vec::new(), |cohort| cohort.as_slice().to_vec()),
            cohort_weights: self
                .cohort
                .map_or(Vec::new(), |cohort| cohort.weights().to_vec()),
        }
    }
}

/// An [`EmbeddingSpace`] that owns its names and its base mean, for hosts.
#[cfg(feature = "std")]
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedSpace {
    backbone: BackboneId,
    frontend: FrontendConfig,
    /// Names, lengths and shares, which [`Parts::new`] has checked.
    parts: Vec<(String, usize, f32)>,
    base_mean: Vec<f32>,
    reference: Reference,
    /// Directions of the cohort, one after the other; empty for none.
    cohort: Vec<i8>,
    /// Rows of weights of the parts, one for each direction; empty for none.
    cohort_weights: Vec<u8>,
}

#[cfg(feature = "std")]
impl OwnedSpace {
    /// Returns the number of values of an embedding.
    pub fn dim(&self) -> usize {
        self.base_mean.len()
    }

    /// Lends the description.
    pub fn as_space(&self) -> EmbeddingSpace<'_> {
        let mut parts = Parts {
            parts: [Part::UNUSED; MAX_PARTS],
            count: self.parts.len(),
        };
        for (to, (name, len, share)) in parts.parts.iter_mut().zip(&self.parts) {
            *to = Part {
                name,
                len: *len,
                share: *share,
            };
        }
        EmbeddingSpace {
            backbone: self.backbone,
            frontend: self.frontend,
            parts,
            base_mean: &self.base_mean,
            reference: self.reference,
            cohort: Cohort::new(&self.cohort, self.base_mean.len()).map(|cohort| {
                let weighted = cohort.with_weights(&self.cohort_weights, self.parts.len());
                weighted.unwrap_or(cohort)
            }),
        }
    }
}

/// Spaces for unit tests.
#[cfg(test)]
pub(crate) mod test_space {
    use super::*;

    pub const FRONTEND: FrontendConfig = FrontendConfig {
        sample_rate: 8000,
        window: 64,
        hop: 32,
        mels: 8,
        frames: 10,
        f_min: 50.0,
        f_max: 3900.0,
        floor: 1e-6,
        mean: 0.0,
        scale: 1.0,
        form: crate::frontend::FrontendForm::PLAIN,
    };

    /// Parts of these lengths that count the same, called `a`, `b` and so on.
    pub fn parts(lens: &[usize]) -> Parts<'static> {
        let share = 1.0 / lens.len() as f32;
        let names = ["a", "b", "c", "d"].into_iter().zip(lens);
        Parts::new(names.map(|(name, &len)| Part { name, len, share })).unwrap()
    }

    /// A space of such parts around `base_mean`.
    pub fn space<'m>(
        lens: &[usize],
        base_mean: &'m [f32],
        reference: Reference,
    ) -> EmbeddingSpace<'m> {
        let id = BackboneId::new([1; BackboneId::LEN]);
        EmbeddingSpace::new(id, FRONTEND, parts(lens), base_mean, reference).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, len: usize, share: f32) -> Part<'_> {
        Part { name, len, share }
    }

    #[test]
    fn parts_follow_each_other() {
        let parts = Parts::new([part("invariant", 3, 0.7), part("events", 2, 0.3)]).unwrap();
        assert_eq!(parts.dim(), 5);
        assert_eq!(parts.range_of("events"), Some(3..5));
        assert_eq!(parts.range_of("speech"), None);
    }

    #[test]
    fn a_cohort_is_as_long_as_embeddings_and_is_kept() {
        let space = test_space::space(&[2], &[0.0; 2], Reference::assumed(0.5));
        let cohort = |values| Cohort::new(values, 2);
        let with = space.with_cohort(cohort(&[127, 1, 3, 127])).unwrap();
        assert_eq!(with.cohort().unwrap().len(), 2);
        assert_eq!(with.into_owned().as_space(), with);
        assert_eq!(with.with_cohort(None), Some(space));
        assert_eq!(space.into_owned().as_space(), space);
        assert_eq!(space.with_cohort(Cohort::new(&[127; 3], 3)), None);
    }

    #[test]
    fn unusable_parts_are_refused() {
        use PartsError as E;
        let refused = |parts: &[Part<'static>]| Parts::new(parts.iter().copied()).unwrap_err();
        assert_eq!(refused(&[]), E::Count);
        assert_eq!(refused(&[part("", 3, 1.0)]), E::Name);
        assert_eq!(refused(&[part("a", 1, 0.5), part("a", 1, 0.5)]), E::Name);
        assert_eq!(refused(&[part("a", 0, 1.0)]), E::Len);
        assert_eq!(
            refused(&[part("a", 65_535, 0.5), part("b", 1, 0.5)]),
            E::Len
        );
        assert_eq!(refused(&[part("a", 3, f32::NAN)]), E::Share);
        assert_eq!(refused(&[part("a", 3, 0.5), part("b", 3, 0.4)]), E::Share);
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        let nine = names.map(|name| part(name, 1, 1.0 / 9.0));
        assert_eq!(refused(&nine), E::Count);
    }
}
