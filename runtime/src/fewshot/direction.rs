//! An embedding's direction from the base mean, in int8: what is stored, compared and learnt from.

/// Largest magnitude of a direction's values.
pub const DIRECTION_PEAK: i8 = 127;

/// Why an embedding has no direction to compare with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirectionError {
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

/// Writes the direction of `embedding` as seen from `base_mean`: the difference, of which the
/// invariant part (the first `invariant_dim` values) and the equivariant part (the rest) are each
/// scaled to a largest magnitude of [`DIRECTION_PEAK`] and rounded to whole numbers.
///
/// A part's length says nothing: [`Metric`](super::Metric) compares angles. So no scale needs to be
/// kept, and whatever is computed from directions depends on their bytes alone. An empty part is
/// left out.
///
/// ```
/// use mtslvr_runtime::fewshot::direction;
/// let mut out = [0; 4];
/// direction(&[5.0, 1.0, 7.0, -0.7], &[2.0, 1.0, 0.0, 0.0], 2, &mut out).unwrap();
/// assert_eq!(out, [127, 0, 127, -13]);
/// ```
pub fn direction(
    embedding: &[f32],
    base_mean: &[f32],
    invariant_dim: usize,
    out: &mut [i8],
) -> Result<(), DirectionError> {
    let dim = embedding.len();
    if base_mean.len() != dim || out.len() != dim || invariant_dim > dim {
        return Err(DirectionError::Length);
    }
    if dim == 0 {
        return Err(DirectionError::Degenerate);
    }
    for part in [0..invariant_dim, invariant_dim..dim] {
        if !part.is_empty() {
            let (values, mean) = (&embedding[part.clone()], &base_mean[part.clone()]);
            quantise_part(values, mean, &mut out[part])?;
        }
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

/// Whether `values` are what [`direction`] writes: each part that is not empty has the peak, and no
/// value exceeds it.
pub(super) fn is_direction(values: &[i8], invariant_dim: usize) -> bool {
    let (invariant, equivariant) = values.split_at(invariant_dim.min(values.len()));
    let peak = |part: &[i8]| part.iter().map(|value| value.unsigned_abs()).max();
    let whole = |part| peak(part).is_none_or(|peak| peak == DIRECTION_PEAK.unsigned_abs());
    !values.is_empty() && whole(invariant) && whole(equivariant)
}

impl core::fmt::Display for DirectionError {
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

impl core::error::Error for DirectionError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_scaled_on_its_own() {
        let mut out = [0; 4];
        direction(&[1e38, -2e38, 3.0, 1e-3], &[0.0; 4], 2, &mut out).unwrap();
        assert_eq!(out, [64, -127, 127, 0]);
        assert!(is_direction(&out, 2) && !is_direction(&out, 1) && !is_direction(&out, 3));
        for whole in [0, 4] {
            direction(&[1.0, 2.0, 3.0, 4.0], &[0.0; 4], whole, &mut out).unwrap();
            assert_eq!(out, [32, 64, 95, 127]);
            assert!(is_direction(&out, whole));
        }
        assert!(!is_direction(&[-128, 127], 2) && !is_direction(&[], 0));
    }

    #[test]
    fn what_has_no_direction_is_an_error() {
        let mut out = [0; 2];
        let mut with = |embedding: &[f32], mean: &[f32], split| {
            direction(embedding, mean, split, &mut out).unwrap_err()
        };
        use DirectionError as E;
        assert_eq!(with(&[0.0; 2], &[0.0; 2], 2), E::Degenerate);
        assert_eq!(with(&[3.0, 1.0], &[3.0, 0.0], 1), E::Degenerate);
        assert_eq!(with(&[3.0, 1.000_000_1], &[3.0, 1.0], 2), E::Degenerate);
        assert_eq!(with(&[f32::NAN, 1.0], &[3.0, 0.0], 2), E::NotFinite);
        assert_eq!(with(&[1.0, 1.0], &[3.0, f32::INFINITY], 1), E::NotFinite);
        assert_eq!(with(&[1.0, 1.0], &[3.0], 1), E::Length);
        assert_eq!(with(&[1.0, 1.0], &[3.0, 1.0], 3), E::Length);
        assert_eq!(direction(&[], &[], 0, &mut []), Err(E::Degenerate));
    }
}
