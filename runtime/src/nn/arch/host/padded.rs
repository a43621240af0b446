//! A map with its padding around it.

use super::tile::{Line, Operands};
use crate::nn::geometry::{Padding, Shape, Window};

/// Memory for padded maps, used for one map after another.
#[derive(Clone, Debug, Default)]
pub struct PaddedMap {
    lines: Vec<Line>,
    /// The values under the kernel of each position, where the kernel has gaps.
    gathered: Vec<i8>,
}

/// Bytes behind a map that kernels may read (and multiply by zero); a group less one value is fewer.
const SLACK: usize = 8;

/// Where the values under a kernel with gaps lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taps {
    /// Shape of the input map.
    pub input: Shape,
    /// Shape of the output map.
    pub output: Shape,
    /// The kernel.
    pub window: Window,
}

/// Places of the values in a padded map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PaddedShape {
    /// Form of the values.
    pub operands: Operands,
    /// Shape of the map without padding.
    pub input: Shape,
    /// Rows and columns around it.
    pub padding: Padding,
}

impl PaddedShape {
    /// Returns the number of bytes of one position.
    pub fn position_bytes(&self) -> usize {
        self.input.channels * self.operands.bytes()
    }

    /// Returns the number of bytes from one row to the next.
    pub fn row_step(&self) -> usize {
        let Padding { left, right, .. } = self.padding;
        (left + self.input.width + right) * self.position_bytes()
    }

    /// Returns the number of bytes of the whole map.
    pub fn len(&self) -> usize {
        let Padding { top, bottom, .. } = self.padding;
        (top + self.input.height + bottom) * self.row_step()
    }
}

impl PaddedMap {
    /// Copies the values under the kernel of each position in, `[position][kh][kw][channels]`, where they
    /// do not lie side by side. Returns what [`Self::fill`] does.
    pub(super) fn gather(
        &mut self,
        shape: &PaddedShape,
        taps: &Taps,
        input: &[i8],
        zero_point: i8,
    ) -> &[u8] {
        let mut gathered = std::mem::take(&mut self.gathered);
        gathered.clear();
        let [kernel_height, kernel_width] = taps.window.kernel;
        let channels = taps.input.channels;
        for position in 0..taps.output.height * taps.output.width {
            let position = [position / taps.output.width, position % taps.output.width];
            for tap in 0..kernel_height * kernel_width {
                let tap = [tap / kernel_width, tap % kernel_width];
                match taps.window.source(taps.input, position, tap) {
                    Some(at) => gathered.extend_from_slice(&input[at * channels..][..channels]),
                    None => gathered.resize(gathered.len() + channels, zero_point),
                }
            }
        }
        self.gathered = gathered;
        self.copy(shape, None, zero_point)
    }

    /// Copies `input` in, with `zero_point` around it. Returns the map's bytes, at least
    /// [`PaddedShape::len`] and [`SLACK`] more.
    pub(super) fn fill(&mut self, shape: &PaddedShape, input: &[i8], zero_point: i8) -> &[u8] {
        self.copy(shape, Some(input), zero_point)
    }

    /// Copies `input`, or what was gathered, with `zero_point` around it.
    fn copy(&mut self, shape: &PaddedShape, input: Option<&[i8]>, zero_point: i8) -> &[u8] {
        let input = input.unwrap_or(&self.gathered);
        let len = (shape.len() + SLACK).div_ceil(size_of::<Line>());
        if self.lines.len() < len {
            self.lines.resize(len, Line([0; 64]));
        }
        let bytes = bytes_of(&mut self.lines);
        match shape.operands {
            Operands::Unsigned => fill(shape, input, zero_point, bytes, |x| [x as u8 ^ 0x80]),
            Operands::Signed => fill(shape, input, zero_point, bytes, |x| [x as u8]),
            Operands::WidePairs | Operands::WidePlanes => {
                fill(shape, input, zero_point, bytes, |x| {
                    i16::from(x).to_ne_bytes()
                });
            }
        }
        bytes
    }
}

/// Returns the bytes of `lines`.
fn bytes_of(lines: &mut [Line]) -> &mut [u8] {
    let len = size_of_val(lines);
    // SAFETY: a line is an array of bytes without padding, so that many bytes are there.
    #[allow(unsafe_code)]
    unsafe {
        std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), len)
    }
}

/// Fills `bytes` with the map that [`PaddedMap::fill`] is to make, `N` bytes a value.
#[inline(always)]
fn fill<const N: usize>(
    shape: &PaddedShape,
    input: &[i8],
    zero_point: i8,
    bytes: &mut [u8],
    convert: impl Fn(i8) -> [u8; N],
) {
    let Padding { top, left, .. } = shape.padding;
    let padding = convert(zero_point);
    let values = bytes[..shape.len()].as_chunks_mut::<N>().0;
    let row_len = shape.row_step() / N;
    let width = shape.input.width * shape.input.channels;
    let left = left * shape.input.channels;
    for (y, row) in values.chunks_exact_mut(row_len).enumerate() {
        let Some(source) = y.checked_sub(top).filter(|&y| y < shape.input.height) else {
            row.fill(padding);
            continue;
        };
        row[..left].fill(padding);
        row[left + width..].fill(padding);
        let source = &input[source * width..][..width];
        for (value, &x) in row[left..left + width].iter_mut().zip(source) {
            *value = convert(x);
        }
    }
}
