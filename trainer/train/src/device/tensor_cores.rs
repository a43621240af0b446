//! Convolutions of few channels on tensor cores, by the kernels `tensor_*`: where there are so few, libraries for
//! large networks leave most of a GPU idle.

use super::backend::{Address, Argument, Element, Launch, Pass};
use super::tape::MOST_PARTS;
use crate::net::ops::Geometry;

/// Channels that a block or a warp takes, as `kernels.cu` has it.
const ACROSS: usize = 48;
/// Positions that a block takes.
const POSITIONS: usize = 256;
/// Warps of a block.
const WARPS: usize = 8;

/// Memory beside a convolution's operands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scratch {
    pub(super) at: Address,
    pub(super) bytes: usize,
}

/// Whether the kernels take a convolution of bf16 with so many bytes of scratch.
pub(super) fn takes(g: &Geometry, scratch: usize) -> bool {
    let positions = g.batch * (g.height * g.width).max(g.out_height * g.out_width);
    g.channels.is_multiple_of(8)
        && g.out_channels.is_multiple_of(8)
        && g.out_channels * g.patch() * Element::F32.bytes() <= scratch
        && positions < i32::MAX as usize / 2
}

/// Returns the launches of one pass on input, kernels and output, adding to what is there if `add`.
pub(super) fn launches(
    pass: Pass,
    g: &Geometry,
    [x, kernels, y]: [Address; 3],
    add: bool,
    scratch: Scratch,
) -> Vec<Launch> {
    let launch = |kernel, columns, rows, arguments| Launch {
        kernel,
        element: Element::Bf16,
        columns,
        rows,
        arguments,
    };
    let input = [g.height, g.width, g.channels];
    let output = [g.out_height, g.out_width, g.out_channels];
    let sizes = |from: [usize; 3], to: [usize; 3]| {
        let [height, width, channels] = from;
        let [out_height, out_width, out_channels] = to;
        let sizes = [
            g.batch,
            height,
            width,
            channels,
            out_height,
            out_width,
            out_channels,
            g.kh,
            g.kw,
            g.stride,
            g.padding,
        ];
        Argument::Sizes(sizes.map(|size| size as i32))
    };
    let convolution = |from: Address,
                       to: Address,
                       sizes,
                       [height, width, channels]: [usize; 3],
                       transposed: bool| {
        let positions = g.batch * height * width;
        let arguments = vec![
            from.into(),
            kernels.into(),
            to.into(),
            sizes,
            transposed.into(),
            add.into(),
        ];
        let (columns, rows) = (positions.div_ceil(POSITIONS), channels.div_ceil(ACROSS));
        vec![launch("tensor_convolution", columns, rows, arguments)]
    };
    match pass {
        Pass::Forward => convolution(x, y, sizes(input, output), output, false),
        Pass::Input => convolution(y, x, sizes(output, input), input, true),
        Pass::Kernels => {
            let positions = g.batch * g.out_height * g.out_width;
            let weights = g.out_channels * g.patch();
            let tasks = g.kh * g.kw * g.channels.div_ceil(ACROSS) * g.out_channels.div_ceil(ACROSS);
            let rows = tasks.div_ceil(WARPS);
            let most = (scratch.bytes / (weights * Element::F32.bytes()))
                .min(positions.div_ceil(POSITIONS));
            let parts = MOST_PARTS.div_ceil(rows).clamp(1, most);
            let arguments = vec![x.into(), y.into(), scratch.at.into(), sizes(input, output)];
            let add_up = vec![
                scratch.at.into(),
                parts.into(),
                weights.into(),
                kernels.into(),
                add.into(),
            ];
            vec![
                launch("tensor_kernel_gradient", parts, rows, arguments),
                launch("add_partial", weights.div_ceil(32), 1, add_up),
            ]
        }
    }
}
