//! The int8 engine: runs a packed model in an arena that the caller owns.

#[cfg(feature = "std")]
use super::repacked::Repacked;
use super::run::{Moment, Observer, run_op};
use super::{Backbone, EmbedError};
use crate::model::Model;
use crate::nn::Quantisation;
#[cfg(feature = "std")]
use crate::nn::arch::InstructionSet;
use crate::space::EmbeddingSpace;

/// A packed model together with the memory that it runs in.
///
/// `A` is `&mut [i8]` where the memory is a static buffer of [`Model::arena_len`] values (inside
/// [`crate::model::Aligned`] for the fastest loads), or `Vec<i8>` on a host. With the feature `std`
/// the weights are copied once into the order that the machine's instruction set reads best.
#[derive(Debug)]
pub struct PackedBackbone<'a, A = &'a mut [i8]> {
    program: Program<'a>,
    arena: A,
}

/// The model and, on a host, what was made of it.
#[derive(Debug)]
struct Program<'a> {
    model: Model<'a>,
    /// The model's own, read once.
    space: EmbeddingSpace<'a>,
    #[cfg(feature = "std")]
    repacked: Option<Repacked<'a>>,
}

/// Says that the arena is smaller than the model needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("the model needs an arena of {needed} bytes, {available} are available")]
pub struct ArenaTooSmall {
    /// Bytes that the model needs: [`Model::arena_len`].
    pub needed: usize,
    /// Bytes that were given.
    pub available: usize,
}

impl<'a, A: AsRef<[i8]> + AsMut<[i8]>> PackedBackbone<'a, A> {
    /// Prepares `model` to run in `arena`, whatever the arena holds.
    ///
    /// # Errors
    /// If `arena` is shorter than [`Model::arena_len`].
    pub fn new(model: Model<'a>, arena: A) -> Result<Self, ArenaTooSmall> {
        #[cfg(feature = "std")]
        return Self::with_instruction_set(model, arena, InstructionSet::best());
        #[cfg(not(feature = "std"))]
        Self::check_arena(&model, &arena).map(|()| Self {
            program: Program {
                model,
                space: model.space(),
            },
            arena,
        })
    }

    /// Prepares as [`Self::new`] does, with the kernels for `instruction_set`: embeddings are the same. If
    /// this machine lacks the set, the portable kernels run; [`Self::instruction_set`] tells.
    ///
    /// # Errors
    /// As [`Self::new`].
    #[cfg(feature = "std")]
    pub fn with_instruction_set(
        model: Model<'a>,
        arena: A,
        instruction_set: InstructionSet,
    ) -> Result<Self, ArenaTooSmall> {
        Self::check_arena(&model, &arena)?;
        let repacked = Repacked::new(&model, instruction_set);
        Ok(Self {
            program: Program {
                model,
                space: model.space(),
                repacked,
            },
            arena,
        })
    }

    /// Returns the instruction set whose kernels run.
    #[cfg(feature = "std")]
    pub fn instruction_set(&self) -> InstructionSet {
        let repacked = self.program.repacked.as_ref();
        repacked.map_or(InstructionSet::Portable, Repacked::instruction_set)
    }

    fn check_arena(model: &Model<'_>, arena: &A) -> Result<(), ArenaTooSmall> {
        let (needed, available) = (model.arena_len(), arena.as_ref().len());
        if available < needed {
            return Err(ArenaTooSmall { needed, available });
        }
        Ok(())
    }

