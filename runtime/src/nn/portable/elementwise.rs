//! Operators on each value by itself: tables, slopes and products.

use crate::nn::operators::Slopes;
use crate::nn::rules::{AddRule, ProductRule};
use crate::parts::{copy, part};

/// Number of values of a table: one for each int8 value.
const TABLE_LEN: usize = 256;

/// Replaces each value by `table[value as u8]`. A table that has not 256 values changes nothing.
pub fn lookup(table: &[i8], values: &mut [i8]) {
    let Ok(table) = <&[i8; TABLE_LEN]>::try_from(table) else {
        return;
    };
    for value in values {
        *value = table[usize::from(*value as u8)];
    }
}

/// Multiplies each value less the zero point: by its channel's multiplier where that is negative, else by
/// the last multiplier. `values` are whole positions; see [wrong arguments](crate::nn#wrong-arguments).
pub fn slopes(rule: &Slopes<'_>, values: &mut [i8]) {
    let Some((&above, below)) = rule.multipliers.split_last() else {
        return;
    };
    if !rule.fits(values) {
        return;
    }
    for position in values.chunks_exact_mut(below.len().max(1)) {
        for (value, &below) in position.iter_mut().zip(below) {
            let centred = i32::from(*value) - i32::from(rule.input_zero_point);
            let multiplier = if centred < 0 { below } else { above };
            *value = rule.requantisation.apply(centred, multiplier);
        }
    }
}

/// Multiplies two maps: `product[i] = rule(a[i], product[i])`, up to the end of the shorter one.
/// `product` comes in holding the second factor, and stays as it is if the rule cannot be applied.
#[inline(always)]
pub fn multiply(rule: &ProductRule, a: &[i8], product: &mut [i8]) {
    if !rule.requantisation.fits() {
        return;
    }
    for (b, &a) in product.iter_mut().zip(a) {
        *b = rule.apply(a, *b);
    }
}

/// Writes the channels of `a` and then those of `b` at each position of `output`, each brought to the
/// output's scale: `clamp(zero_point + (((x - x_zero_point) * x_multiplier + 2^19) >> 20), lo, hi)`.
///
/// Does nothing unless the maps have equally many positions of `channels` values, and the bounds are in
/// order.
pub fn concatenate(rule: &AddRule, channels: [usize; 2], maps: [&[i8]; 2], output: &mut [i8]) {
    let [first, second] = channels;
    let Some(both) = first.checked_add(second) else {
        return;
    };
    let positions = output.len() / both.max(1);
    let fits = |len: usize, channels: usize| positions.checked_mul(channels) == Some(len);
    let [a, b] = maps;
    let all_fit = fits(a.len(), first) && fits(b.len(), second) && fits(output.len(), both);
    if rule.lo > rule.hi || first == 0 || second == 0 || !all_fit {
        return;
    }
    // The other addend is zero.
    let [a_zero, b_zero] = [rule.a_zero_point, rule.b_zero_point];
    let positions = a
        .chunks_exact(first.max(1))
        .zip(b.chunks_exact(second.max(1)));
    for ((a, b), out) in positions.zip(output.chunks_exact_mut(both.max(1))) {
        let Some((from_a, from_b)) = out.split_at_mut_checked(first) else {
            return;
        };
        for (out, &a) in from_a.iter_mut().zip(a) {
            *out = rule.apply(a, b_zero);
        }
        for (out, &b) in from_b.iter_mut().zip(b) {
            *out = rule.apply(a_zero, b);
        }
    }
}

/// Copies the channels from `first` on of each position of `input`, which has `channels`: as many as a
/// position of `output` has. Does nothing unless the maps have equally many positions and those channels.
pub fn slice(channels: [usize; 2], first: usize, input: &[i8], output: &mut [i8]) {
    let [from, to] = channels;
    let inside = first.checked_add(to).is_some_and(|end| end <= from);
    let positions = input.len() / from.max(1);
    let fits = |len: usize, channels: usize| positions.checked_mul(channels) == Some(len);
    if to == 0 || !inside || !fits(input.len(), from) || !fits(output.len(), to) {
        return;
    }
    for (position, out) in input
        .chunks_exact(from.max(1))
        .zip(output.chunks_exact_mut(to.max(1)))
    {
        if part(position, first, to)
            .and_then(|from| copy(from, out))
            .is_none()
        {
            return;
        }
    }
}
