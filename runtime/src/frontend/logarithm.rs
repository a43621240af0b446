//! Natural logarithm in single precision: cheap, and the same bits on every target.

/// Coefficients of `P` in `ln(1 + f) = f - f^2 / 2 + f^3 P(f)`, for `sqrt(1/2) - 1 <= f <= sqrt(2) - 1`,
/// from the lowest power up: fitted by reweighted least squares until the greatest relative error of
/// the logarithm is as small as it gets, 6.5e-9, then rounded to `f32`.
const P: [f32; 8] = [
    0.333_333_3,
    -0.250_008_2,
    0.200_012_27,
    -0.166_233_57,
    0.142_017_57,
    -0.131_601_83,
    0.127_615_82,
    -0.076_345_004,
];

/// ln 2, cut to 9 bits so that its products with exponents are exact, and what is left of it.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// Computes `ln(x)` for a positive, finite `x`, subnormal or not. The result is within 1.0 units in the
/// last place of the true value, or within 1e-8 where that is more.
///
/// It uses integer operations, additions and multiplications in a fixed order: no table, no division,
/// no fused multiply-add.
pub(super) fn ln(x: f32) -> f32 {
    const SUBNORMAL_SHIFT: i32 = 24;
    let (x, shift) = if x < f32::MIN_POSITIVE {
        (x * (1 << SUBNORMAL_SHIFT) as f32, SUBNORMAL_SHIFT)
    } else {
        (x, 0)
    };
    // x = 2^exponent * (1 + f), the second factor between sqrt(1/2) and sqrt(2): counted from the
    // bits of sqrt(1/2), the exponent's field steps where the factor leaves that range.
    let bits = x.to_bits() as i32;
    let exponent = (bits - core::f32::consts::FRAC_1_SQRT_2.to_bits() as i32) >> 23;
    let f = f32::from_bits((bits - (exponent << 23)) as u32) - 1.0;
    let exponent = (exponent - shift) as f32;
    let mut p = P[7];
    for c in P[..7].iter().rev() {
        p = p * f + c;
    }
    let square = f * f;
    // The small terms first.
    let small = exponent * LN2_LOW + square * f * p - 0.5 * square;
    exponent * LN2_HIGH + (small + f)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Over every exponent, the values next to powers of two and to where the exponent steps among
    /// them.
    #[test]
    fn it_is_within_its_bound_of_the_double_precision_one() {
        let mut worst = 0.0_f64;
        for exponent in 0..255_u32 {
            let mut mantissas: Vec<u32> = (0..1_024).map(|i| i * 8_191).collect();
            mantissas.extend([1, 2, 0x7f_ffff, 0x35_04f2, 0x35_04f3, 0x35_04f4]);
            for mantissa in mantissas {
                let x = f32::from_bits(exponent << 23 | mantissa);
                if x == 0.0 {
                    continue;
                }
                let expected = f64::from(x).ln();
                let error = (f64::from(ln(x)) - expected).abs();
                let ulp = f64::from(expected.abs() as f32) * f64::from(f32::EPSILON);
                // A unit in the last place is between a half and a whole `ulp`.
                let unit = 2.0_f64.powf(ulp.log2().floor());
                worst = worst.max(error / unit);
                assert!(error <= unit.max(1e-8), "{x:e}: {error:e}");
            }
        }
        assert!(worst > 0.4, "a rounded result cannot be nearer: {worst}");
    }
}
