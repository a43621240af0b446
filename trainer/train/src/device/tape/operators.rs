//! Implements [`Operators`] for [`Tape`]: each call adds launches.

use super::{
    ALIGNMENT, Kernels, MOST_CHANNELS, Map, Rows, Slope, Tape, Use, Value, Work, blocks, multiply,
    plain, turned,
};
use crate::device::backend::{Argument, Backend, Element, Pass, Product};
use crate::net::ops::{Conv2d, Geometry};
use crate::net::{Norm, Operators};
use candle_core::{Result, Var, bail};

impl Operators for Tape<'_> {
    type Map = Map;
    type Rows = Rows;
    type Kernels = Kernels;

    fn kernels(&self, kernels: &Var, adapter: Option<&Var>) -> Result<Kernels> {
        let (kernels, value) = self.parameter(kernels)?;
        let adapter = adapter.map(|adapter| self.parameter(adapter)).transpose()?;
        let adapter = adapter.map(|(index, _)| index);
        let dims = |index: usize| self.stores.places[index].variable.dims();
        if let Some(adapter) = adapter
            && ([dims(kernels)[0], 1, 1, dims(kernels)[3]] != dims(adapter)
                || dims(kernels)[1] != dims(kernels)[2]
                || dims(kernels)[1].is_multiple_of(2))
        {
            bail!(
                "an adapter {:?} does not fit kernels {:?}",
                dims(adapter),
                dims(kernels)
            );
        }
        {
            let written = self.written.borrow();
            let mut known = written.uses.iter();
            if let Some(used) = known.find(|u| (u.kernels, u.adapter) == (kernels, adapter)) {
                return Ok(used.shaped);
            }
        }
        let id = self.next_id();
        let mut written = self.written.borrow_mut();
        let offset = written.shaped;
        written.shaped += value.count.next_multiple_of(ALIGNMENT);
        let bytes = offset * self.backend.element().bytes();
        let &[out, height, width, channels] = self.stores.places[kernels].variable.dims() else {
            bail!("kernels have four axes");
        };
        let shaped = Kernels {
            value: Value {
                id,
                at: self.shaped[0].plus(bytes),
                count: value.count,
                element: self.backend.element(),
                slope: Slope::At(self.shaped[1].plus(bytes)),
            },
            shape: [out, height, width, channels],
        };
        written.uses.push(Use {
            kernels,
            adapter,
            shaped,
            offset,
        });
        Ok(shaped)
    }

    fn conv2d(&self, x: &Map, kernels: &Kernels, op: Conv2d) -> Result<Map> {
        let g = Geometry::new(&op, &x.dims, &kernels.shape)?;
        check_channels(g.out_channels)?;
        if g.channels == 1 {
            return self.stem(x, kernels, &g);
        }
        let y = self.make_map([g.batch, g.out_height, g.out_width, g.out_channels])?;
        let (x, kernels, of_y) = (x.value, kernels.value, y.value);
        let pass = move |name, pass, operands, add| {
            Work::new(name, move |backend: &dyn Backend| {
                backend.convolve(pass, &g, operands, add)
            })
        };
        let operands = [x.at, kernels.at, of_y.at];
        let forward = pass("convolution", Pass::Forward, operands, false);
        self.push(vec![forward], move |slopes, backend| {
            let Some(dy) = slopes.of(&of_y) else {
                return Ok(Vec::new());
            };
            let mut work = Vec::new();
            if let Some((to, add)) = slopes.give(&kernels, backend)? {
                let operands = [x.at, to, dy];
                work.push(pass("convolution, kernels", Pass::Kernels, operands, add));
            }
            if let Some((to, add)) = slopes.give(&x, backend)? {
                let operands = [to, kernels.at, dy];
                work.push(pass("convolution, input", Pass::Input, operands, add));
            }
            Ok(work)
        });
        Ok(y)
    }

    fn norm(&self, x: &Map, norm: &Norm, residual: Option<&Map>, relu: bool) -> Result<Map> {
        if let Some(residual) = residual
            && residual.dims != x.dims
        {
            bail!("a residual of {:?} is added to {:?}", residual.dims, x.dims);
        }
        check_channels(x.dims[3])?;
        let y = self.make_map(x.dims)?;
        let residual = residual.map(|residual| residual.value);
        self.normalise((x.value, y.value), x.dims[3], norm, residual, relu)?;
        Ok(y)
    }

    fn norm_rows(&self, x: &Rows, norm: &Norm, relu: bool) -> Result<Rows> {
        check_channels(x.columns)?;
        let y = self.make_rows(x.rows, x.columns)?;
        self.normalise((x.value, y.value), x.columns, norm, None, relu)?;
        Ok(y)
    }

    fn add(&self, a: &Map, b: &Map) -> Result<Map> {
        if a.dims != b.dims {
            bail!("{:?} and {:?} are added", a.dims, b.dims);
        }
        let (y, element) = (self.make_map(a.dims)?, self.backend.element());
        let eights = y.value.count / 8;
        let (terms, of_y) = ([a.value, b.value], y.value);
        let [a, b] = terms.map(|term| Argument::from(term.at));
        let arguments = [a, b, of_y.at.into(), eights.into()];
        let forward = Work::launch("add_maps", element, blocks(eights), arguments);
        self.push(vec![forward], move |slopes, backend| {
            let Some(dy) = slopes.of(&of_y) else {
                return Ok(Vec::new());
            };
            let mut work = Vec::new();
            for term in terms {
                if let Some((to, add)) = slopes.give(&term, backend)? {
                    let arguments = [dy.into(), to.into(), eights.into(), add.into()];
                    work.push(Work::launch("give_map", element, blocks(eights), arguments));
                }
            }
            Ok(work)
        });
        Ok(y)
    }

    fn band_means(&self, x: &Map, bands: usize) -> Result<Rows> {
        let [images, height, width, channels] = x.dims;
        if bands == 0 || !width.is_multiple_of(bands) {
            bail!("band_means: a width of {width} is not divided by {bands} bands");
        }
        let element = self.backend.element();
        let y = self.make_rows(images, channels * bands)?;
        let (x, of_y) = (x.value, y.value);
        let shape = [images, height, width, channels, bands];
        let launch = move |kernel, items, operands: [Argument; 2], add: Option<bool>| {
            let shape = shape.map(Argument::from).into_iter();
            let arguments = operands
                .into_iter()
                .chain(shape)
                .chain(add.map(Argument::from));
            Work::launch(kernel, element, blocks(items), arguments)
        };
        let operands = [x.at.into(), of_y.at.into()];
        let forward = launch("band_means", of_y.count, operands, None);
        self.push(vec![forward], move |slopes, backend| {
            let Some(dy) = slopes.of(&of_y) else {
                return Ok(Vec::new());
            };
            let Some((dx, add)) = slopes.give(&x, backend)? else {
                return Ok(Vec::new());
            };
            let (eights, operands) = (x.count / 8, [dy.into(), dx.into()]);
            let work = launch("band_means_gradient", eights, operands, Some(add));
            Ok(vec![work])
        });
        Ok(y)
    }

    fn linear(&self, x: &Rows, weight: &Var, bias: Option<&Var>) -> Result<Rows> {
        let &[out, inputs] = weight.dims() else {
            bail!("a linear layer's weight has two axes");
        };
        if inputs != x.columns {
            bail!(
                "rows of {} values for a layer that reads {inputs}",
                x.columns
            );
        }
        let (_, weight) = self.parameter(weight)?;
        let bias = bias.map(|bias| self.parameter(bias)).transpose()?;
        let bias = bias.map(|(_, value)| value);
        if let Some(bias) = bias
            && bias.count != out
        {
            bail!("a bias of {} values for a layer of {out}", bias.count);
        }
        let rows = x.rows;
        let y = self.make_rows(rows, out)?;
        let (x, of_y) = (x.value, y.value);
        let mut forward = vec![multiply(
            "linear",
            Product {
                sizes: [rows, out, inputs],
                a: plain(x.at),
                b: turned(weight.at),
                c: of_y.at,
                add: false,
            },
        )];
        if let Some(bias) = bias {
            let arguments = [of_y.at.into(), bias.at.into(), rows.into(), out.into()];
            let items = blocks(of_y.count);
            forward.push(Work::launch("add_bias", Element::F32, items, arguments));
        }
        self.push(forward, move |slopes, backend| {
            let Some(dy) = slopes.of(&of_y) else {
                return Ok(Vec::new());
            };
            let mut work = Vec::new();
            if let Some((to, add)) = slopes.give(&weight, backend)? {
                let product = Product {
                    sizes: [out, inputs, rows],
                    a: turned(dy),
                    b: plain(x.at),
                    c: to,
                    add,
                };
                work.push(multiply("linear, weight", product));
            }
            if let Some(bias) = bias
                && let Some((to, add)) = slopes.give(&bias, backend)?
            {
                work.push(Work::launch(
                    "column_sums",
                    Element::F32,
                    out.div_ceil(32),
                    [dy.into(), rows.into(), out.into(), to.into(), add.into()],
                ));
            }
            if let Some((to, add)) = slopes.give(&x, backend)? {
                let product = Product {
                    sizes: [rows, inputs, out],
                    a: plain(dy),
                    b: plain(weight.at),
                    c: to,
                    add,
                };
                work.push(multiply("linear, input", product));
            }
            Ok(work)
        });
        Ok(y)
    }
}

fn check_channels(channels: usize) -> Result<()> {
    if !channels.is_multiple_of(8) || channels > MOST_CHANNELS {
        bail!(
            "{channels} channels: a GPU's step takes widths that are multiples of 8, up to {MOST_CHANNELS}; \
             change the width, or set train.device=cpu"
        );
    }
    Ok(())
}
