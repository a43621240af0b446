//! The first CUDA device: cuDNN's convolutions, cuBLAS's products, and the kernels of `kernels.cu`, which
//! NVRTC compiles when a device is opened. A step is recorded as a CUDA graph.
//!
//! The libraries are looked for when they are needed, by their names, along `LD_LIBRARY_PATH`; to build, nothing of
//! CUDA has to be there.

mod convolution;

use super::backend::{
    Address, Argument, Backend, Element, Launch, Pass, Product, Recording, THREADS,
};
use super::tensor_cores::{self, Scratch};
use crate::net::ops::Geometry;
use anyhow::{Context, Result, bail};
use convolution::Convolutions;
use cudarc::cublas::{self, CudaBlas};
use cudarc::driver::{CudaContext, CudaFunction, CudaGraph, CudaModule, CudaStream, result, sys};
use cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Arc;
use std::time::Instant;

/// Memory that convolutions and products may use beside their operands, bytes.
const WORKSPACE: usize = 256 << 20;
/// The same of cuBLAS, as it advises for Hopper.
const BLAS_WORKSPACE: usize = 32 << 20;

const KERNELS: &str = include_str!("kernels.cu");
/// Behind them, for `f32` alone.
const VIEWS: &str = include_str!("views.cu");

/// Convolutions in a row that are measured.
const MEASURED: u32 = 10;

/// Implementation of convolutions of bf16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Convolving {
    /// The faster of both in each pass of each convolution, measured when a step is written down.
    #[default]
    Fastest,
    /// The kernels of `kernels.cu`, where they take a convolution.
    OwnKernels,
    /// cuDNN.
    CuDnn,
}

/// The first CUDA device.
pub struct Cuda {
    element: Element,
    module: Arc<CudaModule>,
    /// The same for activations of bf16, where they are of that type.
    module_bf16: Option<Arc<CudaModule>>,
    functions: RefCell<HashMap<(&'static str, Element), CudaFunction>>,
    convolutions: Convolutions,
    convolving: Convolving,
    /// Seconds of the own kernels and of cuDNN.
    measured: RefCell<HashMap<(Pass, Geometry), [f64; 2]>>,
    scratch: Scratch,
    blas: CudaBlas,
    memory: RefCell<Vec<sys::CUdeviceptr>>,
    stream: Arc<CudaStream>,
    context: Arc<CudaContext>,
}

impl std::fmt::Debug for Cuda {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cuda")
            .field("name", &self.name())
            .field("element", &self.element)
            .finish_non_exhaustive()
    }
}

/// Finds the libraries before cudarc does, which would panic where one is missing.
#[allow(unsafe_code)]
fn check_libraries() -> Result<()> {
    // SAFETY: looking for a library runs nothing but its own initialisation.
    let found = unsafe {
        [
            ("the NVIDIA driver (libcuda.so.1)", sys::is_culib_present()),
            (
                "NVRTC (libnvrtc.so.13)",
                cudarc::nvrtc::sys::is_culib_present(),
            ),
            ("cuBLAS (libcublas.so.13)", cublas::sys::is_culib_present()),
            (
                "cuDNN (libcudnn.so.9)",
                cudarc::cudnn::sys::is_culib_present(),
            ),
        ]
    };
    let missing: Vec<&str> = found
        .iter()
        .filter(|(_, found)| !found)
        .map(|(name, _)| *name)
        .collect();
    if !missing.is_empty() {
        bail!(
            "train.device is cuda, and these libraries are not found: {}; install CUDA 13 and cuDNN 9, and name their \
             folders in LD_LIBRARY_PATH (trainer/train/CUDA.md says which), or set train.device=cpu",
            missing.join(", ")
        );
    }
    Ok(())
}

