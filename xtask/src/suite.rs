//! `cargo xtask test`: every check of this repository, in the order in which a mistake shows soonest.

use crate::bench_firmware::{self, Request};
use crate::embedded::Toolchain;
use crate::part::{self, PARTS};
use crate::steps::Steps;
use crate::{
    aarch64, book, c_library, elf, embedded, figures, firmware, fuzz, guide, onnxruntime, process,
    python, supply, web, windows, workspace,
};
use anyhow::{Context, Result, bail, ensure};
use mtslvr_kernel_cases::{Kernels, Sweep, sweep};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use xtask::board::Board;
use xtask::qemu;

const EMBEDDED: &str = "set-up: compiler for boards and QEMU";
const CPP: &str = "set-up: C++ compiler";
const ONNX_RUNTIME: &str = "set-up: ONNX Runtime";
const HOST_BUILD: &str = "host tests: build";
const MODEL: &str = "test model";
/// The board that the example firmware is tested on.
const BOARD: Board = Board::An386;
const FIRMWARE: &str = "firmware: build";
/// The least device, which has the shipped model.
const MINIMAL: &str = "firmware: build the least device";
/// A firmware that updates the model in flash.
const UPDATE: &str = "firmware: build one that updates its model";
/// A firmware that goes wrong, and tells why after each restart.
const CRASH: &str = "firmware: build one that goes wrong";
/// The boards that it goes wrong on: a stack is guarded by the MPU on one, by the core's limit on the other.
const CRASH_ON: [Board; 2] = [Board::An386, Board::An505];
/// A firmware whose panic handler does not link.
const NO_PANIC: &str = "firmware: no panic while embedding, classifying and listening";
/// The example firmware that takes only signed models.
const SIGNED: &str = "firmware: build one that trusts a key";
/// The library for C, its example and its packages.
const C_LIBRARY: &str = "library for C: build, size, packages";
const NO_STD: &str = "no_std build of the runtime";
const PACKAGE: &str = "package of the runtime";
/// The firmwares of real boards.
const BOARDS: &str = "firmware: real boards";
const FIGURES: &str = "firmware: bytes and figures";
/// The boards on which the runtime must give the host's bytes, and may not grow.
pub const MEASURED: [Board; 4] = [Board::An386, Board::An547, Board::An385, Board::Virt];
const KERNELS: &str = "kernels against the portable ones";
/// Boards whose kernels or compilers differ: SMLAD with Armv7E-M and with Armv8-M, Helium, and the
/// portable ones on Armv6-M and RISC-V.
const KERNELS_ON: [Board; 5] = [
    Board::An386,
    Board::An505,
    Board::An547,
    Board::An385,
    Board::Virt,
];
/// Random convolutions, each in every layout of weights.
const KERNEL_CASES: u64 = 400;
const AARCH64: &str = "aarch64 kernels, in QEMU";
/// Library that `listen --mic` is built with, and tested with on Linux, where a file stands for the sound card.
const MICROPHONE: &str = "set-up: ALSA with its headers";
/// The broker that `listen --mqtt` is tested with.
const BROKER: &str = "set-up: an MQTT broker";
const BROKER_PACKAGES: [&str; 3] = ["mosquitto", "mosquitto-clients", "openssl"];
/// Packages that the microphone's build needs beside Rust.
const MICROPHONE_PACKAGES: [&str; 2] = ["libasound2-dev", "pkg-config"];
const LEAN: &str = "the program without training";
/// Bytes that it may take, its backbones among them.
const LEAN_LIMIT: u64 = 8_000_000;
const WINDOWS: &str = "the program without training, for Windows";
/// The page that teaches sounds, in Chromium.
const WEB: &str = "the page in a browser";
/// The Python package, in a virtual environment.
const PYTHON: &str = "the Python package";
/// The commands of `docs` and of the README, as they are written there.
const GUIDE: &str = "the guide's commands";
const HOST_TESTS: &str = "host tests, with the firmware in QEMU";
const REAL: &str = "tests on real recordings";

