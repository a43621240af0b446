//! An inference operator by operator.

use crate::Bench;
use core::fmt;
use mtslvr_runtime::backbone::{EmbedError, Moment, PackedBackbone};
use mtslvr_runtime::model::{MAX_OPS, Op, OpKind};

/// Counts the instructions of each operator in an embedding; each is rounded to one tick of the counter.
///
/// # Errors
/// If patch or embedding do not have the model's lengths.
pub fn by_operator(
    bench: &Bench,
    backbone: &mut PackedBackbone<'_>,
    patch: &[f32],
    embedding: &mut [f32],
    counts: &mut [u64; MAX_OPS],
) -> Result<(), EmbedError> {
    let mut start = 0;
    backbone.embed_observed(patch, embedding, &mut |op, moment| match moment {
        Moment::Before => start = bench.instructions.now(),
        Moment::After => counts[op] = bench.instructions.now() - start,
    })
}

/// Writes what an operator is called: its place, its kind, kernel and stride, map and channels.
pub struct Name<'a>(pub &'a Op<'a>);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = self.0;
        write!(f, "{} {}", op.index, op.kind.name())?;
        let [height, width] = op.window.kernel;
        let has_window = matches!(
            op.kind,
            OpKind::Convolution | OpKind::Depthwise | OpKind::MaxPool | OpKind::AveragePool
        );
        if has_window {
            write!(f, " {height}x{width}")?;
        }
        if op.window.stride != [1, 1] {
            write!(f, " s{}", op.window.stride[0])?;
        }
        let (from, to) = (op.input.shape, op.output.shape);
        write!(
            f,
            " {}x{} {}->{}",
            from.height, from.width, from.channels, to.channels
        )?;
        if !op.tables.adapter.is_empty() {
            f.write_str(" + adapter")?;
        }
        if op.second.is_some() && op.kind == OpKind::Convolution {
            f.write_str(" + residual")?;
        }
        Ok(())
    }
}
