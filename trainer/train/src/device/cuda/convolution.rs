//! Convolutions by cuDNN, channels last.

use crate::device::backend::{Address, Element, Pass};
use crate::net::ops::Geometry;
use anyhow::{Context, Result};
use cudarc::cudnn::{result, sys};
use cudarc::driver::CudaStream;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
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

/// Descriptors of a convolution and the algorithm for one of its passes.
struct Plan {
    x: sys::cudnnTensorDescriptor_t,
    w: sys::cudnnFilterDescriptor_t,
    y: sys::cudnnTensorDescriptor_t,
    convolution: sys::cudnnConvolutionDescriptor_t,
    algorithm: Algorithm,
}

#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Forward(sys::cudnnConvolutionFwdAlgo_t),
    Input(sys::cudnnConvolutionBwdDataAlgo_t),
    Kernels(sys::cudnnConvolutionBwdFilterAlgo_t),
}

/// The first algorithm, from the fastest on, that ran in the memory it may use.
macro_rules! fastest {
    ($found:expr, $count:expr, $workspace:expr) => {
        $found[..$count as usize]
            .iter()
            .find(|found| {
                found.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS
                    && found.memory <= $workspace
            })
            .map(|found| found.algo)
            .context("cuDNN has no algorithm for a convolution of these sizes")?
    };
}

