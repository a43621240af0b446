//! Convolutions by cuDNN, channels last.

use crate::device::backend::{Address, Element, Pass};
use crate::net::ops::Geometry;
use anyhow::{Context, Result};
use cudarc::cudnn::result::CudnnError;
use cudarc::cudnn::{result, sys};
use cudarc::driver::CudaStream;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::rc::Rc;

/// Most algorithms of a pass.
const MOST_ALGORITHMS: usize = 10;

/// A handle of cuDNN, and a plan for each convolution that has been run.
pub(super) struct Convolutions {
    handle: sys::cudnnHandle_t,
    element: Element,
    workspace: (Address, usize),
    plans: RefCell<HashMap<(Pass, Geometry), Rc<Plan>>>,
}

/// A pass of a convolution, and the algorithm for it.
struct Plan {
    described: Described,
    algorithm: Algorithm,
}

#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Forward(sys::cudnnConvolutionFwdAlgo_t),
    Input(sys::cudnnConvolutionBwdDataAlgo_t),
    Kernels(sys::cudnnConvolutionBwdFilterAlgo_t),
}

/// A convolution as cuDNN describes it.
struct Described {
    x: sys::cudnnTensorDescriptor_t,
    w: sys::cudnnFilterDescriptor_t,
    y: sys::cudnnTensorDescriptor_t,
    convolution: sys::cudnnConvolutionDescriptor_t,
}

/// Memory of a call: operands, and what an algorithm may use beside them.
#[derive(Clone, Copy)]
struct Memory {
    x: *mut c_void,
    w: *mut c_void,
    y: *mut c_void,
    workspace: *mut c_void,
    bytes: usize,
}

/// Factors of a call: the result is `alpha` times the new one plus `beta` times the old one.
struct Factors {
    alpha: f32,
    beta: f32,
}

impl Factors {
    fn pointers(&self) -> [*const c_void; 2] {
        [&raw const self.alpha, &raw const self.beta].map(<*const f32>::cast)
    }
}

/// The first algorithm, from the fastest on, that ran in the memory it may use.
macro_rules! fastest {
    ($found:expr, $count:expr, $memory:expr) => {
        $found[..$count as usize]
            .iter()
            .find(|found| {
                found.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS
                    && found.memory <= $memory.bytes
            })
            .map(|found| found.algo)
            .context("cuDNN has no algorithm for a convolution of these sizes")
    };
}

impl Convolutions {
    #[allow(unsafe_code)]
    pub(super) fn new(stream: &CudaStream, element: Element) -> Result<Self> {
        let handle = result::create_handle()?;
        // SAFETY: the stream lives as long as the device, which holds both.
        unsafe { result::set_stream(handle, stream.cu_stream().cast()) }?;
        Ok(Self {
            handle,
            element,
            workspace: (Address::NONE, 0),
            plans: RefCell::default(),
        })
    }

    /// Sets the memory that algorithms may use.
    pub(super) fn set_workspace(&mut self, at: Address, bytes: usize) {
        self.workspace = (at, bytes);
    }

    /// Runs a pass on input, kernels and output, adding to what is there if `add`.
    pub(super) fn run(
        &self,
        pass: Pass,
        g: &Geometry,
        operands: [Address; 3],
        add: bool,
    ) -> Result<()> {
        let [x, w, y] = operands.map(|operand| operand.0 as *mut c_void);
        let memory = Memory {
            x,
            w,
            y,
            workspace: self.workspace.0.0 as *mut c_void,
            bytes: self.workspace.1,
        };
        let known = self.plans.borrow().get(&(pass, *g)).cloned();
        let plan = match known {
            Some(plan) => plan,
            None => {
                let plan = Rc::new(self.plan(pass, g, memory)?);
                self.plans.borrow_mut().insert((pass, *g), plan.clone());
                plan
            }
        };
        let factors = Factors {
            alpha: 1.0,
            beta: if add { 1.0 } else { 0.0 },
        };
        let described = &plan.described;
        match plan.algorithm {
            Algorithm::Forward(algorithm) => self.forward(described, algorithm, memory, &factors),
            Algorithm::Input(algorithm) => self.input(described, algorithm, memory, &factors),
            Algorithm::Kernels(algorithm) => self.kernels(described, algorithm, memory, &factors),
        }
        .with_context(|| format!("cuDNN fails in {pass:?} of {g:?}"))
    }

    /// Describes a convolution, and tries all algorithms of a pass on its operands, whose result it spoils.
    fn plan(&self, pass: Pass, g: &Geometry, memory: Memory) -> Result<Plan> {
        let described = Described::new(g, self.element)?;
        let algorithm = match pass {
            Pass::Forward => Algorithm::Forward(self.find_forward(&described, memory)?),
            Pass::Input => Algorithm::Input(self.find_input(&described, memory)?),
            Pass::Kernels => Algorithm::Kernels(self.find_kernels(&described, memory)?),
        };
        Ok(Plan {
            described,
            algorithm,
        })
    }
}

/// cuDNN's calls. Their operands have the sizes that the descriptors say.
#[allow(unsafe_code)]
#[rustfmt::skip]
impl Convolutions {
    fn forward(
        &self,
        d: &Described,
        algorithm: sys::cudnnConvolutionFwdAlgo_t,
        m: Memory,
        factors: &Factors,
    ) -> Result<(), CudnnError> {
        let [alpha, beta] = factors.pointers();
        // SAFETY: as said above.
        unsafe {
            result::convolution_forward(
                self.handle, alpha, d.x, m.x, d.w, m.w, d.convolution, algorithm, m.workspace, m.bytes, beta, d.y, m.y,
            )
        }
    }

