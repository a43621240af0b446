//! The arithmetic that every engine shares: quantisation of floats, requantisation of
//! accumulators, the residual addition. `FORMAT.md` states the same rules in words.

/// Greatest shift of an accumulator before its multiplication.
pub const MAX_PRE_SHIFT: u8 = 15;

/// Binary places after the point in the multipliers of an [`AddRule`].
pub const ADD_FRACTION_BITS: u32 = 20;

/// Maps a tensor's int8 values to real numbers: `real = (q - zero_point) * scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Quantisation {
    /// Real value of one step; positive.
    pub scale: f32,
    /// The int8 value of real zero.
    pub zero_point: i8,
}

impl Quantisation {
    /// Quantises one value: `clamp(floor(x * (1 / scale) + 0.5) + zero_point, -128, 127)` in f32,
    /// with each operation rounded by itself. NaN gives the zero point.
    pub fn quantise(&self, x: f32) -> i8 {
        self.quantise_by(1.0 / self.scale, x)
    }

    /// Quantises `values` into `out`, up to the end of the shorter one.
    pub fn quantise_all(&self, values: &[f32], out: &mut [i8]) {
        let inverse = 1.0 / self.scale;
        for (q, &x) in out.iter_mut().zip(values) {
            *q = self.quantise_by(inverse, x);
        }
    }

    fn quantise_by(self, inverse: f32, x: f32) -> i8 {
        let shifted = x * inverse + 0.5;
        // `as` truncates towards zero, saturates, and turns NaN into 0. Where that went up, one step
        // down gives the floor. Far outside the range of i8 the exact value does not matter.
        let truncated = shifted as i32;
        let floor = truncated.clamp(-4096, 4095) - i32::from(truncated as f32 > shifted);
        (floor + i32::from(self.zero_point)).clamp(-128, 127) as i8
    }

    /// Returns the real value of `q`.
    pub fn dequantise(&self, q: i8) -> f32 {
        (i32::from(q) - i32::from(self.zero_point)) as f32 * self.scale
    }
}

/// Turns an accumulator into int8:
/// `clamp(zero_point + (((acc << pre) * multiplier + 2^31) >> 32), lo, hi)`.
///
/// The product has 64 bits and the right shift is arithmetic, so that halves round up. On Armv7E-M
/// product, rounding and shift are one instruction, `SMMULR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Requantisation {
    /// Left shift before the multiplication, 0 to [`MAX_PRE_SHIFT`].
    pub pre: u8,
    /// Zero point of the result.
    pub zero_point: i8,
    /// Least result; the zero point itself makes a ReLU.
    pub lo: i8,
    /// Greatest result.
    pub hi: i8,
}

impl Requantisation {
    /// Returns whether the shift is in its range and the bounds are in order.
    pub fn fits(&self) -> bool {
        self.pre <= MAX_PRE_SHIFT && self.lo <= self.hi
    }

    /// Requantises `acc`. `acc << pre` wraps around where it does not fit an `i32`; where `lo` is greater
    /// than `hi`, the result is `hi`.
    #[inline(always)]
    pub fn apply(&self, acc: i32, multiplier: i32) -> i8 {
        let shifted = acc.wrapping_shl(self.pre.into());
        let product = i64::from(shifted) * i64::from(multiplier);
        let rounded = ((product + (1 << 31)) >> 32) as i32;
        within(i32::from(self.zero_point) + rounded, self.lo, self.hi)
    }
}

/// Returns the value of `lo..=hi` that is nearest to `value`; `hi` if they are not in order.
#[inline(always)]
fn within(value: i32, lo: i8, hi: i8) -> i8 {
    value.max(lo.into()).min(hi.into()) as i8
}

