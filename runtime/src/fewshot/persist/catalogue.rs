//! What snapshots and flash records have in common: a header, the classes, and a checksum behind
//! what differs. `SNAPSHOT.md` has the layout.

use super::RestoreError;
use crate::fewshot::class::{Class, ClassName, Role};
use crate::fewshot::support::SupportSet;
use crate::model::Crc32;
use crate::space::BackboneId;

/// Version of the snapshot format that is written; all up to it are read.
pub const SNAPSHOT_VERSION: u16 = 1;

const HEADER_LEN: usize = 20 + BackboneId::LEN;
/// Of a class, without its name.
const CLASS_LEN: usize = 9;
pub(super) const CHECKSUM_LEN: usize = 4;
/// Bits of a threshold that is not set.
const NO_THRESHOLD: u32 = 0x7fc0_0000;

/// Which kind of bytes follows the classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// The examples themselves.
    Examples,
    /// References to records of examples, as many bytes each.
    #[cfg(feature = "flash")]
    References(usize),
}

impl Payload {
    const fn magic(self) -> [u8; 4] {
        match self {
            Self::Examples => *b"MTSS",
            #[cfg(feature = "flash")]
            Self::References(_) => *b"MTSI",
        }
    }

    /// Bytes of an example.
    const fn entry_len(self, dim: usize) -> usize {
        match self {
            Self::Examples => dim,
            #[cfg(feature = "flash")]
            Self::References(len) => len,
        }
    }
}

/// Length of the bytes for `classes` (the lengths of their names together being `name_bytes`) with
/// `examples` examples of `dim` values.
pub(super) const fn encoded_len(
    payload: Payload,
    classes: usize,
    name_bytes: usize,
    examples: usize,
    dim: usize,
) -> usize {
    let table = HEADER_LEN + classes * CLASS_LEN + name_bytes;
    table + examples * payload.entry_len(dim) + CHECKSUM_LEN
}

/// [`encoded_len`] of a support set.
pub(super) fn len_of(payload: Payload, support: &SupportSet) -> usize {
    let name_bytes = support.classes().iter().map(|c| c.name().len()).sum();
    let (classes, examples) = (support.class_count(), support.example_count());
    encoded_len(payload, classes, name_bytes, examples, support.dim())
}

/// Writes header and classes of `support` to `out`, which is [`len_of`] bytes long, and gives the
/// room for the payload. [`seal`] ends it.
pub(super) fn encode<'o>(
    payload: Payload,
    support: &SupportSet,
    out: &'o mut [u8],
) -> &'o mut [u8] {
    let mut out = Out { rest: out };
    out.put(payload.magic());
    out.put(SNAPSHOT_VERSION.to_le_bytes());
    // Capacities are below 2^16; a dimension above cannot be decoded, which `import` would refuse.
    for count in [
        support.dim(),
        support.space().parts().as_slice()[0].len,
        support.class_count(),
        support.example_count(),
    ] {
        out.put((count as u16).to_le_bytes());
    }
    out.put([0; 2]);
    out.put(*support.space().backbone().as_bytes());
    out.put(threshold_bits(support.default_threshold()).to_le_bytes());
    for class in support.classes() {
        out.put([role_code(class.role()), u8::from(!class.is_enabled())]);
        out.put(class.examples.to_le_bytes());
        out.put(threshold_bits(class.threshold()).to_le_bytes());
        out.put([class.name().len() as u8]);
        out.put_slice(class.name().as_bytes());
    }
    let len = out.rest.len() - CHECKSUM_LEN;
    &mut out.rest[..len]
}

/// Writes the checksum of what is in front of it.
pub(super) fn seal(bytes: &mut [u8]) {
    let (content, checksum) = bytes.split_at_mut(bytes.len() - CHECKSUM_LEN);
    let crc = Crc32::new().update(content).finish();
    checksum.copy_from_slice(&crc.to_le_bytes());
}

struct Out<'o> {
    rest: &'o mut [u8],
}

impl Out<'_> {
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.put_slice(&bytes);
    }

    fn put_slice(&mut self, bytes: &[u8]) {
        let (to, rest) = core::mem::take(&mut self.rest).split_at_mut(bytes.len());
        to.copy_from_slice(bytes);
        self.rest = rest;
    }
}

fn threshold_bits(threshold: Option<f32>) -> u32 {
    threshold.map_or(NO_THRESHOLD, f32::to_bits)
}

fn role_code(role: Role) -> u8 {
    match role {
        Role::Sound => 0,
        Role::Negatives => 1,
        Role::Background => 2,
    }
}

/// A checked view of encoded bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Catalogue<'a> {
    pub dim: usize,
    pub invariant_dim: usize,
    pub class_count: usize,
    pub example_count: usize,
    /// The backbone whose embeddings it holds.
    pub backbone: BackboneId,
    pub default_threshold: Option<f32>,
    classes: &'a [u8],
    /// An entry per example.
    pub payload: &'a [u8],
}