    fn input(
        &self,
        d: &Described,
        algorithm: sys::cudnnConvolutionBwdDataAlgo_t,
        m: Memory,
        factors: &Factors,
    ) -> Result<(), CudnnError> {
        let [alpha, beta] = factors.pointers();
        // SAFETY: as said above.
        unsafe {
            result::convolution_backward_data(
                self.handle, alpha, d.w, m.w, d.y, m.y, d.convolution, algorithm, m.workspace, m.bytes, beta, d.x, m.x,
            )
        }
    }

    fn kernels(
        &self,
        d: &Described,
        algorithm: sys::cudnnConvolutionBwdFilterAlgo_t,
        m: Memory,
        factors: &Factors,
    ) -> Result<(), CudnnError> {
        let [alpha, beta] = factors.pointers();
        // SAFETY: as said above.
        unsafe {
            result::convolution_backward_filter(
                self.handle, alpha, d.x, m.x, d.y, m.y, d.convolution, algorithm, m.workspace, m.bytes, beta, d.w, m.w,
            )
        }
    }

    fn find_forward(&self, d: &Described, m: Memory) -> Result<sys::cudnnConvolutionFwdAlgo_t> {
        let mut count: c_int = 0;
        // SAFETY: as said above; all zeros are a value of the plain structures that are filled.
        unsafe {
            let mut found: [sys::cudnnConvolutionFwdAlgoPerf_t; MOST_ALGORITHMS] = std::mem::zeroed();
            sys::cudnnFindConvolutionForwardAlgorithmEx(
                self.handle, d.x, m.x, d.w, m.w, d.convolution, d.y, m.y, MOST_ALGORITHMS as c_int,
                &raw mut count, found.as_mut_ptr(), m.workspace, m.bytes,
            )
            .result()?;
            fastest!(found, count, m)
        }
    }

    fn find_input(&self, d: &Described, m: Memory) -> Result<sys::cudnnConvolutionBwdDataAlgo_t> {
        let mut count: c_int = 0;
        // SAFETY: as said above; all zeros are a value of the plain structures that are filled.
        unsafe {
            let mut found: [sys::cudnnConvolutionBwdDataAlgoPerf_t; MOST_ALGORITHMS] = std::mem::zeroed();
            sys::cudnnFindConvolutionBackwardDataAlgorithmEx(
                self.handle, d.w, m.w, d.y, m.y, d.convolution, d.x, m.x, MOST_ALGORITHMS as c_int,
                &raw mut count, found.as_mut_ptr(), m.workspace, m.bytes,
            )
            .result()?;
            fastest!(found, count, m)
        }
    }

    fn find_kernels(&self, d: &Described, m: Memory) -> Result<sys::cudnnConvolutionBwdFilterAlgo_t> {
        let mut count: c_int = 0;
        // SAFETY: as said above; all zeros are a value of the plain structures that are filled.
        unsafe {
            let mut found: [sys::cudnnConvolutionBwdFilterAlgoPerf_t; MOST_ALGORITHMS] = std::mem::zeroed();
            sys::cudnnFindConvolutionBackwardFilterAlgorithmEx(
                self.handle, d.x, m.x, d.y, m.y, d.convolution, d.w, m.w, MOST_ALGORITHMS as c_int,
                &raw mut count, found.as_mut_ptr(), m.workspace, m.bytes,
            )
            .result()?;
            fastest!(found, count, m)
        }
    }
}

impl Described {
    #[allow(unsafe_code)]
    fn new(g: &Geometry, element: Element) -> Result<Self, CudnnError> {
        let (kind, math) = match element {
            Element::Bf16 => (
                sys::cudnnDataType_t::CUDNN_DATA_BFLOAT16,
                sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
            ),
            Element::F32 => (
                sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
                sys::cudnnMathType_t::CUDNN_FMA_MATH,
            ),
        };
        let last = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;
        // cuDNN names channels before height and width, whatever the format.
        let input = [g.batch, g.channels, g.height, g.width];
        let output = [g.batch, g.out_channels, g.out_height, g.out_width];
        let kernels = [g.out_channels, g.channels, g.kh, g.kw];
        let [input, output, kernels] =
            [input, output, kernels].map(|sizes| sizes.map(|size| size as c_int));
        let (padding, stride) = (g.padding as c_int, g.stride as c_int);
        let described = Self {
            x: result::create_tensor_descriptor()?,
            w: result::create_filter_descriptor()?,
            y: result::create_tensor_descriptor()?,
            convolution: result::create_convolution_descriptor()?,
        };
        let convolution = described.convolution;
        // SAFETY: the descriptors are new.
        unsafe {
            result::set_tensor4d_descriptor(described.x, last, kind, input)?;
            result::set_tensor4d_descriptor(described.y, last, kind, output)?;
            result::set_filter4d_descriptor(described.w, kind, last, kernels)?;
            result::set_convolution2d_descriptor(
                convolution,
                padding,
                padding,
                stride,
                stride,
                1,
                1,
                sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION,
                sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
            )?;
            result::set_convolution_math_type(convolution, math)?;
        }
        Ok(described)
    }
}

#[allow(unsafe_code)]
impl Drop for Described {
    fn drop(&mut self) {
        // SAFETY: nothing else holds the descriptors. An error could be told to nobody here.
        unsafe {
            let _ = result::destroy_tensor_descriptor(self.x);
            let _ = result::destroy_filter_descriptor(self.w);
            let _ = result::destroy_tensor_descriptor(self.y);
            let _ = result::destroy_convolution_descriptor(self.convolution);
        }
    }
}

#[allow(unsafe_code)]
impl Drop for Convolutions {
    fn drop(&mut self) {
        self.plans.take();
        // SAFETY: nothing else holds the handle, and the stream was waited for.
        let _ = unsafe { result::destroy_handle(self.handle) };
    }
}
