//! Writes the passes of a network down as work for a device.

mod norm;
mod operators;
mod stem;

use super::backend::{Address, Argument, Backend, Element, Factor, Launch, Product, THREADS};
use crate::net::{Norm, Parameters, RunningStatistics};
use candle_core::{Result, TensorId, Var, bail};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Most channels of a norm, as `kernels.cu` has it.
const MOST_CHANNELS: usize = 2048;
/// Blocks of a launch that goes over many values: a few for each multiprocessor of a large GPU.
const MOST_BLOCKS: usize = 1056;
/// Blocks that leave partial sums: two for each multiprocessor of a large GPU.
pub(crate) const MOST_PARTS: usize = 264;
/// Values between the beginnings of two parameters, so that vectors of them are aligned.
const ALIGNMENT: usize = 64;

/// Does something on a device.
type Run = dyn Fn(&dyn Backend) -> anyhow::Result<()>;

/// Something to be done, and its name in a profile.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    pub(crate) run: Box<Run>,
}

impl Work {
    pub(super) fn new(
        name: &'static str,
        run: impl Fn(&dyn Backend) -> anyhow::Result<()> + 'static,
    ) -> Self {
        Self {
            name,
            run: Box::new(run),
        }
    }

    /// A launch of `kernel` in `columns` blocks.
    pub(crate) fn launch(
        kernel: &'static str,
        element: Element,
        columns: usize,
        arguments: impl IntoIterator<Item = Argument>,
    ) -> Self {
        let launch = Launch {
            kernel,
            element,
            columns,
            rows: 1,
            arguments: arguments.into_iter().collect(),
        };
        Self::new(kernel, move |backend| backend.launch(&launch))
    }
}

/// Blocks for a kernel that takes one item a thread.
pub(crate) fn blocks(items: usize) -> usize {
    items.div_ceil(THREADS).clamp(1, MOST_BLOCKS)
}

/// Place of a value's gradient.
#[derive(Clone, Copy, Debug)]
enum Slope {
    /// Nobody asks for it.
    Unwanted,
    /// Memory is set aside for it when the first part arrives.
    Anywhere,
    At(Address),
}

/// Values on the device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    id: usize,
    pub(crate) at: Address,
    count: usize,
    element: Element,
    slope: Slope,
}

/// An activation of convolutions, `[batch, height, width, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct Map {
    value: Value,
    dims: [usize; 4],
}

/// An activation of linear layers, `[rows, columns]` of `f32`.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    pub(super) value: Value,
    pub(super) rows: usize,
    pub(crate) columns: usize,
}

/// Kernels of a convolution, `[out, side, side, in]`.
#[derive(Clone, Copy, Debug)]
pub struct Kernels {
    value: Value,
    shape: [usize; 4],
}

/// Gradients that have arrived so far, while the backward pass is written down.
#[derive(Debug, Default)]
pub(super) struct Slopes(HashMap<usize, Address>);

impl Slopes {
    /// Returns where the gradient of `value` is, if any has arrived.
    pub(super) fn of(&self, value: &Value) -> Option<Address> {
        self.0.get(&value.id).copied()
    }

    /// Returns where a part of the gradient of `value` goes, and whether it is added to others; `None` where
    /// nobody asks for it.
    pub(super) fn give(
        &mut self,
        value: &Value,
        backend: &dyn Backend,
    ) -> anyhow::Result<Option<(Address, bool)>> {
        if let Some(&at) = self.0.get(&value.id) {
            return Ok(Some((at, true)));
        }
        let at = match value.slope {
            Slope::Unwanted => return Ok(None),
            Slope::At(at) => at,
            Slope::Anywhere => backend.allocate(value.count * value.element.bytes())?,
        };
        self.0.insert(value.id, at);
        Ok(Some((at, false)))
    }
}

/// Plans the backward pass of one operator: none of it where no gradient of its result arrives.
type Backward = Box<dyn FnOnce(&mut Slopes, &dyn Backend) -> anyhow::Result<Vec<Work>>>;

/// A parameter on the device.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) variable: Var,
    /// First value among all parameters.
    pub(crate) offset: usize,
    value: Value,
}

/// Memory of all parameters, their gradients and moments, each at its offset.
#[derive(Debug)]
pub(crate) struct Stores {
    pub(crate) values: Address,
    pub(crate) gradients: Address,
    pub(crate) moments: [Address; 2],
    /// Values of each, with the gaps between parameters.
    pub(crate) count: usize,
    pub(crate) places: Vec<Place>,
}

/// A use of kernels, with an adapter or without.
#[derive(Clone, Copy, Debug)]
struct Use {
    kernels: usize,
    adapter: Option<usize>,
    shaped: Kernels,
    offset: usize,
}

/// The running statistics of a norm, `[2, channels]`: mean and variance.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) host: RunningStatistics,
    pub(crate) at: Address,
}

