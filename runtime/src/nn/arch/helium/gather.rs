//! Gathers the values under the kernel, for four output positions at a time.
#![allow(unsafe_code)]

use super::rows::LANES;
use crate::nn::layout::GATHERED_PIXELS;
use crate::nn::operators::Convolution;
use crate::nn::portable;
use crate::parts::{part, part_mut};
use core::arch::asm;

/// Walks over the output positions, four at a time.
pub(super) struct Gather<'a> {
    conv: &'a Convolution<'a>,
    input: &'a [i8],
    way: Way,
    /// Row and column of the next position.
    next: [usize; 2],
}

/// How values are read.
enum Way {
    /// Those of a position lie side by side in the input.
    InPlace,
    /// Those of a few short rows are picked by a list of their offsets.
    Picked(Picked),
    /// The part of each row that is inside the map is copied.
    Rows,
}

impl<'a> Gather<'a> {
    /// Begins at the first output position. `conv` fits `input`.
    pub fn new(conv: &'a Convolution<'a>, input: &'a [i8]) -> Self {
        let row_len = conv.layout.row_len(&conv.window, conv.input.channels);
        let way = if conv.window.kernel == [1, 1] && row_len == conv.input.channels {
            Way::InPlace
        } else {
            Picked::new(conv).map_or(Way::Rows, Way::Picked)
        };
        Self {
            conv,
            input,
            way,
            next: [0; 2],
        }
    }

    /// Returns where the values of the next four positions begin, in the input or in `columns`. Beyond the last
    /// position it is taken again. `None` if values are missing.
    pub fn next(&mut self, columns: &mut [i8]) -> Option<[*const i8; GATHERED_PIXELS]> {
        let column_len = columns.len() / GATHERED_PIXELS;
        let columns = columns.chunks_exact_mut(column_len.max(1));
        let mut places = [core::ptr::null(); GATHERED_PIXELS];
        for (place, column) in places.iter_mut().zip(columns) {
            *place = match &self.way {
                Way::InPlace => {
                    let at = self
                        .conv
                        .window
                        .source(self.conv.input, self.next, [0, 0])?;
                    let channels = self.conv.input.channels;
                    part(self.input, at * channels, channels)?.as_ptr()
                }
                Way::Picked(_) | Way::Rows => {
                    self.gather(column)?;
                    column.as_ptr()
                }
            };
            self.advance();
        }
        Some(places)
    }

    /// Goes on by a position, but not beyond the last.
    #[inline(always)]
    fn advance(&mut self) {
        let [row, column] = self.next;
        if column + 1 < self.conv.output.width {
            self.next = [row, column + 1];
        } else if row + 1 < self.conv.output.height {
            self.next = [row + 1, 0];
        }
    }

    /// Gathers the values of the next position.
    #[inline(always)]
    fn gather(&self, column: &mut [i8]) -> Option<()> {
        let (conv, [oy, ox]) = (self.conv, self.next);
        let (window, channels) = (&conv.window, conv.input.channels);
        if window.dilation != [1, 1] {
            return portable::gather(conv, self.input, oy, ox, column);
        }
        let (pad, [height, width]) = (window.padding, window.kernel);
        let rows = Inside::new(oy * window.stride[0], pad.top, conv.input.height, height);
        let columns = Inside::new(ox * window.stride[1], pad.left, conv.input.width, width);
        let from = (rows.from * conv.input.width + columns.from) * channels;
        if rows.count != height || columns.count != width {
            fill(column, conv.input_zero_point);
        } else if let Way::Picked(picked) = &self.way {
            return picked.gather(self.input.get(from..)?, column);
        }
        let row_len = conv.layout.row_len(window, channels);
        let rectangle = Rectangle {
            rows: rows.count,
            len: columns.count * channels,
            from_step: conv.input.width * channels,
            to_step: row_len,
        };
        let to = rows.first * row_len + columns.first * channels;
        rectangle.copy(self.input.get(from..)?, column.get_mut(to..)?)
    }
}

/// The rows, or the columns, of a kernel that lie inside the map at an output position.
struct Inside {
    /// The first of them, in the kernel.
    first: usize,
    /// The same in the map.
    from: usize,
    count: usize,
}

impl Inside {
    /// Takes the kernel's begin, counted from the first row of padding, the padding before the map, the map's
    /// size and the kernel's.
    #[inline(always)]
    fn new(begin: usize, padding: usize, size: usize, kernel: usize) -> Self {
        let first = padding.saturating_sub(begin).min(kernel);
        let end = (size + padding).saturating_sub(begin).min(kernel);
        Self {
            first,
            from: (begin + first).saturating_sub(padding),
            count: end.saturating_sub(first),
        }
    }
}

/// Most vectors of values that are picked.
const MOST_PICKED: usize = 4;

/// A list of the offsets of values under a kernel.
struct Picked {
    vectors: [PickedVector; MOST_PICKED],
    count: usize,
}

