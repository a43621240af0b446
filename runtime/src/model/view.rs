//! The checked view over the bytes of a model.

use super::cohort::Cohort;
use super::network::Network;
use super::op::Op;
use super::proven::proven;
use super::tensor::Tensor;
use super::wire::{Header, PartRecord, SignatureRecord, field};
use crate::fewshot::Reference;
use crate::frontend::{FrontendConfig, PatchNorm};
use crate::space::{BackboneId, EmbeddingSpace, Part, Parts, PartsError};

/// Stands in for the reference of a model that has none.
const ASSUMED_REFERENCE: Reference = Reference::assumed(0.5);

/// A packed model, validated: a view over bytes that stay where they are, in flash for instance.
///
/// It is a handle that is cheap to copy; several backbones may run the same model at once, each in
/// an arena of its own.
#[derive(Clone, Copy)]
pub struct Model<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) header: &'a [u8; Header::LEN],
    pub(super) network: Network<'a>,
    pub(super) parts: &'a [[u8; PartRecord::LEN]],
    pub(super) frontend: FrontendConfig,
    pub(super) patch_norm: Option<PatchNorm<'a>>,
    pub(super) base_mean: &'a [f32],
    pub(super) name: &'a str,
    pub(super) provenance: &'a str,
    pub(super) reference: Option<&'a [u8; field::reference::LEN]>,
    pub(super) cohort: Option<Cohort<'a>>,
    pub(super) version_counter: Option<u64>,
    pub(super) signature: Option<&'a [u8; SignatureRecord::LEN]>,
}

impl<'a> Model<'a> {
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

    /// Returns what is done to a patch of these features before the first operator reads it, if anything is.
    pub fn patch_norm(&self) -> Option<PatchNorm<'a>> {
        self.patch_norm
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
    pub(super) fn parts(&self) -> Parts<'a> {
        proven(self.read_parts().ok())
    }

    /// Returns the tensors that hold the parts' values after a run, in the order of the parts.
    pub fn outputs(&self) -> impl Iterator<Item = Tensor> {
        let network = self.network;
        self.part_tensors()
            .filter_map(move |index| network.tensor(index))
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

    /// Returns the signature that the model carries, if it does. It is not verified: `check_signature`
    /// (feature `signed`) does that.
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
        self.network.op(index).ok()
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
    pub(super) fn part_tensors(&self) -> impl Iterator<Item = usize> + use<'a> {
        let records = self.parts.iter();
        records.map(|record| field::part::TENSOR.get(record).into())
    }

    pub(super) fn read_parts(&self) -> Result<Parts<'a>, PartsError> {
        Parts::new(self.parts.iter().map(|record| Part {
            // A name that cannot be read counts as empty, which `Parts::new` refuses.
            name: PartRecord::name_in(record).unwrap_or(""),
            len: field::part::VALUES.get(record).into(),
            share: field::part::SHARE.get(record),
        }))
    }
}

/// Reads the reference section. `None` if its similarities are out of range or order.
pub(super) fn read_reference(record: &[u8; field::reference::LEN]) -> Option<Reference> {
    Reference::new(field::reference::QUANTILES.get(record))
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
