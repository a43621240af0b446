//! The packed model `.slvr`: a checked, zero-copy view over bytes. The format is written down in
//! `FORMAT.md`.
//!
//! [`Model::open`] checks everything once. Whatever it accepts can be run by
//! [`crate::backbone::PackedBackbone`] without errors, panics or reads out of bounds. [`wire`] is the
//! layout itself, for those who write models.

mod aligned;
mod cohort;
mod crc;
mod error;
#[cfg(feature = "hash")]
mod hash;
mod network;
mod op;
mod placement;
mod sections;
mod tensor;
mod validate;
pub mod wire;

pub use aligned::Aligned;
#[cfg(feature = "std")]
pub use aligned::AlignedBytes;
pub use cohort::Cohort;
pub use crc::Crc32;
pub use error::OpenError;
#[cfg(feature = "hash")]
pub use hash::content_hash;
pub use op::{Op, OpKind, Scratch, Tables};
pub use tensor::Tensor;

use crate::fewshot::Reference;
use crate::frontend::FrontendConfig;
use crate::space::{BackboneId, EmbeddingSpace, Part, Parts, PartsError};
use network::Network;
use wire::{Header, PartRecord, SignatureRecord, field};

/// Version of the format that this crate reads and writes.
pub const VERSION: u16 = 1;

/// Most operators in a program.
pub const MAX_OPS: usize = 256;

/// Most bytes that an arena may have.
pub const MAX_ARENA: usize = 1 << 28;

/// Addresses of models are multiples of this; see [`Aligned`].
pub const ALIGNMENT: usize = wire::SECTION_ALIGN;

/// Assumed of a model that does not say how alike unrelated sounds are.
const ASSUMED_REFERENCE: Reference = Reference::assumed(0.5);

/// A packed model, validated: a view over bytes that stay where they are, in flash for instance.
///
/// It is a handle that is cheap to copy; several backbones may run the same model at once, each in
/// an arena of its own.
#[derive(Clone, Copy)]
pub struct Model<'a> {
    bytes: &'a [u8],
    header: &'a [u8; Header::LEN],
    network: Network<'a>,
    parts: &'a [[u8; PartRecord::LEN]],
    frontend: FrontendConfig,
    base_mean: &'a [f32],
    name: &'a str,
    provenance: &'a str,
    reference: Option<&'a [u8; field::reference::LEN]>,
    cohort: Option<Cohort<'a>>,
    version_counter: Option<u64>,
    signature: Option<&'a [u8; SignatureRecord::LEN]>,
}

impl<'a> Model<'a> {
    /// Checks every byte of `bytes`, which must be one whole model at an address that is a multiple
    /// of [`ALIGNMENT`] ([`Aligned`] sees to that), and gives the view.
    ///
    /// The CRC-32 finds accidents; whether the contents have the hash that the file states is not
    /// checked here, see `verify_hash` (feature `hash`).
    ///
    /// # Errors
    /// [`OpenError`]: the first rule of the format that is broken.
    pub fn open(bytes: &'a [u8]) -> Result<Self, OpenError> {
        validate::open(bytes)
    }

    /// Returns the length of the model that begins at `bytes`, from its header alone: for models in
    /// a flash partition that is longer than they are.
    ///
    /// # Errors
    /// If magic or version are not those of a model, or there are fewer bytes than the header says.
    pub fn len_from_header(bytes: &[u8]) -> Result<usize, OpenError> {
        validate::length(bytes)
    }

    /// Returns the bytes of the whole model.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the hash of the contents, which identifies the backbone, as the file states it.
    pub fn id(&self) -> BackboneId {
        BackboneId::new(field::header::HASH.get(self.header))
    }

