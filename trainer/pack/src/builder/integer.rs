//! Converts real factors to the integers of the requantisation rules.

use super::{Activation, BuildError};
use mtslvr_runtime::nn::{ADD_FRACTION_BITS, MAX_PRE_SHIFT, Quantisation};

/// Origin of a factor, for errors.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub op: usize,
}

impl Place {
    fn refuse(self, found: f64) -> BuildError {
        BuildError::Multiplier { op: self.op, found }
    }
}

/// Returns the least and the greatest int8 value under `activation`.
pub(super) fn clamp(
    activation: Activation,
    quantisation: Quantisation,
    op: usize,
) -> Result<[i8; 2], BuildError> {
    match activation {
        Activation::Linear => Ok([i8::MIN, i8::MAX]),
        Activation::Relu => Ok([quantisation.zero_point, i8::MAX]),
        Activation::Clip { lo, hi } if lo <= hi => {
            Ok([quantisation.quantise(lo), quantisation.quantise(hi)])
        }
        Activation::Clip { .. } => Err(BuildError::Activation { op }),
    }
}

/// Returns the smallest shift with which the greatest of `factors` fits a multiplier.
pub(super) fn pre_shift(factors: &[f64], place: Place) -> Result<u8, BuildError> {
    let greatest = factors.iter().fold(0.0f64, |m, f| m.max(f.abs()));
    if let Some(&bad) = factors.iter().find(|f| !f.is_finite()) {
        return Err(place.refuse(bad));
    }
    (0..=MAX_PRE_SHIFT)
        .find(|&pre| (greatest * unit(pre)).round() <= f64::from(i32::MAX))
        .ok_or(place.refuse(greatest))
}

/// Returns the multiplier of a factor of one.
pub(super) fn unit(pre: u8) -> f64 {
    (1u64 << (32 - pre)) as f64
}

/// One channel of a convolution as integers.
pub(super) struct Channel {
    pub multiplier: i32,
    pub bias: i32,
}

/// Finds multiplier and bias of a channel whose output, in steps of its scale, is
/// `factor * sum((x - zero_point) * w) + offset`, where `row` holds all its `w`.
pub(super) fn channel<'w>(
    factor: f64,
    offset: f64,
    pre: u8,
    zero_point: i8,
    row: impl Iterator<Item = &'w i8>,
    place: Place,
) -> Result<Channel, BuildError> {
    let (mut sum, mut magnitude) = (0i64, 0i64);
    for &w in row {
        sum += i64::from(w);
        magnitude += i64::from(w).abs();
    }
    let correction = -sum * i64::from(zero_point);
    // Range of the bias in which neither it nor any accumulator overflows.
    let room = i64::from(i32::MAX >> pre) - 128 * magnitude - correction.abs() - 1;
    if room <= 0 || !offset.is_finite() {
        return Err(place.refuse(offset));
    }
    let mut multiplier = (factor * unit(pre)).round();
    if (offset * unit(pre) / multiplier).abs() > room as f64 {
        // The gain is so small that the constant does not fit beside it. With the smallest multiplier
        // that carries the constant, the products stay below one step. Beyond a few hundred steps the
        // constant saturates int8 whatever the products are.
        let offset = offset.clamp(-1024.0, 1024.0);
        let least = (offset.abs() * unit(pre) / room as f64).ceil();
        if multiplier.abs() < least {
            multiplier = least.copysign(factor);
        }
    }
    let offset = offset.clamp(
        -(room as f64 * multiplier.abs() / unit(pre)),
        room as f64 * multiplier.abs() / unit(pre),
    );
    let constant = if multiplier == 0.0 {
        0.0
    } else {
        (offset * unit(pre) / multiplier).round()
    };
    Ok(Channel {
        multiplier: multiplier as i32,
        bias: (constant as i64).clamp(-room, room) as i32 + correction as i32,
    })
}

/// Returns the multipliers of two addends with scales `from`, for a sum with scale `to`.
pub(super) fn addends(from: [f32; 2], to: f32, place: Place) -> Result<[i32; 2], BuildError> {
    let ratios = from.map(|from| f64::from(from) / f64::from(to));
    let one = f64::from(1 << ADD_FRACTION_BITS);
    // 255 * (a + b) + 1/2 must fit an i32: together the ratios reach 8.
    let limit = (f64::from(i32::MAX) - one / 2.0) / 255.0 / one;
    let sum = ratios[0] + ratios[1];
    if sum <= limit - 2.0 / one {
        Ok(ratios.map(|ratio| (ratio * one).round() as i32))
    } else {
        Err(place.refuse(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { op: 0 };

    #[test]
    fn large_factors_take_a_shift() {
        assert_eq!(pre_shift(&[0.1, -0.49], PLACE), Ok(0));
        assert_eq!(pre_shift(&[0.1, -0.6], PLACE), Ok(1));
        assert_eq!(pre_shift(&[100.0], PLACE), Ok(8));
        assert!(pre_shift(&[1e6], PLACE).is_err());
        assert!(pre_shift(&[f64::NAN], PLACE).is_err());
    }

    #[test]
    fn a_channel_keeps_its_constant_whatever_its_gain() {
        for factor in [0.0, -1e-12, 1e-9, -1e-3, 0.3] {
            for offset in [0.0, 0.5, -3.0, 100.0, 1e7] {
                let row = [100i8; 144];
                let Channel { multiplier, bias } = channel(factor, offset, 0, 5, row.iter(), PLACE)
                    .ok()
                    .unwrap();
                // An input of real zero: the accumulator is the constant alone.
                let acc = i64::from(bias) + 5 * 14_400;
                let real = acc as f64 * f64::from(multiplier) / unit(0);
                let expected = f64::min(offset, 1024.0);
                let error = (real.min(1024.0) - expected).abs();
                assert!(error < 0.51, "{factor} {offset}: {real}");
            }
        }
    }
}
