//! The library for C (`runtime/c`): built for devices, measured in linked programs, run in QEMU, and packed
//! for Arduino, ESP-IDF and Zephyr.

mod compiler;
mod model;
mod packages;
mod readme;
mod sizes;

pub use packages::packages;
pub use sizes::write_sizes;

use crate::embedded::{self, Toolchain};
use crate::{firmware, process, workspace};
use anyhow::{Context, Result, ensure};
use compiler::Compiler;
use std::fs;
use std::path::{Path, PathBuf};
use xtask::board::Board;

/// A processor that the library is built for.
#[derive(Clone, Copy, Debug)]
pub struct Processor {
    /// Its name: of a folder, and in tables.
    pub name: &'static str,
    /// Its name for a reader.
    shown: &'static str,
    /// The Rust compiler's target.
    target: &'static str,
    /// Further flags for the Rust compiler.
    rustflags: &'static str,
    /// The C compiler.
    compiler: Compiler,
    /// The C compiler's flags for the same code and calls.
    flags: &'static [&'static str],
    /// Folder of an Arduino library in which its core looks: `src/{build.mcu}`, and below it
    /// `{build.fpu}-{build.float-abi}` where the core names these.
    arduino: &'static [&'static str],
    /// Target of ESP-IDF.
    esp_idf: Option<&'static str>,
    /// Folder in the Zephyr module.
    zephyr: Option<&'static str>,
}

/// All of them. Cortex-M4F is first: the example in QEMU is built for it.
pub const PROCESSORS: [Processor; 10] = [
    Processor {
        name: "cortex-m4-hard",
        shown: "Cortex-M4F",
        target: "thumbv7em-none-eabihf",
        rustflags: "",
        compiler: Compiler::Arm,
        flags: &[
            "-mcpu=cortex-m4",
            "-mthumb",
            "-mfloat-abi=hard",
            "-mfpu=fpv4-sp-d16",
        ],
        arduino: &["cortex-m4/fpv4-sp-d16-hard"],
        esp_idf: None,
        zephyr: Some("cortex-m4-hard"),
    },
    Processor {
        name: "cortex-m4-softfp",
        shown: "Cortex-M4F, floats in integer registers",
        target: "thumbv7em-none-eabi",
        rustflags: "-C target-cpu=cortex-m4",
        compiler: Compiler::Arm,
        flags: &[
            "-mcpu=cortex-m4",
            "-mthumb",
            "-mfloat-abi=softfp",
            "-mfpu=fpv4-sp-d16",
        ],
        arduino: &["cortex-m4/fpv4-sp-d16-softfp"],
        esp_idf: None,
        zephyr: Some("cortex-m4-softfp"),
    },
    Processor {
        name: "cortex-m0plus",
        shown: "Cortex-M0+",
        target: "thumbv6m-none-eabi",
        rustflags: "-C target-cpu=cortex-m0plus",
        compiler: Compiler::Arm,
        flags: &["-mcpu=cortex-m0plus", "-mthumb"],
        arduino: &["cortex-m0plus"],
        esp_idf: None,
        zephyr: Some("cortex-m0plus"),
    },
    Processor {
        name: "cortex-m7-hard",
        shown: "Cortex-M7",
        target: "thumbv7em-none-eabihf",
        rustflags: "-C target-cpu=cortex-m7",
        compiler: Compiler::Arm,
        flags: &[
            "-mcpu=cortex-m7",
            "-mthumb",
            "-mfloat-abi=hard",
            "-mfpu=fpv5-d16",
        ],
        arduino: &["cortex-m7/fpv5-d16-hard"],
        esp_idf: None,
        zephyr: Some("cortex-m7-hard"),
    },
    Processor {
        name: "cortex-m7-softfp",
        shown: "Cortex-M7, floats in integer registers",
        target: "thumbv7em-none-eabi",
        rustflags: "-C target-cpu=cortex-m7",
        compiler: Compiler::Arm,
        flags: &[
            "-mcpu=cortex-m7",
            "-mthumb",
            "-mfloat-abi=softfp",
            "-mfpu=fpv5-d16",
        ],
        arduino: &["cortex-m7/fpv5-d16-softfp"],
        esp_idf: None,
        zephyr: Some("cortex-m7-softfp"),
    },
    Processor {
        name: "cortex-m33-hard",
        shown: "Cortex-M33",
        target: "thumbv8m.main-none-eabihf",
        rustflags: "-C target-cpu=cortex-m33",
        compiler: Compiler::Arm,
        flags: &[
            "-mcpu=cortex-m33",
            "-mthumb",
            "-mfloat-abi=hard",
            "-mfpu=fpv5-sp-d16",
        ],
        arduino: &["cortex-m33/fpv5-sp-d16-hard"],
        esp_idf: None,
        zephyr: Some("cortex-m33-hard"),
    },
    Processor {
        name: "cortex-m55-hard",
        shown: "Cortex-M55",
        target: "thumbv8m.main-none-eabihf",
        rustflags: "-C target-cpu=cortex-m55",
        compiler: Compiler::Arm,
        flags: &["-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"],
        arduino: &[],
        esp_idf: None,
        zephyr: Some("cortex-m55-hard"),
    },
    Processor {
        name: "rv32imc",
        shown: "RV32IMC (ESP32-C3)",
        target: "riscv32imc-unknown-none-elf",
        rustflags: "",
        compiler: Compiler::RiscV,
        flags: &["-march=rv32imc", "-mabi=ilp32"],
        arduino: &["esp32c3"],
        esp_idf: Some("esp32c3"),
        zephyr: Some("rv32imc"),
    },
    Processor {
        name: "rv32imac",
        shown: "RV32IMAC (ESP32-C6)",
        target: "riscv32imac-unknown-none-elf",
        rustflags: "",
        compiler: Compiler::RiscV,
        flags: &["-march=rv32imac", "-mabi=ilp32"],
        arduino: &["esp32c6"],
        esp_idf: Some("esp32c6"),
        zephyr: Some("rv32imac"),
    },
    Processor {
        name: "rv32imafc",
        shown: "RV32IMAFC (ESP32-P4)",
        target: "riscv32imafc-unknown-none-elf",
        rustflags: "",
        compiler: Compiler::RiscV,
        flags: &["-march=rv32imafc", "-mabi=ilp32f"],
        arduino: &["esp32p4"],
        esp_idf: Some("esp32p4"),
        zephyr: None,
    },
];

