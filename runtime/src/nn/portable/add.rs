//! Residual addition.

use crate::nn::rules::AddRule;

/// Adds two maps: `sum[i] = rule(a[i], sum[i])`, up to the end of the shorter one. `sum` comes in
/// holding the second addend, and stays as it is if the rule's bounds are not in order.
pub fn add(rule: &AddRule, a: &[i8], sum: &mut [i8]) {
    if rule.lo > rule.hi {
        return;
    }
    for (b, &a) in sum.iter_mut().zip(a) {
        *b = rule.apply(a, *b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Compares with the formula in f64, whose products and sums are exact here.
        #[test]
        fn agrees_with_the_formula(
            values in proptest::collection::vec(any::<(i8, i8)>(), 1..200),
            multipliers in (-4_000_000..4_000_000i32, -4_000_000..4_000_000i32),
            zero_points in any::<(i8, i8, i8)>(),
            clamp in any::<(i8, i8)>(),
        ) {
            let rule = AddRule {
                a_zero_point: zero_points.0,
                a_multiplier: multipliers.0,
                b_zero_point: zero_points.1,
                b_multiplier: multipliers.1,
                zero_point: zero_points.2,
                lo: clamp.0.min(clamp.1),
                hi: clamp.0.max(clamp.1),
            };
            prop_assert!(rule.fits());
            let a: Vec<i8> = values.iter().map(|v| v.0).collect();
            let mut sum: Vec<i8> = values.iter().map(|v| v.1).collect();
            add(&rule, &a, &mut sum);
            for (&(a, b), &got) in values.iter().zip(&sum) {
                let real = (f64::from(a) - f64::from(rule.a_zero_point)) * f64::from(rule.a_multiplier)
                    + (f64::from(b) - f64::from(rule.b_zero_point)) * f64::from(rule.b_multiplier);
                let expected = ((real / f64::from(1 << 20) + 0.5).floor()
                    + f64::from(rule.zero_point))
                    .clamp(rule.lo.into(), rule.hi.into());
                prop_assert_eq!(f64::from(got), expected);
            }
        }
    }
}