impl Cuda {
    /// Opens the first device for activations of type `element`.
    ///
    /// # Errors
    /// If a library is missing, or there is no device.
    #[allow(unsafe_code)]
    pub fn open(element: Element) -> Result<Self> {
        check_libraries()?;
        let context = CudaContext::new(0).context(
            "the first CUDA device cannot be opened; check that nvidia-smi lists one and that its driver is of \
             CUDA 13 or later, or set train.device=cpu",
        )?;
        // SAFETY: all memory here is used on one stream.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream()?;
        let (major, minor) = context.compute_capability()?;
        let compile = |element: Element| -> Result<Arc<CudaModule>> {
            let mut options = vec![
                "--std=c++17".to_owned(),
                format!("--gpu-architecture=compute_{major}{minor}"),
            ];
            if element == Element::Bf16 {
                options.push("-DELEMENT_BF16".into());
            }
            let text = match element {
                Element::Bf16 => KERNELS.to_owned(),
                Element::F32 => [KERNELS, VIEWS].concat(),
            };
            let ptx = compile_ptx_with_opts(
                text,
                CompileOptions {
                    options,
                    ..CompileOptions::default()
                },
            )
            .context("NVRTC does not compile the kernels")?;
            Ok(context.load_module(ptx)?)
        };
        if element == Element::Bf16 && major < 8 {
            bail!(
                "train.precision is bf16, which needs a GPU of compute capability 8.0 or later, and this one has \
                 {major}.{minor}; set train.precision=f32"
            );
        }
        let module = compile(Element::F32)?;
        let module_bf16 = match element {
            Element::Bf16 => Some(compile(Element::Bf16)?),
            Element::F32 => None,
        };
        let blas = CudaBlas::new(stream.clone())?;
        let mut cuda = Self {
            element,
            module,
            module_bf16,
            functions: RefCell::default(),
            convolutions: Convolutions::new(&stream, element)?,
            convolving: Convolving::Fastest,
            measured: RefCell::default(),
            scratch: Scratch {
                at: Address::NONE,
                bytes: WORKSPACE,
            },
            blas,
            memory: RefCell::default(),
            stream,
            context,
        };
        let (blas_workspace, workspace) =
            (cuda.allocate(BLAS_WORKSPACE)?, cuda.allocate(WORKSPACE)?);
        cuda.convolutions.set_workspace(workspace, WORKSPACE);
        // Never both at a time.
        cuda.scratch.at = workspace;
        let math = match element {
            Element::Bf16 => cublas::sys::cublasMath_t::CUBLAS_TF32_TENSOR_OP_MATH,
            Element::F32 => cublas::sys::cublasMath_t::CUBLAS_DEFAULT_MATH,
        };
        // SAFETY: the handle and the memory live as long as the device.
        unsafe {
            let handle = *cuda.blas.handle();
            cublas::sys::cublasSetWorkspace_v2(
                handle,
                blas_workspace.0 as *mut c_void,
                BLAS_WORKSPACE,
            )
            .result()?;
            cublas::sys::cublasSetMathMode(handle, math).result()?;
        }
        Ok(cuda)
    }

    /// Version of CUDA that the driver serves, for people.
    ///
    /// # Errors
    /// If the driver does not say.
    #[allow(unsafe_code)]
    pub fn driver(&self) -> Result<String> {
        let mut version = 0;
        // SAFETY: the call writes one number.
        unsafe { sys::cuDriverGetVersion(&raw mut version).result()? };
        Ok(format!("CUDA {}.{}", version / 1000, version % 1000 / 10))
    }

    /// Sets the implementation of convolutions of bf16.
    pub fn set_convolving(&mut self, convolving: Convolving) {
        self.convolving = convolving;
    }

    fn convolve_by(
        &self,
        own: bool,
        pass: Pass,
        g: &Geometry,
        operands: [Address; 3],
        add: bool,
    ) -> Result<()> {
        if !own {
            return self.convolutions.run(pass, g, operands, add);
        }
        let launches = tensor_cores::launches(pass, g, operands, add, self.scratch);
        launches.iter().try_for_each(|launch| self.launch(launch))
    }

