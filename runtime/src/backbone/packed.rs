//! The int8 engine: runs a packed model in an arena that the caller owns.

#[cfg(feature = "std")]
use super::repacked::Repacked;
use super::{Backbone, EmbedError};
use crate::model::{Model, Op, OpKind};
#[cfg(feature = "std")]
use crate::nn::arch::InstructionSet;
use crate::nn::{AveragePool, Convolution, MaxPool, arch, portable};
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

/// What runs: the model and, on a host, what was made of it.
#[derive(Debug)]
struct Program<'a> {
    model: Model<'a>,
    #[cfg(feature = "std")]
    repacked: Option<Repacked<'a>>,
}

/// The arena is smaller than the model needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaTooSmall {
    /// Bytes that the model needs: [`Model::arena_len`].
    pub needed: usize,
    /// Bytes that were given.
    pub available: usize,
}

impl core::fmt::Display for ArenaTooSmall {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "the model needs an arena of {} bytes, {} are available",
            self.needed, self.available
        )
    }
}

impl core::error::Error for ArenaTooSmall {}

impl<'a, A: AsRef<[i8]> + AsMut<[i8]>> PackedBackbone<'a, A> {
    /// Puts `model` to run in `arena`; contents do not matter.
    pub fn new(model: Model<'a>, arena: A) -> Result<Self, ArenaTooSmall> {
        #[cfg(feature = "std")]
        return Self::with_instruction_set(model, arena, InstructionSet::best());
        #[cfg(not(feature = "std"))]
        Self::check_arena(&model, &arena).map(|()| Self {
            program: Program { model },
            arena,
        })
    }

    /// As [`Self::new`], with the kernels for `instruction_set`: embeddings are the same.
    ///
    /// # Panics
    /// If this machine lacks the instruction set ([`InstructionSet::is_available`]).
    #[cfg(feature = "std")]
    pub fn with_instruction_set(
        model: Model<'a>,
        arena: A,
        instruction_set: InstructionSet,
    ) -> Result<Self, ArenaTooSmall> {
        Self::check_arena(&model, &arena)?;
        let repacked = Repacked::new(&model, instruction_set);
        Ok(Self {
            program: Program { model, repacked },
            arena,
        })
    }

    /// The instruction set whose kernels run.
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

    /// The model.
    pub fn model(&self) -> &Model<'a> {
        &self.program.model
    }

    /// Lends the arena for other work between embeddings, such as fitting a head: nothing in it
    /// needs to be kept. Up to three bytes at either end are left out to align it.
    pub fn scratch(&mut self) -> &mut [f32] {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(self.arena.as_mut());
        bytemuck::pod_align_to_mut(bytes).1
    }

    /// Runs one path (0 contrastive, 1 predictive) over a patch and gives its int8 features, whose
    /// scale is that of [`Model::output`].
    ///
    /// # Panics
    /// If there is no such path, or `patch` is not `frontend().patch_len()` long.
    pub fn run_path(&mut self, path: usize, patch: &[f32]) -> &[i8] {
        let arena = self.arena.as_mut();
        self.program.write_patch(arena, path, patch);
        self.program.run_ops(arena, path, 0, &mut |_, _| ());
        &arena[self.program.model.output().range()]
    }

    /// [`Backbone::embed`] for those who measure: calls `observe` with the index of each operator
    /// right before and right after it runs, which may be more than once for an embedding (once for
    /// each path).
    ///
    /// # Errors
    /// As [`Backbone::embed`].
    pub fn embed_observed(
        &mut self,
        patch: &[f32],
        embedding: &mut [f32],
        observe: Observer<'_>,
    ) -> Result<(), EmbedError> {
        EmbedError::check(&self.space(), patch, embedding)?;
        self.program
            .embed(self.arena.as_mut(), patch, embedding, observe);
        Ok(())
    }
}

/// What is called before and after an operator runs, with its index.
pub(super) type Observer<'o> = &'o mut dyn FnMut(usize, Moment);

/// When an operator is observed: see [`PackedBackbone::embed_observed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before it runs.
    Before,
    /// After it has run.
    After,
}

impl<A: AsRef<[i8]> + AsMut<[i8]>> Backbone for PackedBackbone<'_, A> {
    type Error = EmbedError;

    fn space(&self) -> EmbeddingSpace<'_> {
        self.program.model.space()
    }

    fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), EmbedError> {
        self.embed_observed(patch, embedding, &mut |_, _| ())
    }
}

