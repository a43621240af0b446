//! Compares the kernels of this host with the portable ones, and those with the definition.

use mtslvr_kernel_cases::{ConvolutionCase, Random, odd_number, spoiled};
use mtslvr_runtime::nn::{
    AddRule, AveragePool, Layout, MaxPool, Requantisation, Shape, Window, arch, portable,
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
            let number = match random.below(7) {
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
