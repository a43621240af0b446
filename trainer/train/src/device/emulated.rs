//! The processor as a device: for tests of everything but the GPU itself.

use super::backend::{
    Address, Argument, Backend, Element, Launch, Pass, Product, Recording, THREADS,
};
use super::tensor_cores::{self, Scratch};
use crate::net::ops::{Geometry, convolution_passes};
use anyhow::{Result, bail};
use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_char, c_uint, c_void};
use std::sync::Mutex;

#[allow(unsafe_code)]
unsafe extern "C" {
    fn mtslvr_emulate(
        name: *const c_char,
        bf16_elements: bool,
        columns: c_uint,
        rows: c_uint,
        threads: c_uint,
        arguments: *mut *mut c_void,
    ) -> bool;
}

/// The emulator's blocks and shared memory are one for the whole program.
static EMULATOR: Mutex<()> = Mutex::new(());

/// Memory beside a convolution's operands, bytes.
const SCRATCH: usize = 1 << 20;

/// A device whose memory is the program's own, and which counts what goes over to it and back.
#[derive(Debug)]
pub struct Emulated {
    element: Element,
    memory: RefCell<Vec<Box<[u64]>>>,
    scratch: Scratch,
    /// Bytes copied to the device.
    pub uploaded: Cell<usize>,
    /// Copies back.
    pub downloads: Cell<usize>,
    /// Bytes that it says it has left.
    pub free: Cell<usize>,
}

impl Emulated {
    /// A device without memory.
    pub fn new(element: Element) -> Self {
        let mut device = Self {
            element,
            memory: RefCell::default(),
            scratch: Scratch {
                at: Address::NONE,
                bytes: SCRATCH,
            },
            uploaded: Cell::new(0),
            downloads: Cell::new(0),
            free: Cell::new(usize::MAX),
        };
        let scratch = device.allocate(SCRATCH);
        device.scratch.at = scratch.expect("the program has memory left");
        device
    }

    /// Returns the values at an address.
    fn read(&self, from: Address, element: Element, count: usize) -> Vec<f32> {
        let mut bytes = vec![0; count * element.bytes()];
        self.copy(from, bytes.len(), |memory| bytes.copy_from_slice(memory));
        element.decode(&bytes)
    }

    /// Writes values to an address, or adds them.
    fn write(&self, to: Address, element: Element, values: &[f32], add: bool) {
        let mut sum = values.to_vec();
        if add {
            let before = self.read(to, element, values.len());
            sum.iter_mut().zip(before).for_each(|(sum, v)| *sum += v);
        }
        let bytes = element.encode(&sum);
        self.copy(to, bytes.len(), |memory| memory.copy_from_slice(&bytes));
    }

    /// Calls `f` with the bytes at an address.
    ///
    /// # Panics
    /// If they do not lie in one allocation.
    fn copy(&self, at: Address, length: usize, f: impl FnOnce(&mut [u8])) {
        let mut memory = self.memory.borrow_mut();
        let block = memory.iter_mut().find_map(|block| {
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(block);
            let from = (at.0 as usize).checked_sub(bytes.as_ptr() as usize)?;
            bytes.get_mut(from..from + length)
        });
        f(block.expect("the address lies in the device's memory"));
    }
}

impl Backend for Emulated {
    fn element(&self) -> Element {
        self.element
    }

    fn name(&self) -> String {
        "emulated".into()
    }

    fn allocate(&self, bytes: usize) -> Result<Address> {
        // A word more than asked, aligned as vectors of 16 bytes want it.
        let block = vec![0u64; bytes.div_ceil(8) + 2].into_boxed_slice();
        let at = (block.as_ptr() as u64).next_multiple_of(16);
        self.memory.borrow_mut().push(block);
        Ok(Address(at))
    }

    fn free_bytes(&self) -> Result<usize> {
        Ok(self.free.get())
    }

    fn upload(&self, to: Address, bytes: &[u8]) -> Result<()> {
        self.uploaded.set(self.uploaded.get() + bytes.len());
        self.copy(to, bytes.len(), |memory| memory.copy_from_slice(bytes));
        Ok(())
    }

    fn set(&self, to: Address, value: f32) -> Result<()> {
        self.upload(to, &value.to_ne_bytes())
    }

    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()> {
        self.downloads.set(self.downloads.get() + 1);
        self.copy(from, bytes.len(), |memory| bytes.copy_from_slice(memory));
        Ok(())
    }

    fn launch(&self, launch: &Launch) -> Result<()> {
        let name = CString::new(launch.kernel).expect("no name holds a zero");
        let mut values: Vec<[u64; 6]> = launch.arguments.iter().map(Argument::words).collect();
        let mut pointers: Vec<*mut c_void> = values
            .iter_mut()
            .map(|value| std::ptr::from_mut(value).cast())
            .collect();
        let lock = EMULATOR
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // SAFETY: the arguments are those of the kernel, in its order, as the callers' tests show; the lock
        // keeps the emulator to one launch.
        #[allow(unsafe_code)]
        let known = unsafe {
            mtslvr_emulate(
                name.as_ptr(),
                launch.element == Element::Bf16,
                launch.columns as c_uint,
                launch.rows as c_uint,
                THREADS as c_uint,
                pointers.as_mut_ptr(),
            )
        };
        drop(lock);
        if !known {
            bail!("no kernel is called {}", launch.kernel);
        }
        Ok(())
    }

    fn convolve(&self, pass: Pass, g: &Geometry, operands: [Address; 3], add: bool) -> Result<()> {
        if self.element == Element::Bf16 && tensor_cores::takes(g, SCRATCH) {
            let launches = tensor_cores::launches(pass, g, operands, add, self.scratch);
            return launches.iter().try_for_each(|launch| self.launch(launch));
        }
        let counts = [
            g.batch * g.height * g.width * g.channels,
            g.out_channels * g.patch(),
            g.batch * g.out_height * g.out_width * g.out_channels,
        ];
        let read = |index: usize| self.read(operands[index], self.element, counts[index]);
        let (to, values) = match pass {
            Pass::Forward => (2, convolution_passes::forward(g, &read(0), &read(1))),
            Pass::Input => (0, convolution_passes::input_gradient(g, &read(1), &read(2))),
            Pass::Kernels => (
                1,
                convolution_passes::weight_gradient(g, &read(0), &read(2)),
            ),
        };
        self.write(operands[to], self.element, &values, add);
        Ok(())
    }

    fn multiply(&self, product: &Product) -> Result<()> {
        let [rows, columns, sums] = product.sizes;
        let a = self.read(product.a.at, Element::F32, rows * sums);
        let b = self.read(product.b.at, Element::F32, sums * columns);
        let at_a = |i: usize, k: usize| match product.a.transposed {
            false => a[i * sums + k],
            true => a[k * rows + i],
        };
        let at_b = |k: usize, j: usize| match product.b.transposed {
            false => b[k * columns + j],
            true => b[j * sums + k],
        };
        let mut c = Vec::with_capacity(rows * columns);
        for i in 0..rows {
            for j in 0..columns {
                c.push((0..sums).map(|k| at_a(i, k) * at_b(k, j)).sum());
            }
        }
        self.write(product.c, Element::F32, &c, product.add);
        Ok(())
    }

    fn record(&self, steps: &dyn Fn() -> Result<()>) -> Result<Option<Box<dyn Recording>>> {
        steps()?;
        Ok(None)
    }

    fn wait(&self) -> Result<()> {
        Ok(())
    }
}
