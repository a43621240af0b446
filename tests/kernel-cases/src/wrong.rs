//! Arguments that do not fit each other.

use crate::Random;
use mtslvr_runtime::nn::{Convolution, Depthwise};

/// Returns a number that code may not expect where `usual` is right.
pub fn odd_number(random: &mut Random, usual: usize) -> usize {
    match random.below(8) {
        0 => 0,
        1 => usual.wrapping_add(1),
        2 => usual.wrapping_sub(1),
        3 => usize::MAX,
        4 => 1 << (usize::BITS / 2),
        5 => usize::MAX / 2 + 1,
        _ => random.below(9),
    }
}

/// Returns a convolution with one or two arguments changed, most often to something that does not fit.
///
/// Weights stay what they are, but for their number: kernels rely on the rules for weights that
/// `Model::open` checks.
pub fn spoiled<'a>(conv: &Convolution<'a>, random: &mut Random) -> Convolution<'a> {
    let mut conv = *conv;
    for _ in 0..=random.below(2) {
        let number = match random.below(17) {
            0 => &mut conv.input.height,
            1 => &mut conv.input.width,
            2 => &mut conv.input.channels,
            3 => &mut conv.output.height,
            4 => &mut conv.output.width,
            5 => &mut conv.output.channels,
            6 => &mut conv.window.kernel[0],
            7 => &mut conv.window.kernel[1],
            8 => &mut conv.window.stride[0],
            9 => &mut conv.window.stride[1],
            10 => &mut conv.window.padding.left,
            11 => &mut conv.window.padding.bottom,
            14 => &mut conv.window.dilation[0],
            15 => &mut conv.window.dilation[1],
            12 => {
                conv.requantisation.pre = random.byte() as u8;
                continue;
            }
            13 => {
                (conv.requantisation.lo, conv.requantisation.hi) = (random.byte(), random.byte());
                continue;
            }
            _ => {
                let cut = |len| if len > 0 { random.below(len) } else { 0 };
                let lens = [conv.weights.len(), conv.adapter.len(), conv.bias.len()].map(cut);
                conv.weights = &conv.weights[..lens[0]];
                conv.adapter = &conv.adapter[..lens[1]];
                conv.bias = &conv.bias[..lens[2]];
                continue;
            }
        };
        *number = odd_number(random, *number);
    }
    conv
}

/// Returns a depthwise convolution with one or two arguments changed, most often to something that does not
/// fit.
pub fn spoiled_depthwise<'a>(conv: &Depthwise<'a>, random: &mut Random) -> Depthwise<'a> {
    let mut conv = *conv;
    for _ in 0..=random.below(2) {
        let number = match random.below(11) {
            0 => &mut conv.input.height,
            1 => &mut conv.input.channels,
            2 => &mut conv.output.width,
            3 => &mut conv.output.channels,
            4 => &mut conv.window.kernel[0],
            5 => &mut conv.window.stride[1],
            6 => &mut conv.window.padding.left,
            7 => &mut conv.window.dilation[1],
            8 => {
                conv.requantisation.pre = random.byte() as u8;
                continue;
            }
            9 => {
                (conv.requantisation.lo, conv.requantisation.hi) = (random.byte(), random.byte());
                continue;
            }
            _ => {
                conv.weights = &conv.weights[..random.below(conv.weights.len())];
                conv.bias = &conv.bias[..random.below(conv.bias.len())];
                continue;
            }
        };
        *number = odd_number(random, *number);
    }
    conv
}
