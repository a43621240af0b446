//! Operations of a device in a training step: memory, kernels, convolutions and matrix products.

use crate::net::ops::Geometry;
use anyhow::Result;

/// Type of activations, of convolutions' kernels and of their gradients; everything else is `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// Eight bits of significand: the type that tensor cores multiply.
    Bf16,
    /// Single precision.
    F32,
}

impl Element {
    /// Bytes of a value.
    pub fn bytes(self) -> usize {
        match self {
            Self::Bf16 => 2,
            Self::F32 => 4,
        }
    }

    /// Turns values into the device's bytes.
    pub fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => bytemuck::cast_slice(values).to_vec(),
            Self::Bf16 => {
                let rounded = values.iter().map(|&v| half::bf16::from_f32(v).to_bits());
                bytemuck::cast_slice(&rounded.collect::<Vec<u16>>()).to_vec()
            }
        }
    }

    /// Reads the device's bytes.
    pub fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => bytemuck::pod_collect_to_vec(bytes),
            Self::Bf16 => bytemuck::pod_collect_to_vec::<u8, u16>(bytes)
                .into_iter()
                .map(|bits| half::bf16::from_bits(bits).to_f32())
                .collect(),
        }
    }
}

/// Address in a device's memory. Memory is never given back while its backend lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address(pub(super) u64);

impl Address {
    /// No memory: an argument that a kernel does without.
    pub const NONE: Self = Self(0);

    /// Returns the address `bytes` further.
    pub fn plus(self, bytes: usize) -> Self {
        Self(self.0 + bytes as u64)
    }
}

/// Argument of a kernel, in its order.
#[derive(Clone, Copy, Debug)]
pub enum Argument {
    /// Memory.
    At(Address),
    /// Size or index.
    Int(i32),
    /// Number.
    Float(f32),
    /// Sizes of a convolution, `Sizes` in `kernels.cu`.
    Sizes([i32; 11]),
}

#[cfg(any(feature = "cuda", feature = "emulated-device"))]
impl Argument {
    /// Returns the argument's bytes, and zeros behind them.
    pub(super) fn words(&self) -> [u64; 6] {
        let mut words = [0; 6];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        match self {
            Self::At(address) => bytes[..8].copy_from_slice(&address.0.to_ne_bytes()),
            Self::Int(value) => bytes[..4].copy_from_slice(&value.to_ne_bytes()),
            Self::Float(value) => bytes[..4].copy_from_slice(&value.to_ne_bytes()),
            Self::Sizes(sizes) => bytes[..44].copy_from_slice(bytemuck::cast_slice(sizes)),
        }
        words
    }
}

impl From<Address> for Argument {
    fn from(address: Address) -> Self {
        Self::At(address)
    }
}
impl From<usize> for Argument {
    fn from(value: usize) -> Self {
        Self::Int(i32::try_from(value).expect("sizes are checked when a step is written down"))
    }
}
impl From<bool> for Argument {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}
impl From<f32> for Argument {
    fn from(value: f32) -> Self {
        Self::Float(value)
    }
}

/// Threads of a block, as `kernels.cu` has them.
pub const THREADS: usize = 256;

/// A launch of one of the kernels in `kernels.cu`.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// Type of its elements.
    pub element: Element,
    /// Blocks across.
    pub columns: usize,
    /// Blocks down.
    pub rows: usize,
    /// Arguments in order.
    pub arguments: Vec<Argument>,
}

/// Pass of a convolution; its three operands are input, kernels and output, or their gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pass {
    /// Writes the output.
    Forward,
    /// Writes the input's gradient.
    Input,
    /// Writes the kernels' gradient.
    Kernels,
}

/// `c = a · b`, or `c += a · b`, of row-major `f32` matrices.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// Rows of `c`, columns of `c`, and the length of the sums.
    pub sizes: [usize; 3],
    /// `[rows, sums]`, or `[sums, rows]` if transposed.
    pub a: Factor,
    /// `[sums, columns]`, or `[columns, sums]` if transposed.
    pub b: Factor,
    /// `[rows, columns]`
    pub c: Address,
    /// Whether it is added to what is there.
    pub add: bool,
}

