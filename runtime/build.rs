//! Tells the kernels which instructions the target has, where stable Rust does not.

use std::env;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(arm_dsp)");
    let target = env::var("TARGET").unwrap_or_default();
    // Armv7E-M is Armv7-M with the DSP instructions. In Armv8-M Mainline they are an option, and
    // `cfg(target_feature = "dsp")` is not stable: the crate's feature says it.
    let has_dsp = target.starts_with("thumbv7em")
        || (target.starts_with("thumbv8") && env::var_os("CARGO_FEATURE_DSP").is_some());
    if has_dsp {
        println!("cargo::rustc-cfg=arm_dsp");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