/// Returns the processor that the example in QEMU is built for.
pub fn of_example() -> &'static Processor {
    &PROCESSORS[0]
}

/// Installs the compilers where that is possible and they are missing.
///
/// # Errors
/// If one is missing and cannot be installed.
pub fn set_up(processors: &[Processor], toolchain: Toolchain) -> Result<()> {
    compiler::set_up()?;
    for processor in processors {
        if toolchain == Toolchain::Rustup {
            embedded::add_target(processor.target)?;
        }
    }
    Ok(())
}

/// Returns the folder of all that is made here.
fn made() -> PathBuf {
    embedded::target_dir().join("c")
}

/// Returns the folder of the library's sources.
fn sources() -> PathBuf {
    workspace::root().join("runtime/c")
}

/// Builds the static library alone: cargo optimises no crate as a whole that is built in two forms.
const BUILD: [&str; 5] = ["rustc", "--profile", "device", "--crate-type", "staticlib"];

/// Builds the library for a processor and returns it, without lines of source code in it.
pub fn build(toolchain: Toolchain, processor: &Processor) -> Result<PathBuf> {
    let Processor {
        target, rustflags, ..
    } = *processor;
    // A folder for each: two libraries for one target have the same name.
    let folder = made().join(processor.name);
    process::run(
        toolchain
            .cargo(&BUILD, target, rustflags, workspace::root())?
            .env("CARGO_TARGET_DIR", &folder)
            .args(["--package", "mtslvr-c"]),
    )?;
    let built = folder.join(target).join("device/libmtslvr_c.a");
    let library = folder.join("libmtslvr.a");
    copy(&built, &library)?;
    let mut strip = processor.compiler.tool("strip");
    // The compiler's own objects also hold its intermediate code, which linkers would try to read.
    let unused = ["-R", ".llvmbc", "-R", ".llvmcmd"];
    process::run(strip.arg("--strip-debug").args(unused).arg(&library))?;
    Ok(library)
}

/// Copies a file, and makes the folder that it goes into.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::copy(from, to))
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Builds the example `firmware-examples/c` around the shipped model and `library`; returns the ELF file.
pub fn build_example(library: &Path) -> Result<PathBuf> {
    let processor = of_example();
    let model = made().join("model");
    model::write(&firmware::model_or_shipped(None)?, &model)?;
    let folder = workspace::root().join("firmware-examples/c");
    let elf = made().join("recognise.elf");
    let mut command = processor.compiler.command(processor.flags);
    command
        .args(["-O2", "--specs=rdimon.specs", "-o"])
        .arg(&elf)
        .arg("-I")
        .arg(sources().join("include"))
        .arg("-I")
        .arg(&model)
        .arg(folder.join("recognise.c"))
        .arg(folder.join("board/startup.c"))
        .arg(model.join("mtslvr_model.c"))
        .arg(library)
        .arg("-Wl,--gc-sections,--no-warn-rwx-segments,-z,noexecstack")
        .arg("-T")
        .arg(folder.join("board/an386.ld"));
    process::run(&mut command)?;
    Ok(elf)
}

/// Builds the example, and runs it in QEMU with its own `args` if there are some. Prints the ELF file.
pub fn example(args: &[String]) -> Result<()> {
    let toolchain = Toolchain::set_up(&[Board::An386])?;
    let processor = of_example();
    set_up(&[*processor], toolchain)?;
    let elf = build_example(&build(toolchain, processor)?)?;
    println!("{}", elf.display());
    if args.is_empty() {
        return Ok(());
    }
    firmware::run(Board::An386, &elf, args, None)
}

/// Every check of the library that needs no test program: the example is built, the size is that of the
/// README, and the packages are made and their examples compile. Returns the example's ELF file.
pub fn check(toolchain: Toolchain) -> Result<PathBuf> {
    let processor = of_example();
    set_up(&[*processor], toolchain)?;
    let library = build(toolchain, processor)?;
    let elf = build_example(&library)?;
    sizes::check(processor, &library)?;
    let folder = made().join("packages");
    packages::write(&folder, &[(processor, library)], None)?;
    packages::check(&folder)?;
    ensure!(elf.is_file(), "{} was not built", elf.display());
    Ok(elf)
}
