//! The library as a package for Arduino, ESP-IDF and Zephyr, made from `runtime/c/packages`.

use super::compiler::Compiler;
use super::{PROCESSORS, Processor, build, copy, made, model, set_up, sources};
use crate::embedded::Toolchain;
use crate::{firmware, process, workspace};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use xtask::board::Board;

/// Where the project is to be found, in manifests: a name that leads nowhere until there is a place.
const URL: &str = "https://example.invalid/mtslvr";

/// A system that the library is packed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    Arduino,
    EspIdf,
    Zephyr,
}

impl System {
    const ALL: [Self; 3] = [Self::Arduino, Self::EspIdf, Self::Zephyr];

    /// Returns its folder among the sources.
    fn source(self) -> &'static str {
        match self {
            Self::Arduino => "arduino",
            Self::EspIdf => "esp-idf",
            Self::Zephyr => "zephyr",
        }
    }

    /// Returns the folder of the package: Arduino's is the library's name, and ESP-IDF names a component
    /// by its folder.
    fn folder(self) -> &'static str {
        match self {
            Self::Arduino => "arduino/MTSLVR",
            Self::EspIdf => "esp-idf/mtslvr",
            Self::Zephyr => "zephyr/mtslvr",
        }
    }

    /// Returns the folder of the headers.
    fn headers(self) -> &'static str {
        match self {
            Self::Arduino => "src",
            Self::EspIdf | Self::Zephyr => "include",
        }
    }

    /// Returns the folder of the model's source. `None` for Arduino, which compiles nothing of a library
    /// that is there in full: the model is in the libraries.
    fn model_source(self) -> Option<&'static str> {
        match self {
            Self::Arduino => None,
            Self::EspIdf | Self::Zephyr => Some("src"),
        }
    }

    /// Returns the folders of the library for a processor; none if the system has no such processor.
    fn libraries(self, processor: &Processor) -> Vec<PathBuf> {
        let below = |folder: &str, name: &str| Path::new(folder).join(name);
        match self {
            Self::Arduino => processor
                .arduino
                .iter()
                .map(|name| below("src", name))
                .collect(),
            Self::EspIdf => processor
                .esp_idf
                .map(|name| below("lib", name))
                .into_iter()
                .collect(),
            Self::Zephyr => processor
                .zephyr
                .map(|name| below("lib", name))
                .into_iter()
                .collect(),
        }
    }

    /// Returns the example: its file, the compiler, and its flags.
    fn example(self) -> (&'static str, Compiler, &'static [&'static str]) {
        match self {
            Self::Arduino => (
                "examples/TeachAndListen/TeachAndListen.ino",
                Compiler::Arm,
                PROCESSORS[1].flags,
            ),
            Self::EspIdf => (
                "examples/teach_and_listen/main/main.c",
                Compiler::RiscV,
                PROCESSORS[7].flags,
            ),
            Self::Zephyr => (
                "samples/teach_and_listen/src/main.c",
                Compiler::Arm,
                PROCESSORS[0].flags,
            ),
        }
    }
}

/// Builds the library for all processors, and writes the packages around `model` (else the shipped
/// `edge-s`) into `target/c-packages`.
pub fn packages(model: Option<&Path>) -> Result<()> {
    let toolchain = Toolchain::set_up(&[Board::An386])?;
    set_up(&PROCESSORS, toolchain)?;
    let libraries = PROCESSORS
        .iter()
        .map(|processor| Ok((processor, build(toolchain, processor)?)))
        .collect::<Result<Vec<_>>>()?;
    let folder = workspace::target_dir().join("c-packages");
    write(&folder, &libraries, model)?;
    check(&folder)?;
    for system in System::ALL {
        println!("{}", folder.join(system.folder()).display());
    }
    Ok(())
}

/// Writes the packages with these libraries into `folder`, in place of what it held.
pub fn write(
    folder: &Path,
    libraries: &[(&Processor, PathBuf)],
    model: Option<&Path>,
) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let model_folder = made().join("model");
    model::write(&firmware::model_or_shipped(model)?, &model_folder)?;
    for system in System::ALL {
        let package = folder.join(system.folder());
        let headers = system.headers();
        copy_templates(&sources().join("packages").join(system.source()), &package)?;
        copy(
            &sources().join("include/mtslvr.h"),
            &package.join(headers).join("mtslvr.h"),
        )?;
        copy(
            &model_folder.join("mtslvr_model.h"),
            &package.join(headers).join("mtslvr_model.h"),
        )?;
        if let Some(folder) = system.model_source() {
            copy(
                &model_folder.join("mtslvr_model.c"),
                &package.join(folder).join("mtslvr_model.c"),
            )?;
        }
        for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
            copy(&workspace::root().join(name), &package.join(name))?;
        }
        for (processor, library) in libraries {
            for to in system.libraries(processor) {
                let packed = package.join(to).join("libmtslvr.a");
                copy(library, &packed)?;
                if system.model_source().is_none() {
                    add_model(processor, &model_folder, &packed)?;
                }
            }
        }
    }
    Ok(())
}

/// Compiles the model and adds it to a library.
fn add_model(processor: &Processor, model: &Path, library: &Path) -> Result<()> {
    let object = made().join(processor.name).join("mtslvr_model.o");
    let mut compile = processor.compiler.command(processor.flags);
    compile
        .args(["-ffreestanding", "-c", "-o"])
        .arg(&object)
        .arg(model.join("mtslvr_model.c"));
    process::run(&mut compile)?;
    let mut add = processor.compiler.tool("ar");
    process::run(add.arg("rs").arg(library).arg(&object))
}

