//! Shows how activations share the arena of a packed model: the place and the lifetime of each.
//!
//! Time runs as in [`Model::lifetime`]: 0 when the input is written, `i + 1` when operator `i` runs,
//! one more than the number of operators when the embedding is read.

use mtslvr_runtime::model::Model;
use serde::Serialize;
use std::fmt;

/// The arena's plan; part of what `mtslvr inspect --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemoryPlan {
    /// Bytes of the arena.
    pub arena: usize,
    /// The largest sum of bytes needed at one time: no plan needs less.
    pub lower_bound: usize,
    /// How far the arena exceeds the bound, percent.
    pub above_bound_percent: f64,
    /// Every buffer, in the order in which they are first needed.
    pub buffers: Vec<Buffer>,
}

/// A tensor, or the scratch memory of an operator, in its place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Buffer {
    /// `input`, `output of 3` or `scratch of 3`, operators numbered from 0.
    pub name: String,
    /// Bytes.
    pub bytes: usize,
    /// Its beginning, bytes from the start of the arena.
    pub offset: usize,
    /// First and last time at which it is needed.
    pub lifetime: [usize; 2],
    /// Whether it is written over the second addend of its operator.
    pub in_place: bool,
}

impl MemoryPlan {
    /// Returns the plan of `model`.
    pub fn of(model: &Model<'_>) -> Self {
        let mut buffers = Vec::new();
        for tensor in model.tensors() {
            let lifetime = model.lifetime(tensor.index);
            let lifetime = lifetime.expect("the tensor is the model's");
            let op = tensor.index.checked_sub(1);
            let op = op.and_then(|index| model.op(index));
            buffers.push(Buffer {
                name: match &op {
                    None => "input".to_owned(),
                    Some(op) => format!("output of {}", op.index),
                },
                bytes: tensor.shape.len(),
                offset: tensor.offset,
                lifetime: [*lifetime.start(), *lifetime.end()],
                in_place: op.is_some_and(|op| op.runs_in_place()),
            });
            let scratch = op.filter(|op| !op.scratch.is_empty());
            buffers.extend(scratch.map(|op| Buffer {
                name: format!("scratch of {}", op.index),
                bytes: op.scratch.len(),
                offset: op.scratch.range().start,
                lifetime: [op.index + 1; 2],
                in_place: false,
            }));
        }
        let (arena, lower_bound) = (model.arena_len(), model.arena_lower_bound());
        let excess = arena as f64 / lower_bound.max(1) as f64 - 1.0;
        Self {
            arena,
            lower_bound,
            above_bound_percent: 100.0 * excess,
            buffers,
        }
    }
}

impl fmt::Display for MemoryPlan {
    /// Writes a table with a row for each buffer; its last column is a map of time.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.buffers.iter().map(|b| b.lifetime[1]).max();
        let end = end.unwrap_or(0);
        writeln!(
            f,
            "arena of {} bytes, lower bound {} (largest sum needed at one time), {:.1} % above it",
            self.arena, self.lower_bound, self.above_bound_percent
        )?;
        writeln!(
            f,
            "  {:<14} {:>8} {:>8}  {:<8} time 0 (input) to {end} (embedding read)",
            "buffer", "bytes", "offset", "needed"
        )?;
        for buffer in &self.buffers {
            let [first, last] = buffer.lifetime;
            let map: String = (0..=end)
                .map(|time| {
                    if (first..=last).contains(&time) {
                        '#'
                    } else {
                        '.'
                    }
                })
                .collect();
            writeln!(
                f,
                "  {:<14} {:>8} {:>8}  {:<8} {map}{}",
                buffer.name,
                buffer.bytes,
                buffer.offset,
                format!("{first}-{last}"),
                if buffer.in_place {
                    "  over an addend"
                } else {
                    ""
                }
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtslvr_runtime::model::AlignedBytes;

    #[test]
    fn the_shipped_model_wastes_no_more_than_five_percent() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../models/edge-s/model.slvr"
        );
        let bytes = AlignedBytes::new(&std::fs::read(path).unwrap());
        let plan = MemoryPlan::of(&Model::open(&bytes).unwrap());
        assert!(plan.above_bound_percent <= 5.0, "{plan}");
    }
}
