//! The sizes of a convolution.

use candle_core::{Result, bail};

/// `y[b,oy,ox,o] = Σ x[b, oy*stride+ky-pad, ox*stride+kx-pad, i] * w[o,ky,kx,i]`, zeros outside.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d {
    /// Step between output positions, both ways.
    pub stride: usize,
    /// Zeros around the input, on every side.
    pub padding: usize,
}

/// All sizes of one convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Images.
    pub batch: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Channels of the input.
    pub channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Rows of a kernel.
    pub kh: usize,
    /// Columns of a kernel.
    pub kw: usize,
    /// Rows of the output.
    pub out_height: usize,
    /// Columns of the output.
    pub out_width: usize,
    /// Step between output positions, both ways.
    pub stride: usize,
    /// Zeros around the input, on every side.
    pub padding: usize,
}

impl Geometry {
    /// Takes the shapes of input and kernels, `[batch, height, width, in]` and `[out, kh, kw, in]`.
    ///
    /// # Errors
    /// If they do not fit each other.
    pub fn new(op: &Conv2d, x: &[usize], w: &[usize]) -> Result<Self> {
        let (&[batch, height, width, channels], &[out_channels, kh, kw, in_channels]) = (x, w)
        else {
            bail!("conv2d: expected [batch,h,w,c] and [out,kh,kw,in], got {x:?} and {w:?}");
        };
        let (padded_h, padded_w) = (height + 2 * op.padding, width + 2 * op.padding);
        if channels != in_channels || op.stride == 0 || padded_h < kh || padded_w < kw {
            bail!(
                "conv2d: input {x:?} does not fit weight {w:?} with stride {} and padding {}",
                op.stride,
                op.padding
            );
        }
        Ok(Self {
            batch,
            height,
            width,
            channels,
            out_channels,
            kh,
            kw,
            out_height: (padded_h - kh) / op.stride + 1,
            out_width: (padded_w - kw) / op.stride + 1,
            stride: op.stride,
            padding: op.padding,
        })
    }

    /// Values of the patch under one output position.
    pub(crate) fn patch(&self) -> usize {
        self.kh * self.kw * self.channels
    }

    pub(crate) fn out_rows(&self) -> usize {
        self.out_height * self.out_width
    }

    pub(crate) fn image_len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Whether the unfolded input is the input itself.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.kh == 1 && self.kw == 1 && self.stride == 1 && self.padding == 0
    }
}