    /// Returns the model's name; empty if it has none.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Returns free text about where the model comes from, written by whoever packed it; may be
    /// empty.
    pub fn provenance(&self) -> &'a str {
        self.provenance
    }

    /// Returns the parameters of the features that the model was trained on.
    pub fn frontend(&self) -> &FrontendConfig {
        &self.frontend
    }

    /// Describes the embeddings that the model makes.
    pub fn space(&self) -> EmbeddingSpace<'a> {
        let reference = self.reference().unwrap_or(ASSUMED_REFERENCE);
        let space = EmbeddingSpace::new(
            self.id(),
            self.frontend,
            self.parts(),
            self.base_mean,
            reference,
        );
        proven(space.and_then(|space| space.with_cohort(self.cohort)))
    }

    /// Returns the number of values of an embedding.
    pub(crate) fn dim(&self) -> usize {
        self.base_mean.len()
    }

    /// Returns the named parts of an embedding.
    fn parts(&self) -> Parts<'a> {
        proven(self.read_parts().ok())
    }

    /// Returns the tensors that hold the parts' values after a run, in the order of the parts.
    pub fn outputs(&self) -> impl Iterator<Item = Tensor> {
        let network = self.network;
        self.part_tensors()
            .map(move |index| proven(network.tensor(index)))
    }

    /// Returns how alike the embeddings of unrelated sounds are; `None` if the model does not say.
    pub fn reference(&self) -> Option<Reference> {
        self.reference.map(|record| proven(read_reference(record)))
    }

    /// Returns the directions of ordinary sounds that the model brings along, if it does.
    pub fn cohort(&self) -> Option<Cohort<'a>> {
        self.cohort
    }

    /// Returns a number that grows from one release of a model to the next, if the model has one.
    pub fn version_counter(&self) -> Option<u64> {
        self.version_counter
    }

    /// Returns the signature that the model carries, if it does. It is not verified.
    pub fn signature(&self) -> Option<SignatureRecord> {
        self.signature.map(SignatureRecord::read)
    }

    /// Returns the bytes of arena that running needs.
    pub fn arena_len(&self) -> usize {
        self.network.header.arena_len as usize
    }

    /// Returns the number of operators in the program.
    pub fn op_count(&self) -> usize {
        self.network.ops.len()
    }

    /// Returns operator `index`; `None` if there is no such operator.
    pub fn op(&self, index: usize) -> Option<Op<'a>> {
        (index < self.op_count()).then(|| proven(self.network.op(index).ok()))
    }

    /// Returns the operators in the order they run.
    pub fn ops(&self) -> impl Iterator<Item = Op<'a>> {
        let network = self.network;
        (0..self.op_count()).map(move |index| proven(network.op(index).ok()))
    }

    /// Returns tensor `index`; `None` if there is no such tensor.
    pub fn tensor(&self, index: usize) -> Option<Tensor> {
        self.network.tensor(index)
    }

    /// Returns the tensors: the patch, then what each operator writes.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor> {
        self.network.tensors()
    }

    /// Returns the indices of the tensors that hold the parts' values.
    fn part_tensors(&self) -> impl Iterator<Item = usize> + use<'a> {
        let records = self.parts.iter();
        records.map(|record| field::part::TENSOR.get(record).into())
    }

    fn read_parts(&self) -> Result<Parts<'a>, PartsError> {
        Parts::new(self.parts.iter().map(|record| Part {
            // A name that cannot be read is no name, which is refused.
            name: PartRecord::name_in(record).unwrap_or(""),
            len: field::part::VALUES.get(record).into(),
            share: field::part::SHARE.get(record),
        }))
    }
}

/// Reads the reference section. `None` if its similarities are out of range or order.
fn read_reference(record: &[u8; field::reference::LEN]) -> Option<Reference> {
    Reference::new(field::reference::QUANTILES.get(record))
}

/// Takes what [`Model::open`] has proved to be there: the one way in which this crate says "already
/// checked". A panic here is a fault of the check, never of a file or an argument.
#[inline]
pub(crate) fn proven<T>(found: Option<T>) -> T {
    match found {
        Some(found) => found,
        None => unreachable!("Model::open has checked it"),
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Model<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Model {{ name: {=str}, id: {} }}",
            self.name(),
            self.id()
        );
    }
}

impl core::fmt::Debug for Model<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Model")
            .field("name", &self.name)
            .field("id", &self.id())
            .field("bytes", &self.bytes.len())
            .field("ops", &self.op_count())
            .field("arena_len", &self.arena_len())
            .finish_non_exhaustive()
    }
}