/// All that only `--all` asks for.
const LONG: &str = "cargo-deny, the guide as a book, aarch64 end to end, the guide's long commands, longer fuzzing";
const CARGO_DENY: &str = "cargo-deny";
const BOOK: &str = "the guide as a book";
const AARCH64_PROGRAM: &str = "the program for aarch64, in QEMU";
const GUIDE_LONG: &str = "the guide's commands, training included";
const FUZZING: &str = "longer fuzzing";

/// The workspaces beside the host's own, each with its manifest.
const OTHER_WORKSPACES: [&str; 4] = [
    "firmware-examples",
    "firmware-examples/esp32c3",
    "tests/fuzz",
    "trainer/python",
];

/// Runs everything, what takes long only with `all`, and prints the summary.
pub fn test(all: bool) -> ExitCode {
    let mut steps = Steps::default();
    steps.run(CPP, cpp_compiler);
    let toolchain = steps.run(EMBEDDED, || Toolchain::set_up(&Board::ALL));
    let library = steps.run(ONNX_RUNTIME, onnxruntime::set_up);
    steps.run("set-up: rustfmt and clippy", components);
    steps.run(MICROPHONE, || {
        embedded::provide("ALSA with its headers", has_alsa, &MICROPHONE_PACKAGES)
    });
    check_source(&mut steps);
    on_boards(&mut steps, toolchain, NO_STD, |steps, toolchain| {
        steps.run(NO_STD, || no_std_build(toolchain))
    });

    // First of all that is compiled for the host, and with the features of every later step: what is
    // built for it is built once.
    let model = match steps.run(HOST_BUILD, build_host_tests) {
        Some(()) => {
            if let Some(size) = steps.run(PYTHON, || python::test(&built("mtslvr"))) {
                steps.note(PYTHON, &size);
            }
            steps.run(GUIDE, || guide::run_commands(&built("mtslvr"), false));
            steps.run(MODEL, test_model)
        }
        None => {
            steps.blocked(PYTHON, HOST_BUILD);
            steps.blocked(GUIDE, HOST_BUILD);
            steps.blocked(MODEL, HOST_BUILD);
            None
        }
    };
    let elf = example_firmware(&mut steps, toolchain, model.as_deref());
    let minimal = on_boards(&mut steps, toolchain, MINIMAL, |steps, toolchain| {
        steps.run(MINIMAL, || {
            let model = firmware::model_or_shipped(None)?;
            firmware::build(toolchain, BOARD, firmware::MINIMAL, &model)
        })
    });
    on_boards(&mut steps, toolchain, NO_PANIC, |steps, toolchain| {
        steps.run(NO_PANIC, || no_panic(toolchain))
    });
    let update = on_boards(&mut steps, toolchain, UPDATE, |steps, toolchain| {
        steps.run(UPDATE, || {
            let model = firmware::model_or_shipped(None)?;
            firmware::build(toolchain, BOARD, firmware::UPDATE, &model)
        })
    });
    let crash = on_boards(&mut steps, toolchain, CRASH, |steps, toolchain| {
        steps.run(CRASH, || {
            let model = firmware::model_or_shipped(None)?;
            let build = |board| firmware::build(toolchain, board, firmware::CRASH, &model);
            CRASH_ON.map(build).into_iter().collect()
        })
    });
    let signed = on_boards(&mut steps, toolchain, SIGNED, |steps, toolchain| {
        steps.run(SIGNED, || firmware::build_golden(toolchain, BOARD))
    });
    let c_example = on_boards(&mut steps, toolchain, C_LIBRARY, |steps, toolchain| {
        steps.run(C_LIBRARY, || c_library::check(toolchain))
    });
    check_boards(&mut steps, toolchain);

    steps.run("fuzz targets on their seeds", fuzz_targets);
    steps.run("fuzzing, guided by coverage", || {
        fuzz::fuzz(&[], true, fuzz::SHORT, |_| Ok(()))
    });
    if let Some(size) = steps.run(LEAN, lean_program) {
        steps.note(LEAN, &size);
    }
    if windows::can_build() {
        steps.run(WINDOWS, windows::build);
    } else {
        steps.not_asked(WINDOWS, "rustup target add x86_64-pc-windows-gnu");
    }
    if let Some(size) = steps.run(WEB, web::test) {
        steps.note(WEB, &size);
    }
    let inputs = Inputs {
        library,
        model,
        elf,
        minimal,
        update,
        crash,
        signed,
        c_example,
    };
    let broker = steps.run(BROKER, || {
        embedded::provide("mosquitto", has_mosquitto, &BROKER_PACKAGES)
    });
    steps.run(HOST_TESTS, || host_tests(&inputs, broker.is_some()));
    match env::var_os("MTSLVR_DATA").filter(|data| !data.is_empty()) {
        Some(data) => {
            steps.run(REAL, || real_recordings(&inputs, Path::new(&data)));
        }
        None => steps.not_asked(REAL, "set MTSLVR_DATA to a folder that holds eval/<set>/"),
    }
    if all {
        long_parts(&mut steps, toolchain);
    } else {
        steps.not_asked(LONG, "cargo xtask test --all");
    }
    steps.summary()
}

