//! An embedding's direction from the base mean, in int8: stored, compared and learnt from.

use crate::space::Parts;

/// Largest magnitude of a direction's values.
pub const DIRECTION_PEAK: i8 = 127;

/// Explains why an embedding has no direction to compare with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DirectionError {
    /// Embedding, base mean or output is not as long as all parts together.
    #[error("embedding, base mean or output is not as long as the parts of an embedding")]
    Length,
    /// A value of the embedding or of the base mean is infinite or not a number.
    #[error("the embedding holds a value that is not finite")]
    NotFinite,
    /// A part is the base mean itself, as far as `f32` can tell.
    #[error("the embedding does not differ from the base mean: the clip may be silent")]
    Degenerate,
}

/// A part shorter than this share of the largest value that went into it is rounding noise.
const SMALLEST_SHARE: f32 = 1e-6;

/// Writes the direction of `embedding` as seen from `base_mean`: the difference, of which each of
/// `parts` is scaled to a largest magnitude of [`DIRECTION_PEAK`] and rounded to whole numbers.
///
/// A part's length says nothing: [`Metric`](super::Metric) compares angles. So no scale needs to be
/// kept, and whatever is computed from directions depends on their bytes alone.
///
/// ```
/// use mtslvr_runtime::fewshot::direction;
/// use mtslvr_runtime::space::{Part, Parts};
/// let part = |name, share| Part { name, len: 2, share };
/// let parts = Parts::new([part("invariant", 0.7), part("equivariant", 0.3)]).unwrap();
/// let mut out = [0; 4];
/// direction(&[5.0, 1.0, 7.0, -0.7], &[2.0, 1.0, 0.0, 0.0], &parts, &mut out).unwrap();
/// assert_eq!(out, [127, 0, 127, -13]);
/// ```
///
/// # Errors
/// [`DirectionError`]; `out` then holds anything.
pub fn direction(
    embedding: &[f32],
    base_mean: &[f32],
    parts: &Parts<'_>,
    out: &mut [i8],
) -> Result<(), DirectionError> {
    let dim = parts.dim();
    if embedding.len() != dim || base_mean.len() != dim || out.len() != dim {
        return Err(DirectionError::Length);
    }
    for (_, range) in parts.ranges() {
        let (values, mean) = (embedding.get(range.clone()), base_mean.get(range.clone()));
        let (Some(values), Some(mean), Some(out)) = (values, mean, out.get_mut(range)) else {
            return Err(DirectionError::Length);
        };
        quantise_part(values, mean, out)?;
    }
    Ok(())
}

fn quantise_part(values: &[f32], mean: &[f32], out: &mut [i8]) -> Result<(), DirectionError> {
    let (mut largest, mut largest_input) = (0.0_f32, 0.0_f32);
    for (value, mean) in values.iter().zip(mean) {
        let centred = value - mean;
        if !centred.is_finite() {
            return Err(DirectionError::NotFinite);
        }
        largest = largest.max(centred.abs());
        largest_input = largest_input.max(value.abs()).max(mean.abs());
    }
    if largest <= SMALLEST_SHARE * largest_input {
        return Err(DirectionError::Degenerate);
    }
    for (out, (value, mean)) in out.iter_mut().zip(values.iter().zip(mean)) {
        *out = libm::roundf((value - mean) / largest * f32::from(DIRECTION_PEAK)) as i8;
    }
    Ok(())
}

/// Tells whether `values` are as [`direction`] writes them: each part has the peak, and no value exceeds it.
pub(crate) fn is_direction(values: &[i8], parts: &Parts<'_>) -> bool {
    let peak = |part: &[i8]| part.iter().map(|value| value.unsigned_abs()).max();
    let whole = |range| peak(&values[range]) == Some(DIRECTION_PEAK.unsigned_abs());
    values.len() == parts.dim() && parts.ranges().all(|(_, range)| whole(range))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::test_space::parts;

    #[test]
    fn each_part_is_scaled_on_its_own() {
        let mut out = [0; 4];
        let embedding = [1e38, -2e38, 3.0, 1e-3];
        direction(&embedding, &[0.0; 4], &parts(&[2, 2]), &mut out).unwrap();
        assert_eq!(out, [64, -127, 127, 0]);
        let is = |values: &[i8], lens: &[usize]| is_direction(values, &parts(lens));
        assert!(is(&out, &[2, 2]) && !is(&out, &[1, 3]) && !is(&out, &[3, 1]));
        let embedding = [1.0, 2.0, 3.0, 4.0];
        direction(&embedding, &[0.0; 4], &parts(&[4]), &mut out).unwrap();
        assert_eq!(out, [32, 64, 95, 127]);
        assert!(is(&out, &[4]));
        direction(&embedding, &[0.0; 4], &parts(&[1, 2, 1]), &mut out).unwrap();
        assert_eq!(out, [127, 85, 127, 127]);
        assert!(is(&out, &[1, 2, 1]) && !is(&out, &[1, 1, 2]));
        assert!(!is(&[-128, 127], &[2]) && !is(&[], &[2]) && !is(&[127], &[2]));
    }

    #[test]
    fn what_has_no_direction_is_an_error() {
        let mut out = [0; 2];
        let mut with = |embedding: &[f32], mean: &[f32], lens: &[usize]| {
            direction(embedding, mean, &parts(lens), &mut out).unwrap_err()
        };
        use DirectionError as E;
        assert_eq!(with(&[0.0; 2], &[0.0; 2], &[2]), E::Degenerate);
        assert_eq!(with(&[3.0, 1.0], &[3.0, 0.0], &[1, 1]), E::Degenerate);
        assert_eq!(with(&[3.0, 1.000_000_1], &[3.0, 1.0], &[2]), E::Degenerate);
        assert_eq!(with(&[f32::NAN, 1.0], &[3.0, 0.0], &[2]), E::NotFinite);
        let infinite = [3.0, f32::INFINITY];
        assert_eq!(with(&[1.0, 1.0], &infinite, &[1, 1]), E::NotFinite);
        assert_eq!(with(&[1.0, 1.0], &[3.0], &[1, 1]), E::Length);
        assert_eq!(with(&[1.0, 1.0], &[3.0, 1.0], &[3]), E::Length);
        let none = direction(&[1.0, 1.0], &[0.0; 2], &parts(&[1, 1]), &mut []);
        assert_eq!(none, Err(E::Length));
    }
}
