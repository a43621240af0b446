//! The kernels of this host against the portable ones, and those against the definition.

use mtslvr_kernel_cases::{ConvolutionCase, Random};
use mtslvr_runtime::nn::{Layout, arch, portable};
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
        let output = case.run(|linear, input, output, _| portable::linear(linear, input, output));
        prop_assert_eq!(output, case.reference());
    }
}