/// A factor of a [`Product`].
#[derive(Clone, Copy, Debug)]
pub struct Factor {
    /// First value.
    pub at: Address,
    /// Whether its rows lie in columns.
    pub transposed: bool,
}

/// Steps that a device can repeat without being told each of them.
pub trait Recording: std::fmt::Debug {
    /// Runs them once.
    ///
    /// # Errors
    /// If the device fails.
    fn run(&self) -> Result<()>;
}

/// A device. Work is done in the order in which it is asked for; [`Backend::upload`], [`Backend::download`] and
/// [`Backend::wait`] wait for it.
pub trait Backend: std::fmt::Debug {
    /// Type of activations.
    fn element(&self) -> Element;

    /// Name for people.
    fn name(&self) -> String;

    /// Returns what the device has chosen by its own measurements, for people.
    fn choices(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns new memory, all zeros, which lives as long as the backend.
    ///
    /// # Errors
    /// If there is none left.
    fn allocate(&self, bytes: usize) -> Result<Address>;

    /// Returns how much memory is left, in bytes.
    ///
    /// # Errors
    /// If the device does not say.
    fn free_bytes(&self) -> Result<usize>;

    /// Copies from the host, once all work before has been done.
    ///
    /// # Errors
    /// If the device fails.
    fn upload(&self, to: Address, bytes: &[u8]) -> Result<()>;

    /// Sets one number, without waiting.
    ///
    /// # Errors
    /// If the device fails.
    fn set(&self, to: Address, value: f32) -> Result<()>;

    /// Copies to the host, once all work before has been done.
    ///
    /// # Errors
    /// If the device fails.
    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()>;

    /// Runs a kernel.
    ///
    /// # Errors
    /// If there is no such kernel, or the device fails.
    fn launch(&self, launch: &Launch) -> Result<()>;

    /// Runs one pass of a convolution on input, kernels and output; `add`: to what is there. The first call for a
    /// pass and a geometry may try algorithms out: its result means nothing if `add`.
    ///
    /// # Errors
    /// If the device fails.
    fn convolve(&self, pass: Pass, g: &Geometry, operands: [Address; 3], add: bool) -> Result<()>;

    /// Multiplies matrices.
    ///
    /// # Errors
    /// If the device fails.
    fn multiply(&self, product: &Product) -> Result<()>;

    /// Runs `steps`, and returns them recorded. `steps` may neither allocate nor download.
    ///
    /// # Errors
    /// If one of the steps fails.
    fn record(&self, steps: &dyn Fn() -> Result<()>) -> Result<Option<Box<dyn Recording>>>;

    /// Waits until all work has been done.
    ///
    /// # Errors
    /// If some of it failed.
    fn wait(&self) -> Result<()>;
}

impl<B: Backend + ?Sized> Backend for std::rc::Rc<B> {
    fn element(&self) -> Element {
        (**self).element()
    }
    fn name(&self) -> String {
        (**self).name()
    }
    fn choices(&self) -> Vec<String> {
        (**self).choices()
    }
    fn allocate(&self, bytes: usize) -> Result<Address> {
        (**self).allocate(bytes)
    }
    fn free_bytes(&self) -> Result<usize> {
        (**self).free_bytes()
    }
    fn upload(&self, to: Address, bytes: &[u8]) -> Result<()> {
        (**self).upload(to, bytes)
    }
    fn set(&self, to: Address, value: f32) -> Result<()> {
        (**self).set(to, value)
    }
    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()> {
        (**self).download(from, bytes)
    }
    fn launch(&self, launch: &Launch) -> Result<()> {
        (**self).launch(launch)
    }
    fn convolve(&self, pass: Pass, g: &Geometry, operands: [Address; 3], add: bool) -> Result<()> {
        (**self).convolve(pass, g, operands, add)
    }
    fn multiply(&self, product: &Product) -> Result<()> {
        (**self).multiply(product)
    }
    fn record(&self, steps: &dyn Fn() -> Result<()>) -> Result<Option<Box<dyn Recording>>> {
        (**self).record(steps)
    }
    fn wait(&self) -> Result<()> {
        (**self).wait()
    }
}