impl Program<'_> {
    fn embed(
        &mut self,
        arena: &mut [i8],
        patch: &[f32],
        embedding: &mut [f32],
        observe: Observer<'_>,
    ) {
        let model = self.model;
        let output = model.output();
        let parts = embedding.chunks_exact_mut(output.shape.len());
        for (path, features) in parts.enumerate() {
            // What the shared operators made for path 0 is still there for path 1.
            let first = if path == 0 { 0 } else { model.shared_ops() };
            if first == 0 {
                self.write_patch(arena, path, patch);
            }
            self.run_ops(arena, path, first, observe);
            let quantisation = output.quantisation(path);
            for (feature, &q) in features.iter_mut().zip(&arena[output.range()]) {
                *feature = quantisation.dequantise(q);
            }
        }
    }

    fn write_patch(&self, arena: &mut [i8], path: usize, patch: &[f32]) {
        let model = &self.model;
        assert!(path < model.paths(), "path {path} of {}", model.paths());
        let input = model.tensor(0);
        assert_eq!(patch.len(), input.shape.len(), "length of the patch");
        let (quantisation, input) = (input.quantisation(path), &mut arena[input.range()]);
        #[cfg(feature = "std")]
        if let Some(repacked) = &self.repacked {
            return repacked.quantise(quantisation, patch, input);
        }
        quantisation.quantise_all(patch, input);
    }

    fn run_ops(&mut self, arena: &mut [i8], path: usize, first: usize, observe: Observer<'_>) {
        #[cfg(feature = "std")]
        if let Some(repacked) = &mut self.repacked {
            return repacked.run(&self.model, arena, path, first, observe);
        }
        for op in self.model.ops().skip(first) {
            observe(op.index, Moment::Before);
            run_op(&self.model, arena, path, &op);
            observe(op.index, Moment::After);
        }
    }
}

/// Runs one operator. Its operands, its result and its scratch do not overlap, but for a second
/// operand that lies exactly where the result goes: that was checked when the model was opened.
pub(super) fn run_op(model: &Model<'_>, arena: &mut [i8], path: usize, op: &Op<'_>) {
    copy_addend(model, arena, op);
    let output = model.tensor(op.index + 1).range();
    let input = model.tensor(op.input);
    let input_zero_point = input.quantisation(path).zero_point;
    let parts = [input.range(), output, op.scratch.range()];
    let Ok([input, output, scratch]) = arena.get_disjoint_mut(parts) else {
        return;
    };

    let tables = op.tables(path);
    match op.kind {
        OpKind::Convolution | OpKind::Linear => {
            let convolution = convolution(model, op, path);
            if op.kind == OpKind::Linear {
                arch::linear(&convolution, input, output);
            } else {
                arch::convolve(&convolution, input, output, scratch);
            }
        }
        OpKind::Add => {
            if let Some(rule) = &tables.add {
                portable::add(rule, input, output);
            }
        }
        OpKind::MaxPool => {
            let pool = MaxPool {
                input: op.input_shape,
                output: op.output_shape,
                window: op.window,
                clamp: [tables.requantisation.lo, tables.requantisation.hi],
            };
            portable::max_pool(&pool, input, output);
        }
        OpKind::AveragePool => {
            let pool = AveragePool {
                input: op.input_shape,
                output: op.output_shape,
                window: op.window,
                input_zero_point,
                multiplier: tables.multipliers.first().copied().unwrap_or(0),
                requantisation: tables.requantisation,
            };
            portable::average_pool(&pool, input, output);
        }
    }
}

/// Copies the second operand to where the result goes, if it does not lie there already.
pub(super) fn copy_addend(model: &Model<'_>, arena: &mut [i8], op: &Op<'_>) {
    let output = model.tensor(op.index + 1).range();
    if let Some(second) = op.second.map(|second| model.tensor(second).range())
        && second != output
    {
        arena.copy_within(second, output.start);
    }
}

/// The operator of one path, as the kernels take it.
pub(super) fn convolution<'a>(model: &Model<'a>, op: &Op<'a>, path: usize) -> Convolution<'a> {
    let tables = op.tables(path);
    Convolution {
        input: op.input_shape,
        output: op.output_shape,
        window: op.window,
        input_zero_point: model.tensor(op.input).quantisation(path).zero_point,
        layout: op.layout,
        weights: tables.weights,
        adapter: tables.adapter,
        bias: tables.bias,
        multipliers: tables.multipliers,
        requantisation: tables.requantisation,
        residual: tables.add,
    }
}
