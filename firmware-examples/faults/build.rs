//! Says which architecture the core has.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(armv8m)");
    let target = std::env::var("TARGET").unwrap_or_default();
    if target.starts_with("thumbv8m") {
        println!("cargo::rustc-cfg=armv8m");
    }
}
