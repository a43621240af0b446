//! The microcontrollers of real boards: their firmwares are built, and must fit.

use crate::embedded::{self, Toolchain};
use crate::{elf, process, workspace};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;

/// A microcontroller that there is a firmware for.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Its name, which is that of the firmware's folder too.
    pub name: &'static str,
    /// The compiler's target.
    target: &'static str,
    /// Further flags for the compiler.
    rustflags: &'static str,
    /// Bytes of flash on its board.
    flash: u64,
    /// Bytes of those that hold what the device is taught.
    store: u64,
    /// Bytes of RAM.
    ram: u64,
}

/// All of them.
pub const PARTS: [Part; 2] = [
    Part {
        name: "nrf52840",
        target: "thumbv7em-none-eabihf",
        rustflags: "",
        flash: 1024 * 1024,
        store: 64 * 1024,
        ram: 256 * 1024,
    },
    Part {
        name: "rp2350",
        target: "thumbv8m.main-none-eabihf",
        rustflags: "-C target-cpu=cortex-m33",
        flash: 4096 * 1024,
        store: 64 * 1024,
        ram: 512 * 1024,
    },
];

/// Bytes of RAM that statics must leave for the stack: twice what the example firmware in QEMU uses at
/// its deepest, saving to flash included (`cargo xtask bench-firmware`).
const LEAST_STACK: u64 = 24 * 1024;

/// Builds the part's firmware around `model`, and says what of its flash and RAM that takes; it is an
/// error if it does not fit.
pub fn build(toolchain: Toolchain, part: Part, model: &Path) -> Result<String> {
    let folder = workspace::root().join("firmware-examples").join(part.name);
    process::run(
        toolchain
            .cargo_build_for(part.target, part.rustflags, &folder)?
            .env("MTSLVR_MODEL", model)
            .env("DEFMT_LOG", "info"),
    )?;
    let elf = embedded::target_dir()
        .join(part.target)
        .join("release")
        .join(format!("mtslvr-{}", part.name));
    let sizes = elf::sizes(&elf)?;
    let model = fs::metadata(model)
        .with_context(|| model.display().to_string())?
        .len();
    fits(part, &sizes, model)
}

fn fits(part: Part, sizes: &elf::Sizes, model: u64) -> Result<String> {
    let Part {
        flash, store, ram, ..
    } = part;
    let for_program = flash - store;
    let said = format!(
        "flash {} of {flash} bytes (model {model}, code and constants {}) and {store} for taught \
         sounds; RAM {} of {ram} bytes, {} left for the stack",
        sizes.flash,
        sizes.flash.saturating_sub(model),
        sizes.ram,
        ram.saturating_sub(sizes.ram),
    );
    ensure!(
        sizes.flash <= for_program,
        "the firmware for {} is too long: {said}; {for_program} bytes of flash are for it",
        part.name
    );
    ensure!(
        sizes.ram + LEAST_STACK <= ram,
        "the firmware for {} needs too much RAM: {said}; the stack should have {LEAST_STACK} bytes",
        part.name
    );
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        let part = PARTS[0];
        let sizes = |flash, ram| elf::Sizes {
            flash,
            ram,
            program: 0,
            functions: Default::default(),
        };
        let fits = |flash, ram| fits(part, &sizes(flash, ram), 400_000);
        let said = fits(500_000, 200_000).unwrap();
        assert!(said.contains("code and constants 100000"), "{said}");
        assert!(said.contains("62144 left"), "{said}");
        let most = (part.flash - part.store, part.ram - LEAST_STACK);
        assert!(fits(most.0, most.1).is_ok());
        assert!(fits(most.0 + 1, most.1).is_err());
        assert!(fits(most.0, most.1 + 1).is_err());
    }
}