/// Runs what needs no board, emulator or browser, and prints the summary.
pub fn test_host() -> ExitCode {
    let mut steps = Steps::default();
    steps.run(CPP, cpp_compiler);
    let library = steps.run(ONNX_RUNTIME, onnxruntime::set_up);
    steps.run("set-up: rustfmt and clippy", components);
    steps.run(MICROPHONE, || {
        embedded::provide("ALSA with its headers", has_alsa, &MICROPHONE_PACKAGES)
    });
    check_source(&mut steps);
    steps.run(LEAN, lean_tests);
    let inputs = Inputs {
        library,
        ..Inputs::default()
    };
    steps.run("host tests", || {
        // Those that run firmwares are all in one package.
        process::run(
            inputs
                .cargo_test()?
                .args(workspace_features())
                .args(["--exclude", "mtslvr-tests"]),
        )
    });
    steps.not_asked(
        "boards, emulators, browser",
        "cargo xtask test, without --host",
    );
    steps.summary()
}

/// Runs what takes long.
fn long_parts(steps: &mut Steps, toolchain: Option<Toolchain>) {
    if let Some(advisories) = steps.run(CARGO_DENY, supply::cargo_deny) {
        steps.note(CARGO_DENY, &advisories);
    }
    steps.run(BOOK, book::build);
    on_boards(steps, toolchain, AARCH64_PROGRAM, |steps, toolchain| {
        steps.run(AARCH64_PROGRAM, || aarch64::program_tests(toolchain))
    });
    steps.run(GUIDE_LONG, || guide::run_commands(&built("mtslvr"), true));
    steps.run(FUZZING, || {
        fuzz::fuzz(&[], true, fuzz::TEST_ALL, |_| Ok(()))
    });
}

/// Checks form, lints and documentation, and what is published.
fn check_source(steps: &mut Steps) {
    steps.run("format", format);
    steps.run(
        "licences, sources, and what only training needs",
        supply::check,
    );
    steps.run("clippy", clippy);
    steps.run("documentation", documentation);
    steps.run(PACKAGE, package);
}

/// Builds the example firmware around the test model.
fn example_firmware(
    steps: &mut Steps,
    toolchain: Option<Toolchain>,
    model: Option<&Path>,
) -> Option<PathBuf> {
    on_boards(steps, toolchain, FIRMWARE, |steps, toolchain| {
        let Some(model) = model else {
            steps.blocked(FIRMWARE, MODEL);
            return None;
        };
        steps.run(FIRMWARE, || {
            firmware::build(toolchain, BOARD, firmware::EXAMPLE, model)
        })
    })
}