    /// Returns whether the own kernels are faster than cuDNN in a pass. The first call for a pass and a geometry
    /// measures it, and overwrites the result.
    fn own_is_faster(&self, pass: Pass, g: &Geometry, operands: [Address; 3]) -> Result<bool> {
        if let Some(&[own, library]) = self.measured.borrow().get(&(pass, *g)) {
            return Ok(own < library);
        }
        let mut seconds = [f64::INFINITY; 2];
        for (own, least) in [true, false].into_iter().zip(&mut seconds) {
            // Recorded, as in a step: the host takes longer to ask cuDNN for a small convolution than the GPU to run it.
            let repeated =
                || (0..MEASURED).try_for_each(|_| self.convolve_by(own, pass, g, operands, false));
            let recording = match self.record(&repeated) {
                // The own kernels do without cuDNN.
                Err(_) if !own => continue,
                recording => recording?.context("nothing was recorded")?,
            };
            // The least of a few: others may be using the GPU.
            for _ in 0..3 {
                self.wait()?;
                let start = Instant::now();
                recording.run()?;
                self.wait()?;
                *least = least.min(start.elapsed().as_secs_f64() / f64::from(MEASURED));
            }
        }
        self.measured.borrow_mut().insert((pass, *g), seconds);
        Ok(seconds[0] < seconds[1])
    }

    fn function(&self, kernel: &'static str, element: Element) -> Result<sys::CUfunction> {
        let mut functions = self.functions.borrow_mut();
        if let Some(function) = functions.get(&(kernel, element)) {
            return Ok(function.cu_function());
        }
        let module = match element {
            Element::F32 => &self.module,
            Element::Bf16 => self
                .module_bf16
                .as_ref()
                .context("the device was opened for f32")?,
        };
        let function = module
            .load_function(kernel)
            .with_context(|| format!("no kernel is called {kernel}"))?;
        let handle = function.cu_function();
        functions.insert((kernel, element), function);
        Ok(handle)
    }
}

impl Drop for Cuda {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // What failed before has been told; here nobody can be.
        let _ = self.stream.synchronize();
        for at in self.memory.take() {
            // SAFETY: it was allocated here, and the last work that could use it is done.
            let _ = unsafe { result::free_sync(at) };
        }
    }
}

/// A step as a CUDA graph.
struct Graph(CudaGraph);

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Graph")
    }
}

impl Recording for Graph {
    fn run(&self) -> Result<()> {
        Ok(self.0.launch()?)
    }
}

#[allow(unsafe_code)]
impl Backend for Cuda {
    fn element(&self) -> Element {
        self.element
    }

    fn name(&self) -> String {
        self.context.name().unwrap_or_else(|_| "CUDA device".into())
    }

    fn choices(&self) -> Vec<String> {
        let measured = self.measured.borrow();
        let mut choices: Vec<String> = measured
            .iter()
            .map(|((pass, g), [own, library])| {
                format!(
                    "{:?}, {}x{} stride {}, {} x {} x {} x {} to {}: {:.1} us, cuDNN {:.1} us",
                    pass,
                    g.kh,
                    g.kw,
                    g.stride,
                    g.batch,
                    g.height,
                    g.width,
                    g.channels,
                    g.out_channels,
                    own * 1e6,
                    library * 1e6
                )
            })
            .collect();
        choices.sort();
        choices
    }

    fn allocate(&self, bytes: usize) -> Result<Address> {
        let bytes = bytes.max(16);
        self.context.bind_to_thread()?;
        // SAFETY: the memory is cleared before anything reads it, and given back when the device closes.
        let at = unsafe {
            let at = result::malloc_sync(bytes).with_context(|| {
                let (free, _) = self.context.mem_get_info().unwrap_or_default();
                format!(
                    "the GPU has no {:.1} MB left ({:.1} MB free); try a smaller train.batch",
                    bytes as f64 / 1e6,
                    free as f64 / 1e6
                )
            })?;
            self.memory.borrow_mut().push(at);
            result::memset_d8_async(at, 0, bytes, self.stream.cu_stream())?;
            at
        };
        Ok(Address(at))
    }

    fn free_bytes(&self) -> Result<usize> {
        self.context.bind_to_thread()?;
        Ok(self.context.mem_get_info()?.0)
    }

