//! AdamW with a state that can be saved (candle's cannot).

use crate::net::{Parameters, Weights};
use anyhow::{Result, bail};
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use rayon::prelude::*;
use std::collections::BTreeMap;

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPS: f32 = 1e-8;

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019) over all of a network's parameters.
#[derive(Debug, Default)]
pub struct AdamW {
    step: u64,
    moments: BTreeMap<String, Moments>,
}

#[derive(Debug)]
struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
}

impl AdamW {
    /// Moves every parameter against its gradient. Norms and biases (one-dimensional parameters)
    /// are not decayed. Gradients are first scaled down to a joint length of `clip_norm`; their
    /// length before that is returned.
    ///
    /// # Errors
    /// If a gradient is not finite: nothing is changed then.
    pub fn update(
        &mut self,
        parameters: &Parameters,
        gradients: &GradStore,
        learning_rate: f64,
        weight_decay: f64,
        clip_norm: f64,
    ) -> Result<f64> {
        let mut found: Vec<(&str, &Var, Vec<f32>)> = Vec::new();
        for (name, variable) in parameters.variables() {
            if let Some(gradient) = gradients.get(variable.as_tensor()) {
                found.push((name, variable, gradient.flatten_all()?.to_vec1()?));
            }
        }
        let squares = |values: &[f32]| {
            values
                .iter()
                .map(|&g| f64::from(g) * f64::from(g))
                .sum::<f64>()
        };
        let norm = found.iter().map(|(_, _, g)| squares(g)).sum::<f64>().sqrt();
        if !norm.is_finite() {
            let name = found
                .iter()
                .find(|(_, _, g)| !squares(g).is_finite())
                .map_or("?", |f| f.0);
            bail!("the gradient of {name} is not finite");
        }
        let clip = (clip_norm / norm.max(1e-12)).min(1.0) as f32;
        self.step += 1;
        let correction = |beta: f32| 1.0 - f64::from(beta).powi(self.step.min(1 << 30) as i32);
        let rate = (learning_rate * correction(BETA2).sqrt() / correction(BETA1)) as f32;
        let eps = EPS * correction(BETA2).sqrt() as f32;
        for (name, variable, gradient) in found {
            let Moments { first, second } =
                self.moments
                    .entry(name.to_owned())
                    .or_insert_with(|| Moments {
                        first: vec![0.0; gradient.len()],
                        second: vec![0.0; gradient.len()],
                    });
            let decay = if variable.rank() > 1 {
                (learning_rate * weight_decay) as f32
            } else {
                0.0
            };
            let mut values = variable.flatten_all()?.to_vec1::<f32>()?;
            (&mut values, gradient, first, second)
                .into_par_iter()
                .with_min_len(1 << 14)
                .for_each(|(value, gradient, m, v)| {
                    let g = gradient * clip;
                    *m = BETA1 * *m + (1.0 - BETA1) * g;
                    *v = BETA2 * *v + (1.0 - BETA2) * g * g;
                    *value -= decay * *value + rate * *m / (v.sqrt() + eps);
                });
            variable.set(&Tensor::from_vec(
                values,
                variable.shape(),
                variable.device(),
            )?)?;
        }
        Ok(norm)
    }

    /// Returns moments and step count, for a checkpoint: `NAME.first`, `NAME.second` and `step`.
    pub fn state(&self) -> (u64, Weights) {
        let mut state = Weights::new();
        for (name, moments) in &self.moments {
            let shape = vec![moments.first.len()];
            state.insert(
                format!("{name}.first"),
                (shape.clone(), moments.first.clone()),
            );
            state.insert(format!("{name}.second"), (shape, moments.second.clone()));
        }
        (self.step, state)
    }

    /// Makes the optimiser whose [`AdamW::state`] this is, for the parameters that it moves.
    ///
    /// # Errors
    /// If a parameter has one moment and not the other, or moments of another length.
    pub fn from_state(step: u64, mut state: Weights, parameters: &Parameters) -> Result<Self> {
        let mut moments = BTreeMap::new();
        for (name, variable) in parameters.variables() {
            let mut take = |part: &str| {
                state
                    .remove(&format!("{name}.{part}"))
                    .map(|(_, values)| values)
            };
            match (take("first"), take("second")) {
                (Some(first), Some(second))
                    if first.len() == variable.elem_count() && second.len() == first.len() =>
                {
                    moments.insert(name.to_owned(), Moments { first, second });
                }
                // A parameter that has never had a gradient has no moments.
                (None, None) => {}
                _ => bail!("the optimiser's state for {name} does not fit"),
            }
        }
        Ok(Self { step, moments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn first_step_moves_by_the_learning_rate_and_decays_matrices_only() {
        let mut p = Parameters::new(1, &Device::Cpu);
        let matrix = p.constant("matrix", &[2, 2], 1.0).unwrap();
        let bias = p.constant("bias", &[2], 1.0).unwrap();
        let loss = (matrix.sum_all().unwrap() + bias.sum_all().unwrap()).unwrap();
        let mut optimiser = AdamW::default();
        optimiser
            .update(&p, &loss.backward().unwrap(), 0.1, 0.5, 1e9)
            .unwrap();
        let value = |v: &Var| v.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0];
        assert!((value(&bias) - 0.9).abs() < 1e-5);
        assert!((value(&matrix) - (0.9 - 0.05)).abs() < 1e-5);
    }

    #[test]
    fn a_restored_optimiser_continues_bit_for_bit() {
        let run = |restore: bool| {
            let mut p = Parameters::new(3, &Device::Cpu);
            let x = p.normal("x", &[3, 4], 1.0).unwrap();
            let mut optimiser = AdamW::default();
            for step in 0..6 {
                let loss = (x.sqr().unwrap() * (f64::from(step) + 0.3))
                    .unwrap()
                    .sum_all()
                    .unwrap();
                optimiser
                    .update(&p, &loss.backward().unwrap(), 0.05, 0.01, 1.0)
                    .unwrap();
                if restore && step == 2 {
                    let (step, state) = optimiser.state();
                    optimiser = AdamW::from_state(step, state, &p).unwrap();
                }
            }
            x.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(run(false), run(true));
    }
}