/// Adds two int8 values, each with a scale of its own:
/// `clamp(zero_point + (((a - a_zero_point) * a_multiplier + (b - b_zero_point) * b_multiplier +
/// 2^19) >> 20), lo, hi)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AddRule {
    /// Zero point of the first addend.
    pub a_zero_point: i8,
    /// Multiplier of the first addend: `scale_a / scale_out * 2^20`.
    pub a_multiplier: i32,
    /// Zero point of the second addend.
    pub b_zero_point: i8,
    /// Multiplier of the second addend: `scale_b / scale_out * 2^20`.
    pub b_multiplier: i32,
    /// Zero point of the sum.
    pub zero_point: i8,
    /// Least result.
    pub lo: i8,
    /// Greatest result.
    pub hi: i8,
}

impl AddRule {
    /// One half in the fixed point of the multipliers, which rounds the sum.
    pub(super) const HALF: i32 = 1 << (ADD_FRACTION_BITS - 1);

    /// Returns whether no pair of addends can overflow an `i32`.
    pub fn fits(&self) -> bool {
        let reach = 255
            * (u64::from(self.a_multiplier.unsigned_abs())
                + u64::from(self.b_multiplier.unsigned_abs()));
        reach + (1 << (ADD_FRACTION_BITS - 1)) <= i32::MAX as u64
    }

    /// Adds `a` and `b`. The sum wraps around where it does not [fit](Self::fits) an `i32`; where `lo` is
    /// greater than `hi`, the result is `hi`.
    #[inline(always)]
    pub fn apply(&self, a: i8, b: i8) -> i8 {
        let scaled = |value: i8, zero_point: i8, multiplier: i32| {
            (i32::from(value) - i32::from(zero_point)).wrapping_mul(multiplier)
        };
        let a = scaled(a, self.a_zero_point, self.a_multiplier);
        let b = scaled(b, self.b_zero_point, self.b_multiplier);
        let rounded = a.wrapping_add(b).wrapping_add(Self::HALF) >> ADD_FRACTION_BITS;
        within(i32::from(self.zero_point) + rounded, self.lo, self.hi)
    }
}

/// Multiplies two int8 values, each with a scale of its own: `(a - a_zero_point) * (b - b_zero_point)`,
/// requantised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ProductRule {
    /// Zero point of the first factor.
    pub a_zero_point: i8,
    /// Zero point of the second factor.
    pub b_zero_point: i8,
    /// Multiplier of the product.
    pub multiplier: i32,
    /// Turns the product into int8.
    pub requantisation: Requantisation,
}

impl ProductRule {
    /// Multiplies `a` and `b`.
    #[inline(always)]
    pub fn apply(&self, a: i8, b: i8) -> i8 {
        let centred = |value: i8, zero_point: i8| i32::from(value) - i32::from(zero_point);
        let product = centred(a, self.a_zero_point) * centred(b, self.b_zero_point);
        self.requantisation.apply(product, self.multiplier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantisation_rounds_halves_up_and_saturates() {
        let q = Quantisation {
            scale: 0.5,
            zero_point: -3,
        };
        let cases = [
            (0.0, -3),
            (0.25, -2),
            (-0.25, -3),
            (-0.26, -4),
            (1e9, 127),
            (-1e9, -128),
            (f32::INFINITY, 127),
            (f32::NAN, -3),
        ];
        for (x, expected) in cases {
            assert_eq!(q.quantise(x), expected, "{x}");
        }
        assert_eq!(q.dequantise(1), 2.0);
    }

    #[test]
    fn requantisation_rounds_halves_up_for_either_sign() {
        let rule = Requantisation {
            pre: 0,
            zero_point: 10,
            lo: -128,
            hi: 127,
        };
        let half = 1 << 30; // a multiplier of one quarter
        assert_eq!(rule.apply(2, half), 11); // 0.5 -> 1
        assert_eq!(rule.apply(-2, half), 10); // -0.5 -> 0
        assert_eq!(rule.apply(2, -half), 10);
        assert_eq!(rule.apply(-6, half), 9); // -1.5 -> -1
        assert_eq!(Requantisation { pre: 2, ..rule }.apply(5, half), 15);
        assert_eq!(Requantisation { lo: 10, ..rule }.apply(-400, half), 10);
    }
}