    fn upload(&self, to: Address, bytes: &[u8]) -> Result<()> {
        // SAFETY: the bytes are borrowed until the copy is done.
        unsafe { result::memcpy_htod_async(to.0, bytes, self.stream.cu_stream()) }?;
        self.wait()
    }

    fn set(&self, to: Address, value: f32) -> Result<()> {
        // SAFETY: the address is that of a number.
        Ok(unsafe {
            sys::cuMemsetD32Async(to.0, value.to_bits(), 1, self.stream.cu_stream()).result()
        }?)
    }

    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()> {
        // SAFETY: the bytes are borrowed until the copy is done.
        unsafe { result::memcpy_dtoh_async(bytes, from.0, self.stream.cu_stream()) }?;
        self.wait()
    }

    fn launch(&self, launch: &Launch) -> Result<()> {
        let function = self.function(launch.kernel, launch.element)?;
        let mut values: Vec<[u64; 6]> = launch.arguments.iter().map(Argument::words).collect();
        let mut pointers: Vec<*mut c_void> = values
            .iter_mut()
            .map(|value| std::ptr::from_mut(value).cast())
            .collect();
        let grid = (launch.columns as u32, launch.rows as u32, 1);
        // SAFETY: the arguments are those of the kernel, in its order: tests run the same launches on the
        // processor, where each argument's type is the kernel's own.
        unsafe {
            result::launch_kernel(
                function,
                grid,
                (THREADS as u32, 1, 1),
                0,
                self.stream.cu_stream(),
                &mut pointers,
            )
        }
        .with_context(|| format!("the kernel {} fails", launch.kernel))
    }

    fn convolve(&self, pass: Pass, g: &Geometry, operands: [Address; 3], add: bool) -> Result<()> {
        let own = match self.convolving {
            _ if self.element != Element::Bf16 || !tensor_cores::takes(g, self.scratch.bytes) => {
                false
            }
            Convolving::OwnKernels => true,
            Convolving::CuDnn => false,
            Convolving::Fastest => self.own_is_faster(pass, g, operands)?,
        };
        self.convolve_by(own, pass, g, operands, add)
    }

    fn multiply(&self, product: &Product) -> Result<()> {
        use cublas::sys::cublasOperation_t::{CUBLAS_OP_N, CUBLAS_OP_T};
        let [rows, columns, sums] = product.sizes.map(|size| size as i32);
        let operation = |transposed| if transposed { CUBLAS_OP_T } else { CUBLAS_OP_N };
        // cuBLAS reads columns where rows lie: it multiplies the transposed matrices, in the other order.
        let (a, b) = (product.a, product.b);
        let leading_a = if a.transposed { rows } else { sums };
        let leading_b = if b.transposed { sums } else { columns };
        let (alpha, beta) = (1f32, if product.add { 1f32 } else { 0.0 });
        // SAFETY: the factors and the result have the sizes that they are said to have.
        unsafe {
            cublas::result::sgemm(
                *self.blas.handle(),
                operation(b.transposed),
                operation(a.transposed),
                columns,
                rows,
                sums,
                &raw const alpha,
                b.at.0 as *const f32,
                leading_b,
                a.at.0 as *const f32,
                leading_a,
                &raw const beta,
                product.c.0 as *mut f32,
                columns,
            )
        }
        .context("cuBLAS fails")
    }

    fn record(&self, steps: &dyn Fn() -> Result<()>) -> Result<Option<Box<dyn Recording>>> {
        // Once without recording: libraries make their plans when they are first asked.
        steps()?;
        self.wait()?;
        self.stream
            .begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)?;
        let taken = steps();
        let graph = self.stream.end_capture(sys::CUgraphInstantiate_flags(0));
        taken?;
        let graph = graph?.context("the recorded step is empty")?;
        graph.upload()?;
        Ok(Some(Box::new(Graph(graph))))
    }

    fn wait(&self) -> Result<()> {
        Ok(self.stream.synchronize()?)
    }
}
