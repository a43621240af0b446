//! Tells the kernels which instructions the target has, where stable Rust's `cfg(target_feature)`
//! does not.

use std::env;

/// Cores of Armv8-M with the DSP extension.
const WITH_DSP: [&str; 6] = [
    "cortex-m33",
    "cortex-m35p",
    "cortex-m52",
    "cortex-m55",
    "cortex-m85",
    "star-mc1",
];
/// Cores with the vector extension, Helium.
const WITH_MVE: [&str; 3] = ["cortex-m52", "cortex-m55", "cortex-m85"];

fn main() {
    println!("cargo::rustc-check-cfg=cfg(arm_dsp, arm_mve)");
    println!("cargo::rerun-if-changed=build.rs");
    let target = env::var("TARGET").unwrap_or_default();
    // Armv7E-M is Armv7-M with the DSP instructions; in Armv8-M they are an option, which the
    // compiler is told of by the core's name or by that of the feature.
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let armv8m = target.starts_with("thumbv8");
    if target.starts_with("thumbv7em") || (armv8m && chosen(&flags, &WITH_DSP, "dsp")) {
        println!("cargo::rustc-cfg=arm_dsp");
    }
    if armv8m && chosen(&flags, &WITH_MVE, "mve") {
        println!("cargo::rustc-cfg=arm_mve");
    }
}

/// Tells whether the last `target-cpu` among the compiler's `flags` is one of `cores`, or `feature` is
/// switched on.
fn chosen(flags: &str, cores: &[&str], feature: &str) -> bool {
    let codegen = || {
        flags
            .split('\x1f')
            .map(|flag| flag.strip_prefix("-C").unwrap_or(flag).trim_start())
    };
    let core = codegen()
        .filter_map(|flag| flag.strip_prefix("target-cpu="))
        .next_back();
    let mut features = codegen()
        .filter_map(|flag| flag.strip_prefix("target-feature="))
        .flat_map(|features| features.split(','));
    let switched_on = features.any(|named| {
        named
            .strip_prefix('+')
            .is_some_and(|named| named.split('.').next() == Some(feature))
    });
    core.is_some_and(|core| cores.contains(&core)) || switched_on
}