/// Sixteen values under a kernel.
#[derive(Clone, Copy, Default)]
struct PickedVector {
    /// Values from the first under the kernel to the first of these, in the input.
    from: usize,
    /// The same from there to each of them.
    offsets: [u8; LANES],
    /// The greatest of these offsets.
    furthest: u8,
    /// Where they go in the gathered column.
    to: usize,
}

impl Picked {
    /// Lists the values under the kernel; `None` if there are too many or too far apart, or less than a vector
    /// has.
    fn new(conv: &Convolution<'_>) -> Option<Self> {
        let (window, channels) = (&conv.window, conv.input.channels.max(1));
        let len = conv.layout.column_len(window, channels);
        let row_len = conv.layout.row_len(window, channels).max(1);
        let count = len.div_ceil(LANES);
        // A row may be longer than the kernel is wide, by a weight of zero: any value will do for that.
        let last = (window.kernel[1] * channels).checked_sub(1)?;
        let place = |k: usize| {
            let (row, value) = (k / row_len, (k % row_len).min(last));
            // A kernel with gaps is gathered elsewhere.
            row * conv.input.width * channels + value
        };
        let mut vectors = [PickedVector::default(); MOST_PICKED];
        for (i, vector) in vectors.get_mut(..count)?.iter_mut().enumerate() {
            // The last vector ends where the column does.
            vector.to = (i * LANES).min(len.checked_sub(LANES)?);
            vector.from = place(vector.to);
            for (lane, offset) in vector.offsets.iter_mut().enumerate() {
                // The filling of a row lies where the value before it does.
                let offset_here = place(vector.to + lane).checked_sub(vector.from)?;
                *offset = offset_here.try_into().ok()?;
                vector.furthest = vector.furthest.max(*offset);
            }
        }
        Some(Self { vectors, count })
    }

    /// Gathers the values of a position whose kernel lies inside the map; the first one is the first of
    /// `input`. `None` if values are missing.
    #[inline(always)]
    fn gather(&self, input: &[i8], column: &mut [i8]) -> Option<()> {
        for vector in self.vectors.iter().take(self.count) {
            let to = part_mut(column, vector.to, LANES)?;
            let from = part(input, vector.from, 1 + usize::from(vector.furthest))?;
            // SAFETY: reads values up to the furthest, and writes a vector.
            unsafe {
                asm!(
                    "vldrb.u8 q0, [{offsets}]",
                    "vldrb.u8 q1, [{from}, q0]",
                    "vstrb.8 q1, [{to}]",
                    offsets = in(reg) vector.offsets.as_ptr(),
                    from = in(reg) from.as_ptr(),
                    to = in(reg) to.as_mut_ptr(),
                    out("q0") _,
                    out("q1") _,
                    options(nostack, preserves_flags),
                );
            }
        }
        Some(())
    }
}

/// A part of each of some rows, which is copied.
struct Rectangle {
    /// Number of rows.
    rows: usize,
    /// Values of each.
    len: usize,
    /// Values from the first of a row to the first of the next.
    from_step: usize,
    /// The same where they go.
    to_step: usize,
}

impl Rectangle {
    /// Copies what begins at the first value of `from` to the first of `to`. `None` if values or room are
    /// missing.
    #[inline(always)]
    fn copy(&self, from: &[i8], to: &mut [i8]) -> Option<()> {
        if self.rows == 0 || self.len == 0 {
            return Some(());
        }
        let last = self.rows - 1;
        let from = from.get(..last * self.from_step + self.len)?;
        let to = to.get_mut(..last * self.to_step + self.len)?;
        // SAFETY: reads and writes what was just taken, and there are at least one row and one value.
        unsafe {
            asm!(
                "2:",
                "mov {f}, {from}",
                "mov {t}, {to}",
                "dlstp.8 lr, {len}",
                "3:",
                "vldrb.u8 q0, [{f}], #16",
                "vstrb.8 q0, [{t}], #16",
                "letp lr, 3b",
                "add {from}, {from_step}",
                "add {to}, {to_step}",
                "subs {rows}, {rows}, #1",
                "bne 2b",
                from = inout(reg) from.as_ptr() => _,
                to = inout(reg) to.as_mut_ptr() => _,
                rows = inout(reg) self.rows => _,
                len = in(reg) self.len,
                from_step = in(reg) self.from_step,
                to_step = in(reg) self.to_step,
                f = out(reg) _,
                t = out(reg) _,
                out("q0") _,
                out("lr") _,
                options(nostack),
            );
        }
        Some(())
    }
}

/// Writes `value` to all of `values`.
#[inline(always)]
fn fill(values: &mut [i8], value: i8) {
    if values.is_empty() {
        return;
    }
    // SAFETY: writes as many values as there are, at least one.
    unsafe {
        asm!(
            "vdup.8 q0, {value}",
            "dlstp.8 lr, {len}",
            "2:",
            "vstrb.8 q0, [{to}], #16",
            "letp lr, 2b",
            value = in(reg) i32::from(value),
            to = inout(reg) values.as_mut_ptr() => _,
            len = in(reg) values.len(),
            out("q0") _,
            out("lr") _,
            options(nostack, preserves_flags),
        );
    }
}