    /// Returns the model.
    pub fn model(&self) -> &Model<'a> {
        &self.program.model
    }

    /// Lends the arena for other work between embeddings, such as fitting a head: nothing in it
    /// needs to be kept. Up to three bytes at either end are left out to align it.
    pub fn scratch(&mut self) -> &mut [f32] {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(self.arena.as_mut());
        bytemuck::pod_align_to_mut(bytes).1
    }

    /// Runs the program over a patch and gives the int8 values of each part, in the order of the parts.
    /// [`Model::outputs`] says which real numbers they stand for.
    ///
    /// # Errors
    /// If `patch` is not as long as the model's patches, or the model's bytes have changed.
    pub fn run(&mut self, patch: &[f32]) -> Result<impl Iterator<Item = &[i8]>, EmbedError> {
        let arena = self.arena.as_mut();
        self.program.run(arena, patch, &mut |_, _| ())?;
        let outputs = self.program.model.outputs();
        Ok(outputs.map(|tensor| tensor.values(arena).unwrap_or_default()))
    }

    /// Embeds as [`Backbone::embed`] does, and calls `observe` with the index of each operator
    /// right before and right after it runs.
    ///
    /// # Errors
    /// As [`Backbone::embed`].
    pub fn embed_observed(
        &mut self,
        patch: &[f32],
        embedding: &mut [f32],
        observe: Observer<'_>,
    ) -> Result<(), EmbedError> {
        let (expected, found) = (self.program.model.dim(), embedding.len());
        if found != expected {
            return Err(EmbedError::Embedding { expected, found });
        }
        let arena = self.arena.as_mut();
        self.program.run(arena, patch, observe)?;
        let made = self.program.dequantise(arena, embedding);
        made.ok_or(EmbedError::Model)
    }
}

impl<A: AsRef<[i8]> + AsMut<[i8]>> Backbone for PackedBackbone<'_, A> {
    type Error = EmbedError;

    fn space(&self) -> EmbeddingSpace<'_> {
        self.program.space
    }

    fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), EmbedError> {
        self.embed_observed(patch, embedding, &mut |_, _| ())
    }
}

impl Program<'_> {
    /// Quantises a patch and runs all operators.
    fn run(
        &mut self,
        arena: &mut [i8],
        patch: &[f32],
        observe: Observer<'_>,
    ) -> Result<(), EmbedError> {
        let tensor = self.model.tensor(0).ok_or(EmbedError::Model)?;
        let (expected, found) = (tensor.shape.len(), patch.len());
        if found != expected {
            return Err(EmbedError::Patch { expected, found });
        }
        let input = tensor.values_mut(arena).ok_or(EmbedError::Model)?;
        self.take(patch, input, tensor.quantisation);
        #[cfg(feature = "std")]
        if let Some(repacked) = &mut self.repacked {
            return repacked.run(arena, observe).ok_or(EmbedError::Model);
        }
        for index in 0..self.model.op_count() {
            let op = self.model.op(index).ok_or(EmbedError::Model)?;
            observe(op.index, Moment::Before);
            run_op(arena, &op).ok_or(EmbedError::Model)?;
            observe(op.index, Moment::After);
        }
        Ok(())
    }

    /// Normalises a patch, if the model says so, and quantises it.
    fn take(&self, patch: &[f32], input: &mut [i8], quantisation: Quantisation) {
        if let Some(norm) = self.model.patch_norm() {
            let mels = self.model.frontend().mels.into();
            norm.apply(patch, mels, |at, value| {
                if let Some(input) = input.get_mut(at) {
                    *input = quantisation.quantise(value);
                }
            });
            return;
        }
        #[cfg(feature = "std")]
        if let Some(repacked) = &self.repacked {
            repacked.quantise(quantisation, patch, input);
            return;
        }
        quantisation.quantise_all(patch, input);
    }

    /// Takes the parts' values out of the arena, one part after the other. `None` if they are not as long as an
    /// embedding.
    fn dequantise(&self, arena: &[i8], embedding: &mut [f32]) -> Option<()> {
        let mut rest = embedding;
        for tensor in self.model.outputs() {
            let values = tensor.values(arena)?;
            let (part, behind) = rest.split_at_mut_checked(values.len())?;
            for (value, &q) in part.iter_mut().zip(values) {
                *value = tensor.quantisation.dequantise(q);
            }
            rest = behind;
        }
        rest.is_empty().then_some(())
    }
}
