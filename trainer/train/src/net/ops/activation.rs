//! Activations: the values that flow between the trunk's operators, and a place where their gradient is gathered.
//!
//! candle's backward pass begins every gradient with zeros and adds each part to it by a copy: four
//! passes over memory for each activation, a fifth of a training step. So its graph has but
//! one value for each activation, which keeps the backward pass in order; the gradient itself is
//! handed from operator to operator, and parts are added in place.

use super::node::{Backward, node, passed};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use std::sync::{Arc, Mutex};

/// Values of any shape, with what the backward pass needs.
#[derive(Clone, Debug)]
pub struct Activation {
    /// Apart from candle's graph.
    values: Tensor,
    /// Stands for the values in candle's graph: one value, which means nothing.
    node: Tensor,
    gradient: Gradient,
}

impl Activation {
    /// Takes a tensor as the argument of an operator, made contiguous.
    ///
    /// # Errors
    /// If the values are not `f32`.
    pub fn new(tensor: &Tensor) -> Result<Self> {
        let tensor = tensor.contiguous()?;
        let gradient = Gradient::default();
        let node = node(&[&tensor], Enter(gradient.clone()))?;
        Ok(Self {
            values: tensor.detach(),
            node,
            gradient,
        })
    }

    /// Wraps a result of a hand-written operator.
    pub(super) fn made(values: Tensor, node: Tensor, gradient: Gradient) -> Self {
        Self {
            values,
            node,
            gradient,
        }
    }

    /// Returns the values as a tensor for candle's own operators.
    ///
    /// # Errors
    /// If candle cannot add the node to its graph.
    pub fn tensor(&self) -> Result<Tensor> {
        self.node.apply_op1(Leave(self.clone()))
    }

    /// The values, whose gradients candle does not know.
    pub(super) fn values(&self) -> &Tensor {
        &self.values
    }

    pub(super) fn node(&self) -> &Tensor {
        &self.node
    }

    pub(super) fn gradient(&self) -> &Gradient {
        &self.gradient
    }

    /// Sizes along each axis.
    pub fn dims(&self) -> &[usize] {
        self.values.dims()
    }

    /// Returns `self + other`; both have the same shape.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn add(&self, other: &Self) -> Result<Self> {
        let values = (&self.values + &other.values)?;
        let gradient = Gradient::default();
        let op = Sum {
            terms: [self.gradient.clone(), other.gradient.clone()],
            sum: gradient.clone(),
        };
        let node = node(&[&self.node, &other.node], op)?;
        Ok(Self::made(values, node, gradient))
    }
}

/// The gradient of an activation, as far as the backward pass has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Gradient(Arc<Mutex<Option<Vec<f32>>>>);

impl Gradient {
    /// Adds what one use of the activation contributes.
    pub(super) fn add(&self, part: Vec<f32>) {
        /// Values added by a thread at a time.
        const BLOCK: usize = 16 * 1024;
        let mut gradient = self.0.lock().expect("no panic while locked");
        match &mut *gradient {
            None => *gradient = Some(part),
            Some(sum) => sum
                .par_chunks_mut(BLOCK)
                .zip(part.par_chunks(BLOCK))
                .for_each(|(sum, part)| {
                    for (sum, part) in sum.iter_mut().zip(part) {
                        *sum += part;
                    }
                }),
        }
    }

    /// All of it: the backward pass comes to an operator after all that use its result.
    pub(super) fn take(&self, op: &str) -> Result<Vec<f32>> {
        match self.0.lock().expect("no panic while locked").take() {
            Some(gradient) => Ok(gradient),
            None => bail!("{op}: no gradient has arrived; a graph can be gone back through once"),
        }
    }
}

/// Takes values from candle's graph.
struct Enter(Gradient);

impl Backward for Enter {
    const NAME: &'static str = "enter";

    fn backward(&self, arguments: &[&Tensor]) -> Result<Vec<Option<Tensor>>> {
        let x = arguments[0];
        let gradient = self.0.take(Self::NAME)?;
        Ok(vec![Some(Tensor::from_vec(
            gradient,
            x.shape(),
            x.device(),
        )?)])
    }
}

/// Gives values back to candle's graph.
struct Leave(Activation);

impl CustomOp1 for Leave {
    fn name(&self) -> &'static str {
        "leave"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let values = self.0.values.flatten_all()?.to_vec1()?;
        Ok((CpuStorage::F32(values), self.0.values.shape().clone()))
    }

    fn bwd(&self, node: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        self.0.gradient.add(dy.flatten_all()?.to_vec1()?);
        passed(node)
    }
}

/// See [`Activation::add`].
struct Sum {
    terms: [Gradient; 2],
    sum: Gradient,
}

impl Backward for Sum {
    const NAME: &'static str = "sum";

    fn backward(&self, arguments: &[&Tensor]) -> Result<Vec<Option<Tensor>>> {
        let gradient = self.sum.take(Self::NAME)?;
        self.terms[0].add(gradient.clone());
        self.terms[1].add(gradient);
        arguments.iter().map(|term| passed(term)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ops::finite_difference::{check_gradient, random};

    #[test]
    fn gradients_of_all_uses_are_added() {
        check_gradient(&[random(1, &[3, 4]), random(2, &[3, 4])], |t| {
            let (a, b) = (Activation::new(&t[0])?, Activation::new(&t[1])?);
            let both = a.add(&b)?;
            // One is used three times, once as both terms of a sum.
            (a.add(&a)?.tensor()? * both.add(&a)?.tensor()?)? + both.tensor()?
        });
    }
}
