//! Compares the kernels of this host with the portable ones, and those with the definition.

use mtslvr_kernel_cases::{
    ConvolutionCase, DepthwiseCase, Kernels, Random, Sweep, odd_number, spoiled, spoiled_depthwise,
    sweep,
};
use mtslvr_runtime::nn::{
    AddRule, AveragePool, Layout, MaxPool, ProductRule, Requantisation, Shape, Slopes, Window,
    arch, portable,
};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn convolutions_agree_with_the_definition(seed: u64) {
        for layout in [Layout::Rows, Layout::Pairs] {
            let case = ConvolutionCase::random(layout, &mut Random::new(seed));
            prop_assert_eq!(case.portable(), case.reference(), "portable, {:?}", case);
            prop_assert_eq!(case.run(arch::convolve), case.reference(), "this host, {:?}", case);
        }
    }

    #[test]
    fn linear_layers_agree_with_the_definition(seed: u64) {
        let case = ConvolutionCase::linear(&mut Random::new(seed));
        for kernel in [portable::linear, arch::linear] {
            let output = case.run(|linear, input, output, _| kernel(linear, input, output));
            prop_assert_eq!(output, case.reference());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn depthwise_convolutions_agree_with_the_definition(seed: u64) {
        let case = DepthwiseCase::random(&mut Random::new(seed));
        prop_assert_eq!(case.portable(), case.reference(), "portable, {:?}", case);
        prop_assert_eq!(case.run(arch::depthwise), case.reference(), "this host, {:?}", case);
    }

    #[test]
    fn tables_slopes_and_products_agree_with_the_definition(seed: u64) {
        let random = &mut Random::new(seed);
        let table: Vec<i8> = (0..256).map(|_| random.byte()).collect();
        let channels = 1 + random.below(7);
        let values: Vec<i8> = (0..channels * random.below(20)).map(|_| random.byte()).collect();
        let mut found = values.clone();
        arch::lookup(&table, &mut found);
        let expected: Vec<i8> = values.iter().map(|&x| table[usize::from(x as u8)]).collect();
        prop_assert_eq!(found, expected);

        let [lo, hi] = random.bounds();
        let requantisation = Requantisation { pre: 12, zero_point: random.byte(), lo, hi };
        let multipliers: Vec<i32> = (0..=channels).map(|_| random.wide(24)).collect();
        let [a_zero_point, b_zero_point] = [random.byte(), random.byte()];
        let by = |difference: i64, multiplier: i32, pre: u32| {
            let real = (difference << pre) as f64 * f64::from(multiplier) / 2f64.powi(32);
            ((real + 0.5).floor() + f64::from(requantisation.zero_point)).clamp(lo.into(), hi.into())
        };
        let slopes = Slopes { input_zero_point: a_zero_point, multipliers: &multipliers, requantisation };
        let mut found = values.clone();
        portable::slopes(&slopes, &mut found);
        for (at, (&x, &found)) in values.iter().zip(&found).enumerate() {
            let centred = i64::from(x) - i64::from(a_zero_point);
            let multiplier = multipliers[if centred < 0 { at % channels } else { channels }];
            prop_assert_eq!(f64::from(found), by(centred, multiplier, 12));
        }

        let rule = ProductRule {
            a_zero_point,
            b_zero_point,
            multiplier: multipliers[0],
            requantisation: Requantisation { pre: 3, ..requantisation },
        };
        let others: Vec<i8> = values.iter().map(|_| random.byte()).collect();
        let mut found = others.clone();
        portable::multiply(&rule, &values, &mut found);
        for ((&a, &b), &found) in values.iter().zip(&others).zip(&found) {
            let product = (i64::from(a) - i64::from(a_zero_point)) * (i64::from(b) - i64::from(b_zero_point));
            prop_assert_eq!(f64::from(found), by(product, rule.multiplier, 3));
        }
    }

    #[test]
    fn concatenations_and_slices_agree_with_the_definition(seed: u64) {
        let random = &mut Random::new(seed);
        let channels = [1 + random.below(5), 1 + random.below(5)];
        let positions = random.below(6);
        let maps = channels.map(|count| -> Vec<i8> {
            (0..count * positions).map(|_| random.byte()).collect()
        });
        let [lo, hi] = random.bounds();
        let rule = AddRule {
            a_zero_point: random.byte(),
            a_multiplier: random.one_of(&[1 << 20, 500_000, 3_000_000]),
            b_zero_point: random.byte(),
            b_multiplier: random.one_of(&[1 << 20, 700_000]),
            zero_point: random.byte(),
            lo,
            hi,
        };
        let both = channels[0] + channels[1];
        let mut output = vec![0; both * positions];
        portable::concatenate(&rule, channels, [&maps[0], &maps[1]], &mut output);
        let scaled = |x: i8, zero_point: i8, multiplier: i32| {
            let real = (f64::from(x) - f64::from(zero_point)) * f64::from(multiplier);
            let rounded = (real / f64::from(1 << 20) + 0.5).floor();
            (rounded + f64::from(rule.zero_point)).clamp(lo.into(), hi.into())
        };
        for (at, &found) in output.iter().enumerate() {
            let (pixel, c) = (at / both, at % both);
            let expected = match c.checked_sub(channels[0]) {
                None => scaled(maps[0][pixel * channels[0] + c], rule.a_zero_point, rule.a_multiplier),
                Some(c) => scaled(maps[1][pixel * channels[1] + c], rule.b_zero_point, rule.b_multiplier),
            };
            prop_assert_eq!(f64::from(found), expected);
        }
        let first = random.below(both);
        let count = 1 + random.below(both - first);
        let mut some = vec![0; count * positions];
        portable::slice([both, count], first, &output, &mut some);
        for (at, &found) in some.iter().enumerate() {
            prop_assert_eq!(found, output[at / count * both + first + at % count]);
        }
    }
}

/// The cases that firmwares compare their kernels on.
#[test]
fn the_cases_of_firmwares_agree() {
    let kernels = Kernels {
        convolve: arch::convolve,
        linear: arch::linear,
        depthwise: arch::depthwise,
        lookup: arch::lookup,
    };
    let outcome = sweep(40, &kernels);
    assert!(matches!(outcome, Sweep::Agrees { .. }), "{outcome:?}");
}

/// Calls a kernel with wrong arguments, and checks that the output stays as it is if they do not fit.
fn unchanged_unless(fits: bool, output: &[i8], kernel: impl FnOnce(&mut [i8])) {
    let mut after = output.to_vec();
    kernel(&mut after);
    assert!(fits || after == output, "the output has changed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn wrong_arguments_of_convolutions_change_nothing(seed: u64) {
        let random = &mut Random::new(seed);
        for layout in [Layout::Rows, Layout::Pairs] {
            let case = ConvolutionCase::random(layout, random);
            let conv = spoiled(&case.convolution(), random);
            let mut scratch = vec![0; random.below(4000)];
            let input = &case.data()[random.below(2).min(case.data().len())..];
            let output = case.before();
            for kernel in [portable::convolve, arch::convolve] {
                let fits = conv.fits(input, &output, &scratch);
                unchanged_unless(fits, &output, |output| kernel(&conv, input, output, &mut scratch));
            }
            for kernel in [portable::linear, arch::linear] {
                let fits = conv.fits_linear(input, &output);
                unchanged_unless(fits, &output, |output| kernel(&conv, input, output));
            }
        }
    }

    #[test]
    fn wrong_arguments_of_depthwise_convolutions_change_nothing(seed: u64) {
        let random = &mut Random::new(seed);
        let case = DepthwiseCase::random(random);
        let conv = spoiled_depthwise(&case.depthwise(), random);
        let mut scratch = vec![0; random.below(6000)];
        let input = &case.data()[random.below(2).min(case.data().len())..];
        let output = case.before();
        for kernel in [portable::depthwise, arch::depthwise] {
            let fits = conv.fits(input, &output, &scratch);
            unchanged_unless(fits, &output, |output| kernel(&conv, input, output, &mut scratch));
        }
    }

    #[test]
    fn wrong_arguments_of_operators_on_values_change_nothing(seed: u64) {
        let random = &mut Random::new(seed);
        let bytes = |len: usize| -> Vec<i8> { (0..len).map(|i| i as i8).collect() };
        let values = bytes(random.below(30));
        let table = bytes(random.one_of(&[0, 255, 257]));
        unchanged_unless(false, &values, |values| arch::lookup(&table, values));
        let requantisation = Requantisation {
            pre: random.byte() as u8,
            zero_point: random.byte(),
            lo: random.byte(),
            hi: random.byte(),
        };
        let multipliers: Vec<i32> = (0..random.below(5)).map(|_| random.wide(32)).collect();
        let slopes = Slopes { input_zero_point: random.byte(), multipliers: &multipliers, requantisation };
        unchanged_unless(slopes.fits(&values), &values, |values| portable::slopes(&slopes, values));
        let rule = ProductRule {
            a_zero_point: random.byte(),
            b_zero_point: random.byte(),
            multiplier: random.wide(32),
            requantisation,
        };
        let a = bytes(random.below(30));
        unchanged_unless(requantisation.fits(), &values, |values| portable::multiply(&rule, &a, values));
        let [from, to] = [random.below(4), random.below(4)];
        let first = odd_number(random, from);
        let positions = a.len() / from.max(1);
        let fits = to > 0
            && from * positions == a.len()
            && to * positions == values.len()
            && first.checked_add(to).is_some_and(|end| end <= from);
        unchanged_unless(fits, &values, |out| portable::slice([from, to], first, &a, out));
        let rule = AddRule {
            a_zero_point: 1,
            a_multiplier: 5,
            b_zero_point: 2,
            b_multiplier: 6,
            zero_point: 3,
            lo: random.byte(),
            hi: random.byte(),
        };
        let channels = [from, odd_number(random, to)];
        // Never the right number of values: one more than positions.
        let mut output = vec![9; (from + to + 1) * 3 + 1];
        let before = output.clone();
        portable::concatenate(&rule, channels, [&a, &values], &mut output);
        let whole = channels[0].checked_add(channels[1]).filter(|&both| both > 0);
        let positions = whole.filter(|both| output.len().is_multiple_of(*both));
        prop_assert!(positions.is_some() || output == before);
    }

    #[test]
    fn wrong_arguments_of_pools_change_nothing(seed: u64) {
        let random = &mut Random::new(seed);
        let mut below = |n| random.below(n);
        let window = Window::square(1 + below(3), 1 + below(2), below(2));
        let input = Shape::new(3 + below(4), 3 + below(4), 1 + below(4));
        let size = window.output_size(input.height, input.width);
        let [height, width] = size.unwrap_or_default();
        let output = Shape::new(height, width, input.channels);
        let mut pool = MaxPool { input, output, window, clamp: [-100, 100] };
        for _ in 0..below(3) {
            let number = match random.below(8) {
                7 => &mut pool.window.dilation[0],
                0 => &mut pool.input.height,
                1 => &mut pool.output.width,
                2 => &mut pool.output.channels,
                3 => &mut pool.window.kernel[0],
                4 => &mut pool.window.stride[1],
                5 => &mut pool.window.padding.top,
                _ => {
                    pool.clamp = [random.byte(), random.byte()];
                    continue;
                }
            };
            *number = odd_number(random, *number);
        }
        let input = vec![1; input.len() - random.below(2)];
        let output = vec![9; output.len()];
        let fits = pool.fits(&input, &output);
        unchanged_unless(fits, &output, |output| portable::max_pool(&pool, &input, output));
        let [lo, hi] = pool.clamp;
        let mut requantisation = Requantisation { pre: 1, zero_point: 3, lo, hi };
        if random.below(4) == 0 {
            requantisation.pre = random.byte() as u8;
        }
        let pool = AveragePool {
            input: pool.input,
            output: pool.output,
            window: pool.window,
            input_zero_point: random.byte(),
            multiplier: i32::MAX,
            requantisation,
        };
        let fits = pool.fits(&input, &output);
        unchanged_unless(fits, &output, |output| portable::average_pool(&pool, &input, output));
    }

    #[test]
    fn additions_take_any_rule(seed: u64) {
        let random = &mut Random::new(seed);
        let rule = AddRule {
            a_zero_point: random.byte(),
            a_multiplier: random.wide(32),
            b_zero_point: random.byte(),
            b_multiplier: random.wide(32),
            zero_point: random.byte(),
            lo: random.byte(),
            hi: random.byte(),
        };
        let mut bytes = || -> Vec<i8> { (0..random.below(40)).map(|i| i as i8).collect() };
        let (a, b) = (bytes(), bytes());
        unchanged_unless(rule.lo <= rule.hi, &b, |sum| portable::add(&rule, &a, sum));
    }
}

#[cfg(feature = "std")]
mod hosts {
    use super::*;
    use mtslvr_runtime::nn::Quantisation;
    use mtslvr_runtime::nn::arch::InstructionSet;
    use mtslvr_runtime::nn::arch::host::{self, PaddedMap, Repacker};

    /// Instruction sets that this machine has kernels for.
    fn sets() -> impl Iterator<Item = InstructionSet> {
        let all = InstructionSet::ALL.into_iter();
        all.filter(|&set| set.is_available() && set != InstructionSet::Portable)
    }

    /// Returns the output of the kernels of `set` for `case`, in memory that other maps have been in.
    fn repacked(set: InstructionSet, case: &ConvolutionCase, memory: &mut PaddedMap) -> Vec<i8> {
        case.run(|conv, input, output, _| {
            Repacker::new(set)
                .convolution(conv)
                .run(input, output, memory);
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn convolutions_agree_with_the_portable_ones(seed: u64) {
            let mut memory = PaddedMap::default();
            let mut random = Random::new(seed);
            for layout in [Layout::Rows, Layout::Pairs] {
                let case = ConvolutionCase::random(layout, &mut random);
                for set in sets() {
                    let output = repacked(set, &case, &mut memory);
                    prop_assert_eq!(output, case.portable(), "{}, {:?}", set.name(), case);
                }
            }
            let case = ConvolutionCase::linear(&mut random);
            for set in sets() {
                let output = repacked(set, &case, &mut memory);
                prop_assert_eq!(output, case.reference(), "{}, {:?}", set.name(), case);
            }
        }

        #[test]
        fn depthwise_convolutions_and_products_agree_with_the_portable_ones(seed: u64) {
            let mut random = Random::new(seed);
            let case = DepthwiseCase::random(&mut random);
            let wrong = spoiled_depthwise(&case.depthwise(), &mut random);
            let [lo, hi] = random.bounds();
            let rule = ProductRule {
                a_zero_point: random.byte(),
                b_zero_point: random.byte(),
                multiplier: random.wide(30),
                requantisation: Requantisation { pre: 2, zero_point: random.byte(), lo, hi },
            };
            let mut product = case.before();
            portable::multiply(&rule, case.data(), &mut product);
            for set in sets() {
                let output = case.run(|conv, input, output, _| host::depthwise(set, conv, input, output));
                prop_assert_eq!(output, case.portable(), "{}, {:?}", set.name(), case);
                let fits = wrong.fits(case.data(), &case.before(), &[0; 1 << 16]);
                unchanged_unless(fits, &case.before(), |output| {
                    host::depthwise(set, &wrong, case.data(), output);
                });
                let mut found = case.before();
                host::multiply(set, &rule, case.data(), &mut found);
                prop_assert_eq!(&found, &product, "{}", set.name());
            }
        }

        #[test]
        fn wrong_arguments_change_nothing(seed: u64) {
            let mut memory = PaddedMap::default();
            let random = &mut Random::new(seed);
            for layout in [Layout::Rows, Layout::Pairs] {
                let case = ConvolutionCase::random(layout, random);
                let conv = spoiled(&case.convolution(), random);
                // A shape that needs more memory than there is does not test arguments.
                let most = 1 << 20;
                let large = |shape: Shape| shape.checked_len().is_some_and(|len| len > most);
                if large(conv.input) || large(conv.output) {
                    continue;
                }
                let scratch = vec![0; most];
                let output = case.before();
                for set in sets() {
                    let repacked = Repacker::new(set).convolution(&conv);
                    let fits = conv.fits(case.data(), &output, &scratch);
                    unchanged_unless(fits, &output, |output| {
                        repacked.run(case.data(), output, &mut memory);
                    });
                    unchanged_unless(false, &output, |output| {
                        repacked.run(&case.data()[1..], output, &mut memory);
                    });
                }
            }
        }

        #[test]
        fn quantisation_and_addition_agree_with_the_portable_ones(seed: u64) {
            let mut random = Random::new(seed);
            let len = 1 + random.below(200);
            let special = [0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -0.5];
            let values: Vec<f32> = (0..len)
                .map(|_| match random.below(8) {
                    0 => random.one_of(&special),
                    1 => f32::from_bits(random.bits()),
                    _ => random.wide(16) as f32 / 512.0,
                })
                .collect();
            let quantisation = Quantisation {
                scale: (1 + random.below(100)) as f32 / 64.0,
                zero_point: random.byte(),
            };
            let [lo, hi] = random.bounds();
            let rule = AddRule {
                a_zero_point: random.byte(),
                a_multiplier: random.wide(22),
                b_zero_point: random.byte(),
                b_multiplier: random.wide(22),
                zero_point: random.byte(),
                lo,
                hi,
            };
            let mut bytes = || -> Vec<i8> { (0..len).map(|_| random.byte()).collect() };
            let (a, b) = (bytes(), bytes());
            let mut expected = [vec![0; len], b.clone()];
            quantisation.quantise_all(&values, &mut expected[0]);
            portable::add(&rule, &a, &mut expected[1]);
            for set in sets() {
                let mut found = [vec![0; len], b.clone()];
                host::quantise_all(set, &quantisation, &values, &mut found[0]);
                host::add(set, &rule, &a, &mut found[1]);
                prop_assert_eq!(&found, &expected, "{}", set.name());
            }
        }
    }

    /// Convolutions that share tables, as the two paths do, and differ in all else.
    #[test]
    fn shared_tables_are_repacked_once_and_stay_apart_from_others() {
        let mut random = Random::new(7);
        let cases: Vec<ConvolutionCase> = (0..20)
            .map(|_| ConvolutionCase::random(Layout::Rows, &mut random))
            .collect();
        for set in sets() {
            let mut repacker = Repacker::new(set);
            let mut memory = PaddedMap::default();
            for case in &cases {
                for zero_point in [0, -128, 127] {
                    let mut outputs = [case.before(), case.before()];
                    let mut conv = case.convolution();
                    conv.input_zero_point = zero_point;
                    let len = conv.layout.scratch_len(&conv.window, conv.input.channels);
                    let mut scratch = vec![0; len];
                    portable::convolve(&conv, case.data(), &mut outputs[0], &mut scratch);
                    let repacked = repacker.convolution(&conv);
                    repacked.run(case.data(), &mut outputs[1], &mut memory);
                    assert_eq!(outputs[0], outputs[1], "{} {case:?}", set.name());
                }
            }
        }
    }
}