#[allow(unsafe_code)]
impl Convolutions {
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
        let known = self.plans.borrow().get(&(pass, *g)).cloned();
        let plan = match known {
            Some(plan) => plan,
            None => {
                let plan = Rc::new(self.plan(pass, g, operands)?);
                self.plans.borrow_mut().insert((pass, *g), plan.clone());
                plan
            }
        };
        let (alpha, beta) = (1f32, if add { 1f32 } else { 0.0 });
        let [alpha, beta] = [&raw const alpha, &raw const beta].map(<*const f32>::cast::<c_void>);
        let [x, w, y] = operands.map(|operand| operand.0 as *mut c_void);
        let (workspace, bytes) = (self.workspace.0.0 as *mut c_void, self.workspace.1);
        let Plan {
            x: of_x,
            w: of_w,
            y: of_y,
            convolution,
            algorithm,
        } = *plan;
        // SAFETY: the operands have the sizes that the descriptors say.
        unsafe {
            match algorithm {
                Algorithm::Forward(algorithm) => result::convolution_forward(
                    self.handle,
                    alpha,
                    of_x,
                    x,
                    of_w,
                    w,
                    convolution,
                    algorithm,
                    workspace,
                    bytes,
                    beta,
                    of_y,
                    y,
                ),
                Algorithm::Input(algorithm) => result::convolution_backward_data(
                    self.handle,
                    alpha,
                    of_w,
                    w,
                    of_y,
                    y,
                    convolution,
                    algorithm,
                    workspace,
                    bytes,
                    beta,
                    of_x,
                    x,
                ),
                Algorithm::Kernels(algorithm) => result::convolution_backward_filter(
                    self.handle,
                    alpha,
                    of_x,
                    x,
                    of_y,
                    y,
                    convolution,
                    algorithm,
                    workspace,
                    bytes,
                    beta,
                    of_w,
                    w,
                ),
            }
        }
        .with_context(|| format!("cuDNN fails in {pass:?} of {g:?}"))
    }

    /// Makes descriptors, and tries all algorithms of a pass on its operands, whose result it spoils.
    fn plan(&self, pass: Pass, g: &Geometry, operands: [Address; 3]) -> Result<Plan> {
        let element = match self.element {
            Element::Bf16 => sys::cudnnDataType_t::CUDNN_DATA_BFLOAT16,
            Element::F32 => sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
        };
        let math = match self.element {
            Element::Bf16 => sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
            Element::F32 => sys::cudnnMathType_t::CUDNN_FMA_MATH,
        };
        let last = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;
        // cuDNN takes channels before height and width, whatever the format.
        let sizes = |sizes: [usize; 4]| sizes.map(|size| size as i32);
        let (handle, [x, w, y]) = (
            self.handle,
            operands.map(|operand| operand.0 as *mut c_void),
        );
        let (workspace, bytes) = (self.workspace.0.0 as *mut c_void, self.workspace.1);
        let most = MOST_ALGORITHMS as i32;
        let mut count = 0;
        // SAFETY: the descriptors are new, and the operands have the sizes that are written into them.
        unsafe {
            let of_x = result::create_tensor_descriptor()?;
            result::set_tensor4d_descriptor(
                of_x,
                last,
                element,
                sizes([g.batch, g.channels, g.height, g.width]),
            )?;
            let of_y = result::create_tensor_descriptor()?;
            let out = [g.batch, g.out_channels, g.out_height, g.out_width];
            result::set_tensor4d_descriptor(of_y, last, element, sizes(out))?;
            let of_w = result::create_filter_descriptor()?;
            let kernels = [g.out_channels, g.channels, g.kh, g.kw];
            result::set_filter4d_descriptor(of_w, element, last, sizes(kernels))?;
            let convolution = result::create_convolution_descriptor()?;
            let (padding, stride) = (g.padding as i32, g.stride as i32);
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
            let algorithm = match pass {
                Pass::Forward => {
                    let mut found: [sys::cudnnConvolutionFwdAlgoPerf_t; MOST_ALGORITHMS] =
                        std::mem::zeroed();
                    sys::cudnnFindConvolutionForwardAlgorithmEx(
                        handle,
                        of_x,
                        x,
                        of_w,
                        w,
                        convolution,
                        of_y,
                        y,
                        most,
                        &raw mut count,
                        found.as_mut_ptr(),
                        workspace,
                        bytes,
                    )
                    .result()?;
                    Algorithm::Forward(fastest!(found, count, bytes))
                }
                Pass::Input => {
                    let mut found: [sys::cudnnConvolutionBwdDataAlgoPerf_t; MOST_ALGORITHMS] =
                        std::mem::zeroed();
                    sys::cudnnFindConvolutionBackwardDataAlgorithmEx(
                        handle,
                        of_w,
                        w,
                        of_y,
                        y,
                        convolution,
                        of_x,
                        x,
                        most,
                        &raw mut count,
                        found.as_mut_ptr(),
                        workspace,
                        bytes,
                    )
                    .result()?;
                    Algorithm::Input(fastest!(found, count, bytes))
                }
                Pass::Kernels => {
                    let mut found: [sys::cudnnConvolutionBwdFilterAlgoPerf_t; MOST_ALGORITHMS] =
                        std::mem::zeroed();
                    sys::cudnnFindConvolutionBackwardFilterAlgorithmEx(
                        handle,
                        of_x,
                        x,
                        of_y,
                        y,
                        convolution,
                        of_w,
                        w,
                        most,
                        &raw mut count,
                        found.as_mut_ptr(),
                        workspace,
                        bytes,
                    )
                    .result()?;
                    Algorithm::Kernels(fastest!(found, count, bytes))
                }
            };
            Ok(Plan {
                x: of_x,
                w: of_w,
                y: of_y,
                convolution,
                algorithm,
            })
        }
    }
}

#[allow(unsafe_code)]
impl Drop for Convolutions {
    fn drop(&mut self) {
        // SAFETY: nothing else holds the descriptors and the handle, and the stream was waited for.
        unsafe {
            for plan in self.plans.take().into_values() {
                let _ = result::destroy_tensor_descriptor(plan.x);
                let _ = result::destroy_filter_descriptor(plan.w);
                let _ = result::destroy_tensor_descriptor(plan.y);
                let _ = result::destroy_convolution_descriptor(plan.convolution);
            }
            let _ = result::destroy_handle(self.handle);
        }
    }
}