#[derive(Default)]
struct Written {
    values: usize,
    forward: Vec<Work>,
    backward: Vec<Backward>,
    uses: Vec<Use>,
    /// Values of all shaped kernels so far.
    shaped: usize,
    running: Vec<Running>,
}

/// Operators that are written down: [`Operators`](crate::net::Operators) for a network in training.
pub struct Tape<'b> {
    pub(super) backend: &'b dyn Backend,
    momentum: f32,
    pub(crate) stores: Stores,
    by_variable: HashMap<TensorId, usize>,
    /// Kernels as convolutions use them, and their gradients.
    shaped: [Address; 2],
    written: RefCell<Written>,
}

impl std::fmt::Debug for Tape<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape")
            .field("backend", &self.backend)
            .field("stores", &self.stores)
            .finish_non_exhaustive()
    }
}

/// All work of a step between its inputs and the gradients of its parameters.
pub(crate) struct Passes {
    pub(crate) forward: Vec<Work>,
    pub(crate) backward: Vec<Work>,
    /// Whether each parameter gets a gradient.
    pub(crate) trained: Vec<bool>,
    pub(crate) running: Vec<Running>,
    pub(crate) stores: Stores,
}

impl<'b> Tape<'b> {
    /// Makes an empty tape for a network of these parameters, whose running statistics move by `momentum`.
    ///
    /// # Errors
    /// If the device has no memory for them.
    pub fn new(
        backend: &'b dyn Backend,
        parameters: &Parameters,
        momentum: f32,
    ) -> anyhow::Result<Self> {
        let (mut count, mut kernels, mut offsets) = (0, 0, Vec::new());
        for (_, variable) in parameters.variables() {
            offsets.push(count);
            let padded = variable.elem_count().next_multiple_of(ALIGNMENT);
            count += padded;
            if variable.rank() == 4 {
                kernels += padded;
            }
        }
        anyhow::ensure!(
            count <= i32::MAX as usize,
            "{count} parameters are too many for a GPU's step"
        );
        let floats = |count: usize| backend.allocate(count * Element::F32.bytes());
        let (values, gradients) = (floats(count)?, floats(count)?);
        let moments = [floats(count)?, floats(count)?];
        // At most one shape for each path.
        let shaped = crate::net::PATHS * kernels * backend.element().bytes();
        let variables = parameters.variables().zip(offsets).enumerate();
        let places: Vec<Place> = variables
            .map(|(id, ((name, variable), offset))| Place {
                name: name.to_owned(),
                variable: variable.clone(),
                offset,
                value: Value {
                    id,
                    at: values.plus(offset * Element::F32.bytes()),
                    count: variable.elem_count(),
                    element: Element::F32,
                    slope: Slope::At(gradients.plus(offset * Element::F32.bytes())),
                },
            })
            .collect();
        let by_variable = places.iter().enumerate();
        let by_variable = by_variable.map(|(index, place)| (place.variable.id(), index));
        Ok(Self {
            backend,
            momentum,
            by_variable: by_variable.collect(),
            shaped: [backend.allocate(shaped)?, backend.allocate(shaped)?],
            written: RefCell::new(Written {
                values: places.len(),
                ..Written::default()
            }),
            stores: Stores {
                values,
                gradients,
                moments,
                count,
                places,
            },
        })
    }

    /// Takes patches that lie at an address, `[batch, frames, mels]` of `f32`, as a map of one channel.
    pub fn input(&self, at: Address, [batch, frames, mels]: [usize; 3]) -> Map {
        let value = Value {
            id: self.next_id(),
            at,
            count: batch * frames * mels,
            element: Element::F32,
            slope: Slope::Unwanted,
        };
        Map {
            value,
            dims: [batch, frames, mels, 1],
        }
    }

    fn next_id(&self) -> usize {
        let mut written = self.written.borrow_mut();
        written.values += 1;
        written.values - 1
    }

    fn make(&self, count: usize, element: Element) -> Result<Value> {
        if count > i32::MAX as usize {
            bail!(
                "an activation of {count} values is too large for a GPU's step; try a smaller train.batch"
            );
        }
        Ok(Value {
            id: self.next_id(),
            at: self.memory(count * element.bytes())?,
            count,
            element,
            slope: Slope::Anywhere,
        })
    }

    fn make_map(&self, dims: [usize; 4]) -> Result<Map> {
        let value = self.make(dims.iter().product(), self.backend.element())?;
        Ok(Map { value, dims })
    }

    fn make_rows(&self, rows: usize, columns: usize) -> Result<Rows> {
        let value = self.make(rows * columns, Element::F32)?;
        Ok(Rows {
            value,
            rows,
            columns,
        })
    }

    /// Memory for something else than a value.
    pub(super) fn memory(&self, bytes: usize) -> Result<Address> {
        self.backend
            .allocate(bytes)
            .map_err(|error| candle_core::Error::Msg(format!("{error:#}")))
    }

