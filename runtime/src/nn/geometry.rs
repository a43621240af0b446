//! Shapes of maps, and windows that walk over them.

/// Height (time), width (mel) and channels of a map in NHWC order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Shape {
    /// Rows: time steps.
    pub height: usize,
    /// Columns: mel bands.
    pub width: usize,
    /// Values per position, innermost in memory.
    pub channels: usize,
}

impl Shape {
    /// Makes a shape from height, width and channels.
    pub const fn new(height: usize, width: usize, channels: usize) -> Self {
        Self {
            height,
            width,
            channels,
        }
    }

    /// Returns the number of values in the map.
    pub const fn len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Returns the number of values in the map, or `None` if it is more than a `usize` holds.
    pub const fn checked_len(&self) -> Option<usize> {
        match self.height.checked_mul(self.width) {
            Some(positions) => positions.checked_mul(self.channels),
            None => None,
        }
    }

    /// Returns whether a map of this shape, repeated where it has a single row, column or channel, has
    /// the shape `whole`.
    pub(crate) const fn repeats_to(&self, whole: Self) -> bool {
        (self.height == whole.height || self.height == 1)
            && (self.width == whole.width || self.width == 1)
            && (self.channels == whole.channels || self.channels == 1)
    }

    /// Returns whether any dimension is zero.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl core::fmt::Display for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

/// Rows and columns of padding around a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Padding {
    /// Rows before the first.
    pub top: usize,
    /// Rows after the last.
    pub bottom: usize,
    /// Columns before the first.
    pub left: usize,
    /// Columns after the last.
    pub right: usize,
}

impl Padding {
    /// Makes padding of `side` rows or columns on each of the four sides.
    pub const fn same(side: usize) -> Self {
        Self {
            top: side,
            bottom: side,
            left: side,
            right: side,
        }
    }
}

/// A kernel's size, its steps and the padding that it covers. Arrays are `[height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Window {
    /// Size of the kernel.
    pub kernel: [usize; 2],
    /// Steps between neighbouring outputs.
    pub stride: [usize; 2],
    /// Rows and columns outside the map that the kernel may cover.
    pub padding: Padding,
    /// Rows and columns from one place of the kernel to the next; 1 without dilation.
    pub dilation: [usize; 2],
}

impl Window {
    /// Makes a window with a square kernel and `padding` on all sides.
    pub const fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self {
            kernel: [kernel, kernel],
            stride: [stride, stride],
            padding: Padding::same(padding),
            dilation: [1, 1],
        }
    }

    /// Returns the number of positions under the kernel.
    pub const fn area(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Returns height and width of the output over a map of `height` x `width`.
    ///
    /// Returns `None` where the window does not fit: kernel, stride or dilation is zero, the padding is
    /// as wide as the kernel with its gaps (a window could lie wholly outside), or that is larger than
    /// the padded map.
    pub fn output_size(&self, height: usize, width: usize) -> Option<[usize; 2]> {
        let p = self.padding;
        Some([
            steps(height, p.top, p.bottom, self.extent(0)?, self.stride[0])?,
            steps(width, p.left, p.right, self.extent(1)?, self.stride[1])?,
        ])
    }

    /// Returns the position of a map of shape `map` under place `[ky, kx]` of the kernel at output `[oy,
    /// ox]`, counted row by row; `None` outside the map.
    #[inline(always)]
    pub(super) fn source(
        &self,
        map: Shape,
        [oy, ox]: [usize; 2],
        [ky, kx]: [usize; 2],
    ) -> Option<usize> {
        // Above and left of the map this wraps around to what is surely outside.
        let y = (oy * self.stride[0] + ky * self.dilation[0]).wrapping_sub(self.padding.top);
        let x = (ox * self.stride[1] + kx * self.dilation[1]).wrapping_sub(self.padding.left);
        (y < map.height && x < map.width).then(|| y * map.width + x)
    }

    /// Returns whether the whole kernel lies inside a map of shape `map` at an output position.
    #[inline(always)]
    #[cfg(arm_dsp)]
    pub(super) fn is_inside(&self, map: Shape, position: [usize; 2]) -> bool {
        let last = self.kernel.map(|size| size.saturating_sub(1));
        self.source(map, position, [0, 0]).is_some() && self.source(map, position, last).is_some()
    }

    /// Returns the rows (axis 0) or columns (axis 1) from the first place of the kernel to its last, both
    /// counted.
    fn extent(&self, axis: usize) -> Option<usize> {
        let gaps = self.kernel[axis].checked_sub(1)?;
        let dilation = Some(self.dilation[axis]).filter(|&step| step > 0)?;
        gaps.checked_mul(dilation)?.checked_add(1)
    }
}

/// Positions of a kernel that reaches over `extent` places in one direction.
fn steps(size: usize, before: usize, after: usize, extent: usize, stride: usize) -> Option<usize> {
    if stride == 0 || before >= extent || after >= extent {
        return None;
    }
    let padded = size.checked_add(before)?.checked_add(after)?;
    let room = padded.checked_sub(extent)?;
    Some(room / stride + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_size_follows_the_usual_formula() {
        let window = Window::square(3, 2, 1);
        assert_eq!(window.output_size(101, 64), Some([51, 32]));
        assert_eq!(Window::square(1, 2, 0).output_size(5, 4), Some([3, 2]));
        assert_eq!(Window::square(3, 1, 0).output_size(2, 9), None);
        assert_eq!(Window::square(3, 1, 3).output_size(9, 9), None);
        assert_eq!(Window::square(3, 0, 1).output_size(9, 9), None);
        assert_eq!(Window::square(3, 1, 1).output_size(usize::MAX, 9), None);
        let dilated = Window {
            dilation: [4, 1],
            ..Window::square(3, 1, 1)
        };
        assert_eq!(dilated.output_size(7, 9), Some([1, 9]));
        assert_eq!(dilated.output_size(6, 9), None);
        let nowhere = Window {
            dilation: [0, 1],
            ..dilated
        };
        assert_eq!(nowhere.output_size(9, 9), None);
    }
}
