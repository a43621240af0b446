//! Centring and scaling of embeddings, so that cosine and Euclidean distances mean something.

use super::linalg::dot;

/// Why an embedding has no direction to compare with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NormaliseError {
    /// Lengths of embedding, base mean and output differ, or the invariant part is longer than the
    /// whole.
    Length,
    /// A value of the embedding or of the base mean is infinite or not a number.
    NotFinite,
    /// The invariant or the equivariant part is the base mean itself, as far as `f32` can tell.
    Degenerate,
}

/// A part shorter than this share of the largest value that went into it is rounding noise.
const SMALLEST_SHARE: f32 = 1e-6;

/// Subtracts `base_mean` from `embedding`, scales the invariant part (the first `invariant_dim`
/// values) and the equivariant part (the rest) to equal length, and the whole to unit length.
///
/// Both parts then count the same in a dot product, whatever the scale of their activations: the
/// product of two results is the mean of the parts' cosine similarities. An empty part is left out.
///
/// ```
/// use mtslvr_runtime::fewshot::normalise;
/// let mut out = [0.0; 3];
/// normalise(&[5.0, 1.0, 7.0], &[2.0, 1.0, 0.0], 2, &mut out).unwrap();
/// let half = 0.5_f32.sqrt();
/// assert_eq!(out, [half, 0.0, half]);
/// ```
pub fn normalise(
    embedding: &[f32],
    base_mean: &[f32],
    invariant_dim: usize,
    out: &mut [f32],
) -> Result<(), NormaliseError> {
    let dim = embedding.len();
    if base_mean.len() != dim || out.len() != dim || invariant_dim > dim {
        return Err(NormaliseError::Length);
    }
    let parts = [0..invariant_dim, invariant_dim..dim];
    let used = parts.iter().filter(|part| !part.is_empty()).count();
    if used == 0 {
        return Err(NormaliseError::Degenerate);
    }
    let length = if used == 2 {
        core::f32::consts::FRAC_1_SQRT_2
    } else {
        1.0
    };
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        let out = &mut out[part.clone()];
        centre_and_scale(&embedding[part.clone()], &base_mean[part], length, out)?;
    }
    Ok(())
}

fn centre_and_scale(
    values: &[f32],
    mean: &[f32],
    length: f32,
    out: &mut [f32],
) -> Result<(), NormaliseError> {
    let (mut largest, mut largest_input) = (0.0_f32, 0.0_f32);
    for ((out, value), mean) in out.iter_mut().zip(values).zip(mean) {
        let centred = value - mean;
        if !centred.is_finite() {
            return Err(NormaliseError::NotFinite);
        }
        *out = centred;
        largest = largest.max(centred.abs());
        largest_input = largest_input.max(value.abs()).max(mean.abs());
    }
    if largest <= SMALLEST_SHARE * largest_input {
        return Err(NormaliseError::Degenerate);
    }
    // By the largest value first: squares of very large or small values would leave f32's range.
    out.iter_mut().for_each(|value| *value /= largest);
    let scale = length / libm::sqrtf(dot(out, out));
    out.iter_mut().for_each(|value| *value *= scale);
    Ok(())
}

impl core::fmt::Display for NormaliseError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Length => "embedding, base mean and output differ in length",
            Self::NotFinite => "the embedding holds a value that is not finite",
            Self::Degenerate => {
                "the embedding does not differ from the base mean: the clip may be silent"
            }
        })
    }
}

impl core::error::Error for NormaliseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_have_half_of_the_energy() {
        let embedding = [1e20, -2e20, 3.0, 1e-3];
        let mut out = [0.0; 4];
        normalise(&embedding, &[0.0; 4], 2, &mut out).unwrap();
        assert!((dot(&out[..2], &out[..2]) - 0.5).abs() < 1e-6);
        assert!((dot(&out[2..], &out[2..]) - 0.5).abs() < 1e-6);
        for whole in [0, 4] {
            normalise(&[1.0, 2.0, 3.0, 4.0], &[0.5; 4], whole, &mut out).unwrap();
            assert!((dot(&out, &out) - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn what_has_no_direction_is_an_error() {
        let mut out = [0.0; 2];
        let mut with = |embedding: &[f32], mean: &[f32], split| {
            normalise(embedding, mean, split, &mut out).unwrap_err()
        };
        use NormaliseError as E;
        assert_eq!(with(&[0.0; 2], &[0.0; 2], 2), E::Degenerate);
        assert_eq!(with(&[3.0, 1.0], &[3.0, 0.0], 1), E::Degenerate);
        assert_eq!(with(&[3.0, 1.000_000_1], &[3.0, 1.0], 2), E::Degenerate);
        assert_eq!(with(&[f32::NAN, 1.0], &[3.0, 0.0], 2), E::NotFinite);
        assert_eq!(with(&[1.0, 1.0], &[3.0, f32::INFINITY], 1), E::NotFinite);
        assert_eq!(with(&[1.0, 1.0], &[3.0], 1), E::Length);
        assert_eq!(with(&[1.0, 1.0], &[3.0, 1.0], 3), E::Length);
        assert_eq!(normalise(&[], &[], 0, &mut []), Err(E::Degenerate));
    }
}