    pub(super) fn floats(&self, count: usize) -> Result<Address> {
        self.memory(count * Element::F32.bytes())
    }

    fn parameter(&self, variable: &Var) -> Result<(usize, Value)> {
        match self.by_variable.get(&variable.id()) {
            Some(&index) => Ok((index, self.stores.places[index].value)),
            None => bail!("a layer's parameter is none of the network's"),
        }
    }

    /// Writes the next operator down.
    pub(super) fn push(
        &self,
        forward: Vec<Work>,
        backward: impl FnOnce(&mut Slopes, &dyn Backend) -> anyhow::Result<Vec<Work>> + 'static,
    ) {
        let mut written = self.written.borrow_mut();
        written.forward.extend(forward);
        written.backward.push(Box::new(backward));
    }

    /// Returns the running statistics of a norm on the device.
    fn running(&self, norm: &Norm) -> Result<Address> {
        let host = norm.running();
        let mut written = self.written.borrow_mut();
        let mut known = written.running.iter();
        if let Some(running) = known.find(|running| Arc::ptr_eq(&running.host, host)) {
            return Ok(running.at);
        }
        let channels = host.lock().expect("no panic while locked").mean.len();
        let at = self.floats(2 * channels)?;
        written.running.push(Running {
            host: host.clone(),
            at,
        });
        Ok(at)
    }

    /// Ends the tape: plans the backward pass from all losses.
    pub(crate) fn finish(self) -> anyhow::Result<Passes> {
        let mut written = self.written.into_inner();
        let mut slopes = Slopes::default();
        let mut backward = Vec::new();
        for plan in written.backward.into_iter().rev() {
            backward.extend(plan(&mut slopes, self.backend)?);
        }
        let table = kernel_table(&written.uses, &self.stores);
        let rows = table.len() / TABLE_ROW;
        let largest = self
            .stores
            .places
            .iter()
            .map(|place| place.value.count)
            .max();
        let at = self.backend.allocate(table.len() * 4)?;
        self.backend.upload(at, bytemuck::cast_slice(&table))?;
        let over = |kernel, [from, to]: [Address; 2]| {
            let launch = Launch {
                kernel,
                element: self.backend.element(),
                columns: blocks(largest.unwrap_or(1)).min(64),
                rows,
                arguments: vec![from.into(), at.into(), to.into()],
            };
            Work::new(kernel, move |backend| backend.launch(&launch))
        };
        let shape = over("shape_kernels", [self.stores.values, self.shaped[0]]);
        written.forward.insert(0, shape);
        backward.push(over(
            "kernel_gradients",
            [self.shaped[1], self.stores.gradients],
        ));
        let mut trained: Vec<bool> = self
            .stores
            .places
            .iter()
            .map(|place| slopes.of(&place.value).is_some())
            .collect();
        for used in &written.uses {
            let arrived = slopes.of(&used.shaped.value).is_some();
            anyhow::ensure!(arrived, "kernels are used that no loss depends on");
            trained[used.kernels] = true;
            if let Some(adapter) = used.adapter {
                trained[adapter] = true;
            }
        }
        Ok(Passes {
            forward: written.forward,
            backward,
            trained,
            running: written.running,
            stores: self.stores,
        })
    }
}

/// Numbers in a row of the table that `kernels.cu` calls `KernelUse`.
const TABLE_ROW: usize = 9;

/// A row for each parameter of kernels: its uses.
fn kernel_table(uses: &[Use], stores: &Stores) -> Vec<i32> {
    let mut table = Vec::new();
    for (index, place) in stores.places.iter().enumerate() {
        let of: Vec<&Use> = uses.iter().filter(|used| used.kernels == index).collect();
        let &[out, height, width, channels] = place.variable.dims() else {
            continue;
        };
        if of.is_empty() {
            continue;
        }
        let sizes = [
            place.offset,
            out * height * width * channels,
            height * width,
            channels,
            of.len(),
        ];
        table.extend(sizes.map(|size| size as i32));
        for slot in 0..crate::net::PATHS {
            let used = of.get(slot).unwrap_or(&of[0]);
            let adapter = used.adapter.map(|index| stores.places[index].offset as i32);
            table.extend([used.offset as i32, adapter.unwrap_or(-1)]);
        }
    }
    table
}

/// A matrix product as work.
pub(super) fn multiply(name: &'static str, product: Product) -> Work {
    Work::new(name, move |backend| backend.multiply(&product))
}

/// A factor as it lies.
pub(super) fn plain(at: Address) -> Factor {
    Factor {
        at,
        transposed: false,
    }
}

/// A factor whose rows lie in columns.
pub(super) fn turned(at: Address) -> Factor {
    Factor {
        at,
        transposed: true,
    }
}