impl<'a> Catalogue<'a> {
    /// Checks everything but the payload.
    pub fn decode(payload: Payload, bytes: &'a [u8]) -> Result<Self, RestoreError> {
        let mut input = In { rest: bytes };
        if input.take()? != payload.magic() {
            return Err(RestoreError::NotASnapshot);
        }
        let (found, known) = (input.u16()?, SNAPSHOT_VERSION);
        if found == 0 || found > known {
            return Err(RestoreError::Version { found, known });
        }
        // Before anything is believed that is not needed to find the checksum.
        let content = bytes.len().saturating_sub(CHECKSUM_LEN);
        let (content, stated) = bytes.split_at(content);
        let stated = stated.try_into().map_or(0, u32::from_le_bytes);
        let computed = Crc32::new().update(content).finish();
        if stated != computed {
            return Err(RestoreError::Checksum { computed, stated });
        }
        let read = bytes.len() - input.rest.len();
        input.rest = content.get(read..).ok_or(RestoreError::NotASnapshot)?;
        let [dim, invariant_dim, class_count, example_count] =
            [input.u16()?, input.u16()?, input.u16()?, input.u16()?].map(usize::from);
        let reserved = input.u16()?;
        let backbone = BackboneId::new(input.take()?);
        let default_threshold = threshold(input.u32()?)?;
        let mut catalogue = Self {
            dim,
            invariant_dim,
            class_count,
            example_count,
            backbone,
            default_threshold,
            classes: input.rest,
            payload: &[],
        };
        let mut counted = 0;
        for number in 0..class_count {
            let class = input.class()?;
            counted += class.examples();
            let mut before = catalogue.classes().take(number);
            let twice = before.any(|other| (other.role, &other.name) == (class.role, &class.name));
            let named = !class.name.is_empty();
            if twice || class.examples == 0 || named != (class.role == Role::Sound) {
                return Err(RestoreError::Malformed);
            }
        }
        if counted != example_count || reserved != 0 || invariant_dim > dim || dim == 0 {
            return Err(RestoreError::Malformed);
        }
        let expected = example_count * payload.entry_len(dim);
        if input.rest.len() != expected {
            return Err(RestoreError::Length {
                expected: bytes.len() - input.rest.len() + expected,
                found: bytes.len(),
            });
        }
        catalogue.payload = input.rest;
        Ok(catalogue)
    }

    /// The classes; all were decoded before.
    fn classes(&self) -> impl Iterator<Item = Class> + use<'a> {
        let mut input = In { rest: self.classes };
        (0..self.class_count).map_while(move |_| input.class().ok())
    }

    /// Whether a support set can take it.
    pub fn check_fits(&self, support: &SupportSet) -> Result<(), RestoreError> {
        let in_use = support.space().backbone();
        let dims = (support.dim(), support.space().parts().as_slice()[0].len);
        if self.backbone != in_use || (self.dim, self.invariant_dim) != dims {
            return Err(RestoreError::OtherBackbone {
                enrolled_under: self.backbone,
                in_use,
            });
        }
        let (found, capacity) = (self.class_count, support.class_capacity());
        if found > capacity {
            return Err(RestoreError::TooManyClasses { found, capacity });
        }
        let (found, capacity) = (self.example_count, support.example_capacity());
        if found > capacity {
            return Err(RestoreError::TooManyExamples { found, capacity });
        }
        Ok(())
    }

    /// Makes `support`, which [`Self::check_fits`], hold these classes, and gives the room for their
    /// examples, which must be filled with directions.
    pub fn restore<'s>(&self, support: &'s mut SupportSet<'_>) -> &'s mut [i8] {
        support.restore(self.default_threshold, self.classes())
    }
}

fn threshold(bits: u32) -> Result<Option<f32>, RestoreError> {
    let value = f32::from_bits(bits);
    if bits == NO_THRESHOLD {
        Ok(None)
    } else if (-1.0..=1.0).contains(&value) {
        Ok(Some(value))
    } else {
        Err(RestoreError::Malformed)
    }
}

struct In<'a> {
    rest: &'a [u8],
}

impl<'a> In<'a> {
    fn slice(&mut self, len: usize) -> Result<&'a [u8], RestoreError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(RestoreError::NotASnapshot)?;
        self.rest = rest;
        Ok(taken)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], RestoreError> {
        let taken = self.slice(N)?;
        taken.try_into().map_err(|_| RestoreError::NotASnapshot)
    }

    fn u16(&mut self) -> Result<u16, RestoreError> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, RestoreError> {
        self.take().map(u32::from_le_bytes)
    }

    fn class(&mut self) -> Result<Class, RestoreError> {
        let malformed = RestoreError::Malformed;
        let [role, flags] = self.take()?;
        let role = match role {
            0 => Role::Sound,
            1 => Role::Negatives,
            2 => Role::Background,
            _ => return Err(malformed),
        };
        let examples = self.u16()?;
        let threshold = threshold(self.u32()?)?;
        let [len] = self.take()?;
        let name = core::str::from_utf8(self.slice(len.into())?).map_err(|_| malformed)?;
        Ok(Class {
            name: ClassName::try_from(name).map_err(|_| malformed)?,
            role,
            disabled: match flags {
                0 => false,
                1 => true,
                _ => return Err(malformed),
            },
            threshold,
            examples,
        })
    }
}
