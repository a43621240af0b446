//! Whether it pays to run both paths' maps through a layer at once, over one reading of its weights.
//!
//! A 1x1 convolution does not care where in a map a position lies: two maps, one after the other in
//! memory, are one map of twice the height. Nothing else can be shared, so what it gains is the most
//! that any layer with as many positions could.

use crate::Bench;
use mtslvr_board::say;
use mtslvr_runtime::nn::{Convolution, Layout, Requantisation, Shape, Window, arch};

/// Maps to measure: height and width of one path's, channels in and out.
const MAPS: [[usize; 3]; 5] = [[1, 1, 128], [2, 2, 64], [3, 3, 64], [5, 5, 32], [8, 8, 32]];
/// Channels of the widest.
const CHANNELS: usize = 128;

impl Bench {
    /// Every map; what `memory` holds is used as weights and values, whose sizes alone matter.
    pub fn paths(&self, memory: &mut [i8]) -> Option<()> {
        for [height, width, channels] in MAPS {
            let after = 2 * self.pointwise(Shape::new(height, width, channels), memory)?;
            let together = self.pointwise(Shape::new(2 * height, width, channels), memory)?;
            say!(
                "paths one_after_the_other={} together={} name={}x{} {}->{}",
                after,
                together,
                height,
                width,
                channels,
                channels
            );
        }
        Some(())
    }

    /// Instructions of a 1x1 convolution of `map` to as many channels.
    fn pointwise(&self, map: Shape, memory: &mut [i8]) -> Option<u64> {
        let window = Window::square(1, 1, 0);
        let layout = Layout::Pairs;
        let channels = map.channels;
        let (weights, rest) = memory.split_at_mut_checked(layout.bytes(channels, channels))?;
        let (input, rest) = rest.split_at_mut_checked(map.len())?;
        let (output, rest) = rest.split_at_mut_checked(map.len())?;
        let scratch = rest.get_mut(..layout.scratch_len(&window, channels))?;
        let convolution = Convolution {
            input: map,
            output: map,
            window,
            input_zero_point: 0,
            layout,
            weights,
            adapter: &[],
            bias: [0; CHANNELS].get(..channels)?,
            multipliers: [1 << 24; CHANNELS].get(..channels)?,
            requantisation: Requantisation {
                pre: 0,
                zero_point: 0,
                lo: i8::MIN,
                hi: i8::MAX,
            },
            residual: None,
        };
        let start = self.instructions.now();
        arch::convolve(&convolution, input, output, scratch);
        Some(self.instructions.now() - start)
    }
}