/// Builds for real boards, and compares bytes, figures and kernels on emulated ones.
fn check_boards(steps: &mut Steps, toolchain: Option<Toolchain>) {
    on_boards(steps, toolchain, BOARDS, |steps, toolchain| {
        for part in PARTS {
            let name = format!("{BOARDS}, {}", part.name);
            let sizes = steps.run(&name, || {
                part::build(toolchain, part, &firmware::model_or_shipped(None)?)
            });
            if let Some(sizes) = sizes {
                steps.note(&name, &sizes.to_string());
            }
        }
        Some(())
    });
    on_boards(steps, toolchain, FIGURES, |steps, toolchain| {
        for board in MEASURED {
            let name = format!("{FIGURES} on {}", board.name());
            let shrunk = steps.run(&name, || figures_of(toolchain, board));
            if let Some(shrunk) = shrunk.filter(|shrunk| !shrunk.is_empty()) {
                steps.note(&name, &shrunk);
            }
        }
        Some(())
    });
    on_boards(steps, toolchain, KERNELS, |steps, toolchain| {
        for board in KERNELS_ON {
            steps.run(&format!("{KERNELS} on {}", board.name()), || {
                kernels(toolchain, board)
            });
        }
        Some(())
    });
    on_boards(steps, toolchain, AARCH64, |steps, toolchain| {
        steps.run(AARCH64, || aarch64::kernel_tests(toolchain))
    });
}

/// Runs `work` with the compiler for boards; without one, the step `name` fails.
fn on_boards<T>(
    steps: &mut Steps,
    toolchain: Option<Toolchain>,
    name: &str,
    work: impl FnOnce(&mut Steps, Toolchain) -> Option<T>,
) -> Option<T> {
    match toolchain {
        Some(toolchain) => work(steps, toolchain),
        None => {
            steps.blocked(name, EMBEDDED);
            None
        }
    }
}

/// Files that earlier steps made for the tests. One that is missing makes the tests that need it fail,
/// and leaves the others running.
#[derive(Default)]
struct Inputs {
    library: Option<PathBuf>,
    model: Option<PathBuf>,
    elf: Option<PathBuf>,
    minimal: Option<PathBuf>,
    update: Option<PathBuf>,
    /// On each of [`CRASH_ON`].
    crash: Option<Vec<PathBuf>>,
    signed: Option<PathBuf>,
    c_example: Option<PathBuf>,
}

impl Inputs {
    /// `cargo test` in the host's one profile, with these inputs in its environment.
    fn cargo_test(&self) -> Result<Command> {
        let mut command = workspace::host_cargo()?;
        command.args(["test", "--release", "--locked", "--no-fail-fast"]);
        for (name, value) in [
            ("ORT_DYLIB_PATH", &self.library),
            ("MTSLVR_TEST_MODEL", &self.model),
            ("MTSLVR_TEST_FIRMWARE", &self.elf),
            ("MTSLVR_TEST_MINIMAL", &self.minimal),
            ("MTSLVR_TEST_UPDATE", &self.update),
            ("MTSLVR_TEST_SIGNED", &self.signed),
            ("MTSLVR_TEST_C", &self.c_example),
            ("MTSLVR_TEST_BINARY", &Some(built("mtslvr"))),
        ] {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        if let Some(crash) = &self.crash {
            command.env("MTSLVR_TEST_CRASH", env::join_paths(crash)?);
        }
        Ok(command)
    }
}

/// Compiles the step of a GPU that tests run on the processor. On Windows, Rust comes with one.
fn cpp_compiler() -> Result<()> {
    let there = || cfg!(windows) || embedded::starts("c++");
    embedded::provide("a C++ compiler", there, &["g++"])
}

/// rustfmt and clippy, which rustup's minimal profile leaves out.
fn components() -> Result<()> {
    for (tool, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !process::succeeds(workspace::host_cargo()?.args([tool, "--version"])) {
            process::run(Command::new("rustup").args(["component", "add", component]))
                .with_context(|| format!("install {component} for this Rust and run this again"))?;
        }
    }
    Ok(())
}

fn format() -> Result<()> {
    process::run(workspace::host_cargo()?.args(["fmt", "--all", "--check"]))?;
    for folder in OTHER_WORKSPACES {
        let manifest = format!("{folder}/Cargo.toml");
        process::run(workspace::host_cargo()?.args([
            "fmt",
            "--all",
            "--check",
            "--manifest-path",
            &manifest,
        ]))?;
    }
    Ok(())
}

/// Features are named, not `--all-features`: some need what a machine may not have.
fn clippy() -> Result<()> {
    let run = |args: &[&str]| {
        process::run(
            workspace::host_cargo()?
                .args(["clippy", "--release", "--locked"])
                .args(args)
                .args(["--", "-D", "warnings"]),
        )
    };
    run(&[workspace_features(), &["--all-targets"]].concat())?;
    // The runtime as a firmware has it.
    for features in ["defmt,flash,link", "defmt,flash,link,signed"] {
        let firmware = ["--no-default-features", "--features", features];
        run(&[&["--package", "mtslvr-runtime"], &firmware[..]].concat())?;
    }
    // The program that only runs packed models.
    run(&[
        "--package",
        "mtslvr",
        "--no-default-features",
        "--all-targets",
    ])?;
    // A GPU's step, which builds without anything of CUDA.
    run(&[
        "--package",
        "mtslvr-train",
        "--features",
        "cuda",
        "--all-targets",
    ])?;
    run(&["--manifest-path", "tests/fuzz/Cargo.toml", "--all-targets"])?;
    run(&["--manifest-path", python::MANIFEST])
}

/// The features that the whole workspace is built with, here and in every step: what is built once is then
/// built for all. Without ALSA, the program has no microphone.
fn workspace_features() -> &'static [&'static str] {
    if has_alsa() {
        &["--workspace", "--features", "mtslvr/mic"]
    } else {
        &["--workspace"]
    }
}

