//! The int8 engine: runs a packed model in an arena that the caller owns.

use core::convert::Infallible;

use super::Backbone;
use crate::frontend::FrontendConfig;
use crate::model::{Model, Op, OpKind};
use crate::nn::{AveragePool, Convolution, MaxPool, arch, portable};

/// A packed model together with the memory that it runs in.
///
/// `A` is `&mut [i8]` where the memory is a static buffer of [`Model::arena_len`] values (inside
/// [`crate::model::Aligned`] for the fastest loads), or `Vec<i8>` on a host.
#[derive(Debug)]
pub struct PackedBackbone<'a, A = &'a mut [i8]> {
    model: Model<'a>,
    arena: A,
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
        let (needed, available) = (model.arena_len(), arena.as_ref().len());
        if available < needed {
            return Err(ArenaTooSmall { needed, available });
        }
        Ok(Self { model, arena })
    }

    /// The model.
    pub fn model(&self) -> &Model<'a> {
        &self.model
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
        let (model, arena) = (&self.model, self.arena.as_mut());
        write_patch(model, arena, path, patch);
        run_ops(model, arena, path, 0, &mut |_, _| ());
        &arena[model.output().range()]
    }

    /// [`Backbone::embed`] for those who measure: calls `observe` with the index of each operator
    /// right before and right after it runs, which may be more than once for an embedding (once for
    /// each path).
    ///
    /// # Panics
    /// As [`Backbone::embed`].
    pub fn embed_observed(
        &mut self,
        patch: &[f32],
        embedding: &mut [f32],
        observe: &mut dyn FnMut(usize, Moment),
    ) {
        embed(&self.model, self.arena.as_mut(), patch, embedding, observe);
    }
}

/// When an operator is observed: see [`PackedBackbone::embed_observed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before it runs.
    Before,
    /// After it has run.
    After,
}

impl<A: AsRef<[i8]> + AsMut<[i8]>> Backbone for PackedBackbone<'_, A> {
    type Error = Infallible;

    fn frontend(&self) -> &FrontendConfig {
        self.model.frontend()
    }

    fn invariant_dim(&self) -> usize {
        self.model.invariant_dim()
    }

    fn equivariant_dim(&self) -> usize {
        self.model.equivariant_dim()
    }

    fn base_mean(&self) -> &[f32] {
        self.model.base_mean()
    }

    fn rejection_similarity(&self) -> f32 {
        self.model.rejection_similarity()
    }

    fn embed(&mut self, patch: &[f32], embedding: &mut [f32]) -> Result<(), Infallible> {
        self.embed_observed(patch, embedding, &mut |_, _| ());
        Ok(())
    }
}

fn embed(
    model: &Model<'_>,
    arena: &mut [i8],
    patch: &[f32],
    embedding: &mut [f32],
    observe: &mut dyn FnMut(usize, Moment),
) {
    let output = model.output();
    assert_eq!(
        embedding.len(),
        model.paths() * output.shape.len(),
        "length of the embedding"
    );
    let parts = embedding.chunks_exact_mut(output.shape.len());
    for (path, features) in parts.enumerate() {
        // What the shared operators made for path 0 is still there for path 1.
        let first = if path == 0 { 0 } else { model.shared_ops() };
        if first == 0 {
            write_patch(model, arena, path, patch);
        }
        run_ops(model, arena, path, first, observe);
        let quantisation = output.quantisation(path);
        for (feature, &q) in features.iter_mut().zip(&arena[output.range()]) {
            *feature = quantisation.dequantise(q);
        }
    }
}

fn write_patch(model: &Model<'_>, arena: &mut [i8], path: usize, patch: &[f32]) {
    assert!(path < model.paths(), "path {path} of {}", model.paths());
    let input = model.tensor(0);
    assert_eq!(patch.len(), input.shape.len(), "length of the patch");
    input
        .quantisation(path)
        .quantise_all(patch, &mut arena[input.range()]);
}

fn run_ops(
    model: &Model<'_>,
    arena: &mut [i8],
    path: usize,
    first: usize,
    observe: &mut dyn FnMut(usize, Moment),
) {
    for op in model.ops().skip(first) {
        observe(op.index, Moment::Before);
        run_op(model, arena, path, &op);
        observe(op.index, Moment::After);
    }
}

/// Runs one operator. Its operands, its result and its scratch do not overlap, but for a second
/// operand that lies exactly where the result goes: that was checked when the model was opened.
fn run_op(model: &Model<'_>, arena: &mut [i8], path: usize, op: &Op<'_>) {
    let output = model.tensor(op.index + 1).range();
    if let Some(second) = op.second.map(|second| model.tensor(second).range())
        && second != output
    {
        arena.copy_within(second, output.start);
    }
    let input = model.tensor(op.input);
    let input_zero_point = input.quantisation(path).zero_point;
    let parts = [input.range(), output, op.scratch.range()];
    let Ok([input, output, scratch]) = arena.get_disjoint_mut(parts) else {
        return;
    };

    let tables = op.tables(path);
    match op.kind {
        OpKind::Convolution | OpKind::Linear => {
            let convolution = Convolution {
                input: op.input_shape,
                output: op.output_shape,
                window: op.window,
                input_zero_point,
                layout: op.layout,
                weights: tables.weights,
                adapter: tables.adapter,
                bias: tables.bias,
                multipliers: tables.multipliers,
                requantisation: tables.requantisation,
                residual: tables.add,
            };
            if op.kind == OpKind::Linear {
                portable::linear(&convolution, input, output);
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
