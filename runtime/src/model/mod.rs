//! The packed model `.slvr`: a checked, zero-copy view over bytes. The wire format is written down
//! in `FORMAT.md`.
//!
//! [`Model::open`] validates everything once. Whatever it accepts can be run by
//! [`crate::backbone::PackedBackbone`] without errors, panics or reads out of bounds.

mod aligned;
mod crc;
mod error;
mod op;
mod placement;
mod tables;
mod validate;
pub mod wire;

pub use aligned::Aligned;
#[cfg(feature = "std")]
pub use aligned::AlignedBytes;
pub use crc::Crc32;
pub use error::OpenError;
pub use op::{FlashUse, Op, OpKind, Scratch};
pub use placement::{Tensor, last_use};
pub use tables::Tables;
pub use validate::checksum;

use crate::fewshot::Reference;
use crate::frontend::FrontendConfig;
use crate::space::{BackboneId, EmbeddingSpace, Part, Parts};
use wire::{HEADER_LEN, Header};

/// Version of the format that this crate writes; it reads this and all earlier ones.
pub const VERSION: u16 = 2;

/// Most operators in a program.
pub const MAX_OPS: usize = 256;

/// Most bytes that an arena may have.
pub const MAX_ARENA: usize = 1 << 28;

/// Addresses of models are multiples of this; see [`Aligned`].
pub const ALIGNMENT: usize = wire::SECTION_ALIGN;

/// A packed model, validated: a view over bytes that stay where they are, in flash for instance.
///
/// It is a handle that is cheap to copy; several backbones may run the same model at once, each in
/// an arena of its own.
#[derive(Clone, Copy)]
pub struct Model<'a> {
    bytes: &'a [u8],
    header: Header,
}

impl<'a> Model<'a> {
    /// Checks every byte of `bytes`, which must be one whole model at an address that is a multiple
    /// of [`ALIGNMENT`] ([`Aligned`] sees to that), and gives the view.
    pub fn open(bytes: &'a [u8]) -> Result<Self, OpenError> {
        validate::open(bytes)
    }

    /// Length of the model that begins at `bytes`, from its header alone (nothing else is checked):
    /// for models in a flash partition that is longer than they are.
    pub fn len_from_header(bytes: &[u8]) -> Result<usize, OpenError> {
        validate::length(bytes)
    }

    /// The bytes of the whole model.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Version of the format that the file is in.
    pub fn version(&self) -> u16 {
        validate::version(self.bytes)
    }

    /// CRC-32 of the model: tells models apart.
    pub fn checksum(&self) -> u32 {
        validate::stored_checksum(self.bytes)
    }

    /// What the model is called.
    pub fn name(&self) -> &'a str {
        self.text(self.header.name)
    }

    /// Where the model comes from: free text, written by whoever packed it.
    pub fn provenance(&self) -> &'a str {
        self.text(self.header.provenance)
    }

    /// Parameters of the features that the model was trained on.
    pub fn frontend(&self) -> &FrontendConfig {
        &self.header.frontend
    }

    /// Number of paths: 1, or 2 where there are equivariant features.
    pub fn paths(&self) -> usize {
        self.header.paths.into()
    }

    /// Describes the embeddings that the model makes.
    pub fn space(&self) -> EmbeddingSpace<'a> {
        self.try_space()
            .expect("validated when the model was opened")
    }

    fn try_space(&self) -> Option<EmbeddingSpace<'a>> {
        let len = self.output().shape.len();
        let [share, quantiles @ ..] = self.header.reference;
        let stated = self.header.reference.iter().any(|v| v.to_bits() != 0);
        let measured = stated.then(|| Reference::new(quantiles)).flatten();
        let share = if stated { share } else { 0.5 };
        let part = |name, share| Part { name, len, share };
        let parts = match self.paths() {
            1 => Parts::new([part("features", 1.0)]),
            _ => Parts::new([part("invariant", share), part("equivariant", 1.0 - share)]),
        };
        let parts = parts.ok()?;
        let reference = measured.unwrap_or(Reference::assumed(self.header.rejection_similarity));
        let mut id = [0; BackboneId::LEN];
        id[..4].copy_from_slice(&self.checksum().to_be_bytes());
        let id = BackboneId::new(id);
        EmbeddingSpace::new(id, self.header.frontend, parts, self.base_mean(), reference)
    }

    /// Mean embedding over base audio, both paths' features one after the other.
    fn base_mean(&self) -> &'a [f32] {
        let len = self.output().shape.len() * self.paths();
        let bytes = self.section(self.header.base_mean_at, 4 * len);
        bytes
            .ok()
            .and_then(|bytes| bytemuck::try_cast_slice(bytes).ok())
            .unwrap_or_default()
    }

    /// Bytes of arena that running needs.
    pub fn arena_len(&self) -> usize {
        self.header.arena_len as usize
    }

    /// Operators in the program.
    pub fn op_count(&self) -> usize {
        self.header.ops.into()
    }

    /// Leading operators that are the same for both paths and run once for an embedding.
    pub fn shared_ops(&self) -> usize {
        self.header.shared_ops.into()
    }

    /// The operators in the order they run.
    pub fn ops(&self) -> impl Iterator<Item = Op<'a>> {
        let model = *self;
        // Each was resolved without error when the model was opened.
        (0..self.op_count()).map_while(move |index| model.resolve(index).ok())
    }

    /// The tensors: the input, then what each operator writes.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor> {
        let model = *self;
        (0..=self.op_count()).map(move |index| model.tensor(index))
    }

    /// The tensor that holds the embedding of a path in the end.
    pub fn output(&self) -> Tensor {
        self.tensor(self.op_count())
    }

    /// `len` bytes at offset `at`, which must be a multiple of 16.
    fn section(&self, at: u32, len: usize) -> Result<&'a [u8], OpenError> {
        let start = at as usize;
        let end = start.checked_add(len);
        match end.and_then(|end| self.bytes.get(start..end)) {
            Some(bytes) if start.is_multiple_of(wire::SECTION_ALIGN) && start >= HEADER_LEN => {
                Ok(bytes)
            }
            _ => Err(OpenError::Section { offset: at }),
        }
    }

    fn text(&self, [at, len]: [u32; 2]) -> &'a str {
        let bytes = self.section(at, len as usize).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl core::fmt::Debug for Model<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Model")
            .field("name", &self.name())
            .field("bytes", &self.bytes.len())
            .field("paths", &self.paths())
            .field("ops", &self.op_count())
            .field("arena_len", &self.arena_len())
            .finish_non_exhaustive()
    }
}
