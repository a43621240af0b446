//! Compiles the kernels of a GPU's step for the processor, where tests ask for it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "emulated-device")]
    {
        println!("cargo::rerun-if-changed=src/device/kernels.cu");
        println!("cargo::rerun-if-changed=src/device/views.cu");
        println!("cargo::rerun-if-changed=src/device/emulated.cpp");
        cc::Build::new()
            .cpp(true)
            .std("c++17")
            .flag("-Wno-unknown-pragmas")
            .flag("-ffp-contract=off")
            .file("src/device/emulated.cpp")
            .compile("mtslvr_emulated");
    }
}