/// Copies a folder of text files, and fills in what they leave open.
fn copy_templates(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let path = entry?.path();
        let target = to.join(path.file_name().context("an entry has a name")?);
        if path.is_dir() {
            copy_templates(&path, &target)?;
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        fs::write(&target, filled_in(&text)).with_context(|| target.display().to_string())?;
    }
    Ok(())
}

fn filled_in(text: &str) -> String {
    let targets = PROCESSORS.iter().filter_map(|processor| processor.esp_idf);
    let targets: Vec<_> = targets.map(|target| format!("  - {target}")).collect();
    text.replace("@VERSION@", env!("CARGO_PKG_VERSION"))
        .replace("@URL@", URL)
        .replace("@TARGETS@", &targets.join("\n"))
}

/// Checks the manifests of the packages in `folder`, and compiles their examples against stub headers.
pub fn check(folder: &Path) -> Result<()> {
    for system in System::ALL {
        let package = folder.join(system.folder());
        check_manifests(system, &package)?;
        compile_example(system, &package)?;
    }
    Ok(())
}

/// Fields that a system's tools ask for: the file, and how a line of it begins.
const FIELDS: [(System, &str, &str); 16] = [
    (System::Arduino, "library.properties", "name=MTSLVR"),
    (
        System::Arduino,
        "library.properties",
        concat!("version=", env!("CARGO_PKG_VERSION")),
    ),
    (System::Arduino, "library.properties", "author="),
    (System::Arduino, "library.properties", "maintainer="),
    (System::Arduino, "library.properties", "sentence="),
    (System::Arduino, "library.properties", "paragraph="),
    (
        System::Arduino,
        "library.properties",
        "category=Signal Input/Output",
    ),
    (System::Arduino, "library.properties", "url="),
    (System::Arduino, "library.properties", "architectures=*"),
    (System::Arduino, "library.properties", "precompiled=full"),
    (System::Arduino, "library.properties", "ldflags=-lmtslvr"),
    (
        System::EspIdf,
        "idf_component.yml",
        concat!("version: \"", env!("CARGO_PKG_VERSION"), "\""),
    ),
    (System::EspIdf, "CMakeLists.txt", "idf_component_register("),
    (System::Zephyr, "zephyr/module.yml", "name: mtslvr"),
    (System::Zephyr, "zephyr/module.yml", "  kconfig: Kconfig"),
    (System::Zephyr, "Kconfig", "config MTSLVR"),
];

fn check_manifests(system: System, package: &Path) -> Result<()> {
    for (_, file, field) in FIELDS.iter().filter(|(of, ..)| *of == system) {
        let path = package.join(file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        ensure!(
            text.lines().any(|line| line.starts_with(field)),
            "{} has no line that begins with {field}",
            path.display()
        );
        ensure!(!text.contains('@'), "{} is not filled in", path.display());
    }
    Ok(())
}

/// Compiles the example. Nothing is linked: the stubs have no code.
fn compile_example(system: System, package: &Path) -> Result<()> {
    let (example, compiler, flags) = system.example();
    let stubs = sources().join("packages/stubs").join(system.source());
    let mut command = match system {
        // A sketch is C++ that begins with Arduino's header.
        System::Arduino => {
            let mut command = compiler.tool("g++");
            command.args(["-std=gnu++17", "-Wall", "-Wextra", "-Werror"]);
            command
                .args(flags)
                .args(["-fsyntax-only", "-include", "Arduino.h", "-x", "c++"]);
            command
        }
        System::EspIdf | System::Zephyr => {
            let mut command = compiler.command(flags);
            // Free-standing, because the compiler for RISC-V comes without a C library.
            command.args(["-fsyntax-only", "-ffreestanding"]);
            command
        }
    };
    command
        .arg("-I")
        .arg(&stubs)
        .arg("-I")
        .arg(package.join(system.headers()))
        .arg(package.join(example));
    process::run(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_is_in_a_package() {
        for processor in PROCESSORS {
            let folders = System::ALL.map(|system| system.libraries(&processor).len());
            assert!(folders.iter().sum::<usize>() > 0, "{}", processor.name);
        }
    }

    #[test]
    fn what_manifests_leave_open_is_filled_in() {
        let text = filled_in("version: \"@VERSION@\"\ntargets:\n@TARGETS@\n");
        assert!(text.starts_with(concat!("version: \"", env!("CARGO_PKG_VERSION"), "\"\n")));
        assert!(text.ends_with("targets:\n  - esp32c3\n  - esp32c6\n  - esp32p4\n"));
    }

    /// Kconfig chooses among folders that the packages have.
    #[test]
    fn the_zephyr_module_chooses_libraries_that_are_there() -> Result<()> {
        let path = sources().join("packages/zephyr/Kconfig");
        let text = fs::read_to_string(path)?;
        let chosen = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("default \""));
        for name in chosen.filter_map(|line| line.split('"').next()) {
            let there = |processor: &Processor| processor.zephyr == Some(name);
            assert!(name.is_empty() || PROCESSORS.iter().any(there), "{name}");
        }
        Ok(())
    }
}
