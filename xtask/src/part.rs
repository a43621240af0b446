//! The microcontrollers of real boards: their firmwares are built, and must fit.

use crate::embedded::{self, Toolchain};
use crate::{elf, process, workspace};
use anyhow::{Context, Result, ensure};
use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;
use xtask::document::{grouped, with_table};

/// A microcontroller that there is a firmware for.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Its name, which is that of the firmware's folder too.
    pub name: &'static str,
    /// The compiler's target.
    target: &'static str,
    /// What more the compiler is told.
    rustflags: &'static str,
    /// Bytes of flash on its board.
    flash: u64,
    /// Bytes of flash that the program may take, with its model.
    program: u64,
    /// Names and bytes of the other places in flash.
    places: &'static [(&'static str, u64)],
    /// Bytes of RAM that one piece of memory has for statics and stack.
    ram: u64,
}

/// All of them.
pub const PARTS: [Part; 4] = [
    Part {
        name: "nrf52840",
        target: "thumbv7em-none-eabihf",
        rustflags: "",
        flash: 1024 * 1024,
        program: (1024 - 96) * 1024,
        places: &[("profile", 96 * 1024)],
        ram: 256 * 1024,
    },
    Part {
        name: "rp2350",
        target: "thumbv8m.main-none-eabihf",
        rustflags: "-C target-cpu=cortex-m33",
        flash: 4096 * 1024,
        // The model is in slot A, behind the rest.
        program: 2048 * 1024,
        places: &[
            ("profile", 96 * 1024),
            ("profile of the model in the other slot", 96 * 1024),
            ("recordings of examples", 1280 * 1024),
            ("another model", 512 * 1024),
            ("records of the slots", 8 * 1024),
        ],
        ram: 512 * 1024,
    },
    Part {
        name: "esp32c3",
        target: "riscv32imc-unknown-none-elf",
        rustflags: "",
        flash: 4096 * 1024,
        // Before it are the bootloader and the table of partitions.
        program: (4096 - 64 - 96) * 1024,
        places: &[("profile", 96 * 1024)],
        // The rest of the 400 KB is the cache's and the bootloader's.
        ram: 313 * 1024,
    },
    Part {
        name: "stm32h743",
        target: "thumbv7em-none-eabihf",
        rustflags: "-C target-cpu=cortex-m7",
        flash: 2048 * 1024,
        // One of two banks.
        program: 1024 * 1024,
        places: &[("profile", 512 * 1024)],
        ram: 512 * 1024,
    },
];

impl Part {
    /// Returns the bytes of the places in flash.
    fn places_len(&self) -> u64 {
        self.places.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// Bytes of RAM that statics must leave for the stack: twice what the example firmware in QEMU uses at
/// its deepest, saving to flash included (`cargo xtask bench-firmware`).
const LEAST_STACK: u64 = 24 * 1024;

/// Bytes that a part's firmware takes.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    part: Part,
    /// Bytes of flash, the model included.
    flash: u64,
    /// Bytes of the model.
    model: u64,
    /// Bytes of RAM for statics.
    ram: u64,
}

/// Builds the part's firmware around `model`.
///
/// # Errors
/// If it cannot be built, or does not fit.
pub fn build(toolchain: Toolchain, part: Part, model: &Path) -> Result<Usage> {
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
    let usage = Usage {
        part,
        flash: sizes.flash,
        model,
        ram: sizes.ram,
    };
    usage.fits()?;
    Ok(usage)
}

/// Name of the table in a firmware's README.
const TABLE: &str = "memory";

impl Usage {
    fn fits(&self) -> Result<()> {
        let Part {
            name, program, ram, ..
        } = self.part;
        ensure!(
            self.flash <= program,
            "the firmware for {name} is too long: {self}; {program} bytes of flash are for it"
        );
        ensure!(
            self.ram + LEAST_STACK <= ram,
            "the firmware for {name} needs too much RAM: {self}; the stack should have {LEAST_STACK} bytes"
        );
        Ok(())
    }

    fn code(&self) -> u64 {
        self.flash.saturating_sub(self.model)
    }

    fn stack(&self) -> u64 {
        self.part.ram.saturating_sub(self.ram)
    }

    fn table(&self) -> String {
        let mut table = String::from("| | bytes | of |\n|---|---|---|\n");
        let mut row = |what: &str, bytes, of: Option<u64>| {
            let of = of.map(grouped).unwrap_or_default();
            let _ = writeln!(table, "| {what} | {} | {of} |", grouped(bytes));
        };
        row("flash: program", self.flash, Some(self.part.flash));
        row("flash: model in it", self.model, None);
        let code = "flash: code, constants, start values in it";
        row(code, self.code(), None);
        for (what, bytes) in self.part.places {
            row(&format!("flash: {what}"), *bytes, None);
        }
        row("RAM: statics", self.ram, Some(self.part.ram));
        row("RAM: left for the stack", self.stack(), None);
        table
    }

    /// Writes the table into the README of the part's firmware.
    ///
    /// # Errors
    /// If the README cannot be read or written, or has no place for the table.
    pub fn write(&self) -> Result<()> {
        let folder = workspace::root().join("firmware-examples");
        let path = folder.join(self.part.name).join("README.md");
        let named = || path.display().to_string();
        let text = fs::read_to_string(&path).with_context(named)?;
        let text = with_table(&text, TABLE, &self.table()).with_context(named)?;
        fs::write(&path, text).with_context(named)
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Part { flash, ram, .. } = self.part;
        let places = self.part.places_len();
        write!(
            f,
            "flash {} of {flash} bytes (model {}, code and constants {}) and {places} for what is taught; RAM {} of \
             {ram} bytes, {} left for the stack",
            self.flash,
            self.model,
            self.code(),
            self.ram,
            self.stack(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_and_profile_have_room_in_flash() {
        for part in PARTS {
            assert!(
                part.program + part.places_len() <= part.flash,
                "{}",
                part.name
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let part = PARTS[0];
        let usage = |flash, ram| Usage {
            part,
            flash,
            model: 400_000,
            ram,
        };
        let fits = |flash, ram| usage(flash, ram).fits();
        let said = usage(500_000, 200_000).to_string();
        assert!(said.contains("code and constants 100000"), "{said}");
        assert!(said.contains("62144 left"), "{said}");
        let table = usage(500_000, 200_000).table();
        assert!(
            table.contains("| flash: program | 500,000 | 1,048,576 |"),
            "{table}"
        );
        let most = (part.program, part.ram - LEAST_STACK);
        assert!(fits(most.0, most.1).is_ok());
        assert!(fits(most.0 + 1, most.1).is_err());
        assert!(fits(most.0, most.1 + 1).is_err());
    }
}
