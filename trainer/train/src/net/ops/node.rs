//! Nodes of candle's graph for operators whose values and gradients stay outside it.
//!
//! A node holds one value, which means nothing: it makes candle call the operators' backward passes in
//! order. candle wants one trait for each number of arguments; [`Backward`] is one for all.

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail,
};

/// The backward pass of an operator, which holds its arguments' values and hands their gradients on.
pub(super) trait Backward: Send + Sync + 'static {
    /// Name of the operator, for messages.
    const NAME: &'static str;

    /// Hands the gradients of the arguments' values on; returns what candle is to know of each of
    /// `arguments`: [`passed`] for a node.
    ///
    /// # Errors
    /// If no gradient of the result has arrived.
    fn backward(&self, arguments: &[&Tensor]) -> Result<Vec<Option<Tensor>>>;
}

/// Adds a node behind `arguments` to candle's graph.
pub(super) fn node(arguments: &[&Tensor], step: impl Backward) -> Result<Tensor> {
    match *arguments {
        [a] => a.apply_op1(Step(step)),
        [a, b] => a.apply_op2(b, Step(step)),
        [a, b, c] => a.apply_op3(b, c, Step(step)),
        _ => bail!("an operator of {} arguments", arguments.len()),
    }
}

/// Returns the gradient of a node, which means as little as its value.
pub(super) fn passed(node: &Tensor) -> Result<Option<Tensor>> {
    match node.track_op() {
        true => Ok(Some(node.zeros_like()?)),
        false => Ok(None),
    }
}

/// An operator in candle's graph.
struct Step<B>(B);

impl<B: Backward> Step<B> {
    fn gradients<const N: usize>(&self, arguments: [&Tensor; N]) -> Result<[Option<Tensor>; N]> {
        match self.0.backward(&arguments)?.try_into() {
            Ok(gradients) => Ok(gradients),
            Err(_) => bail!(
                "{}: a gradient for each of {N} arguments is expected",
                B::NAME
            ),
        }
    }
}

/// The value of a node.
fn value() -> (CpuStorage, Shape) {
    (CpuStorage::F32(vec![0.0]), Shape::from(1))
}

impl<B: Backward> CustomOp1 for Step<B> {
    fn name(&self) -> &'static str {
        B::NAME
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok(value())
    }

    fn bwd(&self, a: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        let [a] = self.gradients([a])?;
        Ok(a)
    }
}

impl<B: Backward> CustomOp2 for Step<B> {
    fn name(&self) -> &'static str {
        B::NAME
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok(value())
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok(self.gradients([a, b])?.into())
    }
}

impl<B: Backward> CustomOp3 for Step<B> {
    fn name(&self) -> &'static str {
        B::NAME
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok(value())
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        Ok(self.gradients([a, b, c])?.into())
    }
}