/// Whether cpal finds ALSA; it needs none on systems without.
fn has_alsa() -> bool {
    !cfg!(target_os = "linux")
        || process::succeeds(Command::new("pkg-config").args(["--exists", "alsa"]))
}

/// The crates that a user builds on, each with all that it has on a host.
const LIBRARIES: [&str; 9] = [
    "mtslvr-runtime",
    "mtslvr-c",
    "mtslvr-audio",
    "mtslvr-pack",
    "mtslvr-listen",
    "mtslvr-evaluate",
    "mtslvr-train",
    "mtslvr-kernel-cases",
    "mtslvr-simulated-flash",
];

fn documentation() -> Result<()> {
    let packages = LIBRARIES.iter().flat_map(|name| ["--package", name]);
    let features = "mtslvr-runtime/std,mtslvr-runtime/flash,mtslvr-runtime/link,mtslvr-pack/onnx,mtslvr-pack/signing,mtslvr-pack/tract,mtslvr-pack/ort";
    process::run(
        workspace::host_cargo()?
            .args(["doc", "--release", "--locked", "--no-deps"])
            .args(packages)
            .args(["--features", features])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// Links the firmware that links only without a panic, for every kind of kernels.
pub fn no_panic(toolchain: Toolchain) -> Result<()> {
    let model = firmware::model_or_shipped(None)?;
    for board in MEASURED {
        firmware::build(toolchain, board, firmware::NO_PANIC, &model).with_context(|| {
            format!(
                "a panic is linked on {}: firmware-examples/no-panic/README.md says how to find it",
                board.name()
            )
        })?;
    }
    Ok(())
}

fn no_std_build(toolchain: Toolchain) -> Result<()> {
    process::run(toolchain.cargo_build(BOARD, workspace::root())?.args([
        "--package",
        "mtslvr-runtime",
        "--no-default-features",
        "--features",
        "defmt,flash,link,signed",
    ]))
}

/// The runtime packs into a crate that builds by itself: nothing in it refers to the rest of the tree.
fn package() -> Result<()> {
    process::run(
        workspace::host_cargo()?
            .args(["package", "--locked", "--allow-dirty"])
            .args(["--package", "mtslvr-runtime"]),
    )
}

/// Builds the tests of the workspace, and the programs that they run.
fn build_host_tests() -> Result<()> {
    process::run(
        workspace::host_cargo()?
            .args(["test", "--release", "--locked", "--no-run"])
            .args(workspace_features()),
    )
}

/// Runs the commands of the guide.
pub fn guide(long: bool) -> Result<()> {
    guide::run_commands(&built("mtslvr"), long)
}

/// Builds the program and tests the Python package against it. Returns the size of the wheel in words.
pub fn python() -> Result<String> {
    process::run(workspace::host_cargo()?.args([
        "build",
        "--release",
        "--locked",
        "--package",
        "mtslvr",
    ]))?;
    python::test(&built("mtslvr"))
}

/// A program that [`build_host_tests`] built.
fn built(program: &str) -> PathBuf {
    let name = format!("{program}{}", env::consts::EXE_SUFFIX);
    workspace::target_dir().join("release").join(name)
}

/// A small packed model with seeded random weights: the tests compare engines, not accuracy.
fn test_model() -> Result<PathBuf> {
    let model = embedded::target_dir().join("test-model.slvr");
    process::run(Command::new(built("make_test_model")).arg(&model))?;
    Ok(model)
}

/// The runtime gives the host's bytes on `board`, and no figure has grown. Returns what there is to
/// say of figures that shrank.
fn figures_of(toolchain: Toolchain, board: Board) -> Result<String> {
    let request = Request { model: None, board };
    let measured = bench_firmware::measure(toolchain, &request)?;
    figures::check(&measured)
}

/// Runs `board`'s kernels in QEMU on random operators; their outputs must be those of this host's
/// portable kernels.
fn kernels(toolchain: Toolchain, board: Board) -> Result<()> {
    let model = firmware::model_or_shipped(None)?;
    let elf = firmware::build(toolchain, board, firmware::KERNELS, &model)?;
    let output = process::output(&mut qemu::command(board, &elf, &[KERNEL_CASES.to_string()]))?;
    let Sweep::Agrees { crc32 } = sweep(KERNEL_CASES, &Kernels::PORTABLE) else {
        bail!("the portable kernels differ from themselves");
    };
    let expected = format!("kernels cases={KERNEL_CASES} crc32={crc32:08x}");
    ensure!(
        output == expected,
        "the board says {output:?}, this host {expected:?}"
    );
    Ok(())
}

fn fuzz_targets() -> Result<()> {
    process::run(
        workspace::host_cargo()?
            .args(["test", "--release", "--locked"])
            .args(["--manifest-path", "tests/fuzz/Cargo.toml"]),
    )
}

/// The program that only runs packed models does what it should, as it is built for small computers.
fn lean_tests() -> Result<()> {
    process::run(workspace::host_cargo()?.args([
        "test",
        "--profile",
        "small",
        "--locked",
        "--package",
        "mtslvr",
        "--no-default-features",
        "--test",
        "lean",
    ]))
}

/// That program stays small, too. Returns its size.
fn lean_program() -> Result<String> {
    lean_tests()?;
    let bytes = elf::sizes(&workspace::target_dir().join("small/mtslvr"))?.flash;
    ensure!(
        bytes <= LEAN_LIMIT,
        "without training, mtslvr takes {bytes} bytes, and may take {LEAN_LIMIT}"
    );
    Ok(format!("{bytes} bytes of {LEAN_LIMIT}"))
}

fn host_tests(inputs: &Inputs, broker: bool) -> Result<()> {
    let mut tests = inputs.cargo_test()?;
    if broker {
        // Without it, tests with a broker say that there is none, and pass.
        tests.env("MTSLVR_MOSQUITTO", "1");
    }
    process::run(tests.args(workspace_features()))
}

/// Whether the broker is there, its client, and what makes its certificates.
fn has_mosquitto() -> bool {
    Path::new("/usr/sbin/mosquitto").exists()
        && process::succeeds(Command::new("openssl").arg("version"))
        && Command::new("mosquitto_sub")
            .arg("--help")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .is_ok()
}

/// The tests that are marked as ignored because they need recordings.
fn real_recordings(inputs: &Inputs, data: &Path) -> Result<()> {
    let sets = data.join("eval");
    ensure!(
        sets.is_dir(),
        "MTSLVR_DATA is {}, but {} is not a folder; it should hold one folder a labelled set",
        data.display(),
        sets.display()
    );
    let data = data.canonicalize()?;
    process::run(
        inputs
            .cargo_test()?
            .env("MTSLVR_DATA", data)
            .args(workspace_features())
            .args(["--test", "real_recordings"])
            .args(["--", "--ignored"]),
    )
}
