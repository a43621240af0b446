//! Functions of one number, which the packed engine has as tables of 256 values.
//!
//! They are computed in double precision by `libm`, so that every machine makes the same tables.

use std::sync::Arc;

/// A function of one number.
#[derive(Clone, Debug, PartialEq)]
pub enum Curve {
    /// The number itself.
    Input,
    /// The same value everywhere.
    Constant(f32),
    /// A function of the value of another.
    Of(Function, Arc<Curve>),
    /// A combination of the values of two others.
    Both(Combination, Arc<Curve>, Arc<Curve>),
}

/// A function that ONNX has an operator for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// Absolute value.
    Abs,
    /// Not below the first number nor above the second.
    Clip(f32, f32),
    /// `x` above zero, `alpha * (exp(x) - 1)` below.
    Elu(f32),
    /// The error function.
    Erf,
    /// Exponential.
    Exp,
    /// `x / 2 * (1 + erf(x / sqrt(2)))`.
    Gelu,
    /// GELU with a hyperbolic tangent in the place of the error function.
    GeluTanh,
    /// `clip(alpha * x + beta, 0, 1)`.
    HardSigmoid(f32, f32),
    /// `x * clip(x / 6 + 1 / 2, 0, 1)`.
    HardSwish,
    /// `x` above zero, `alpha * x` below.
    LeakyRelu(f32),
    /// Natural logarithm.
    Log,
    /// `x * tanh(log(1 + exp(x)))`.
    Mish,
    /// `-x`.
    Neg,
    /// `1 / x`.
    Reciprocal,
    /// `gamma * x` above zero, `gamma * alpha * (exp(x) - 1)` below.
    Selu(f32, f32),
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `log(1 + exp(x))`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// Square root.
    Sqrt,
    /// Hyperbolic tangent.
    Tanh,
}

/// An operator of arithmetic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Combination {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient.
    Div,
    /// Power.
    Pow,
    /// The greater one.
    Max,
    /// The lesser one.
    Min,
}

impl Curve {
    /// Returns `function` of this curve.
    #[must_use]
    pub fn then(&self, function: Function) -> Self {
        Self::Of(function, Arc::new(self.clone()))
    }

    /// Combines this curve, as the first operand, with `other`.
    #[must_use]
    pub fn with(&self, combination: Combination, other: &Self) -> Self {
        Self::Both(combination, Arc::new(self.clone()), Arc::new(other.clone()))
    }

    /// Returns the value at `x`.
    pub fn at(&self, x: f64) -> f64 {
        match self {
            Self::Input => x,
            Self::Constant(value) => f64::from(*value),
            Self::Of(function, inner) => function.at(inner.at(x)),
            Self::Both(combination, a, b) => combination.of(a.at(x), b.at(x)),
        }
    }
}

impl Function {
    fn at(self, x: f64) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + libm::exp(-x));
        let softplus = |x: f64| x.max(0.0) + libm::log1p(libm::exp(-x.abs()));
        match self {
            Self::Abs => x.abs(),
            Self::Clip(lo, hi) => x.max(lo.into()).min(hi.into()),
            Self::Elu(alpha) if x < 0.0 => f64::from(alpha) * libm::expm1(x),
            Self::Elu(_) => x,
            Self::Erf => libm::erf(x),
            Self::Exp => libm::exp(x),
            Self::Gelu => x / 2.0 * (1.0 + libm::erf(x * core::f64::consts::FRAC_1_SQRT_2)),
            Self::GeluTanh => {
                let inner = libm::sqrt(core::f64::consts::FRAC_2_PI) * (x + 0.044_715 * x * x * x);
                x / 2.0 * (1.0 + libm::tanh(inner))
            }
            Self::HardSigmoid(alpha, beta) => {
                (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0)
            }
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::LeakyRelu(alpha) if x < 0.0 => f64::from(alpha) * x,
            Self::LeakyRelu(_) => x,
            Self::Log => libm::log(x),
            Self::Mish => x * libm::tanh(softplus(x)),
            Self::Neg => -x,
            Self::Reciprocal => 1.0 / x,
            Self::Selu(alpha, gamma) if x < 0.0 => {
                f64::from(gamma) * f64::from(alpha) * libm::expm1(x)
            }
            Self::Selu(_, gamma) => f64::from(gamma) * x,
            Self::Sigmoid => sigmoid(x),
            Self::Softplus => softplus(x),
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Sqrt => libm::sqrt(x),
            Self::Tanh => libm::tanh(x),
        }
    }
}

impl Combination {
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Pow => libm::pow(a, b),
            Self::Max => a.max(b),
            Self::Min => a.min(b),
        }
    }
}
