//! `cargo xtask`: sets up what the tests need, runs them all, and builds the example firmware.

mod aarch64;
mod bench_firmware;
mod benchmarks;
mod book;
mod c_library;
mod elf;
mod embedded;
mod figures;
mod firmware;
mod fuzz;
mod gpu_check;
mod guide;
mod links;
mod measured;
mod onnxruntime;
mod part;
mod process;
mod python;
mod release;
mod steps;
mod suite;
mod supply;
mod web;
mod windows;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use xtask::board::Board;

/// Sets up, tests and builds this repository.
///
/// Environment, none of which has to be set: MTSLVR_EMBEDDED=rustup or debian takes the compiler for boards from
/// rustup's targets or from Debian's packages; unset, rustup's are taken where they can be had. MTSLVR_DATA=DIR also
/// tests on the recordings in DIR/eval. ORT_DYLIB_PATH=FILE takes that ONNX Runtime library instead of the one from
/// PyPI.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sets up and runs every check: format, clippy, host tests, no_std builds, firmware in QEMU.
    Test {
        /// Also run what takes an hour more: longer fuzzing, training by the guide's commands, the program for aarch64 in
        /// QEMU, cargo-deny.
        #[arg(long)]
        all: bool,
        /// Only run what needs no board, emulator or browser: on Windows and macOS.
        #[arg(long, conflicts_with = "all")]
        host: bool,
    },
    /// Only sets up what `test` needs: compilers for boards, QEMU, ONNX Runtime.
    Setup,
    /// Links the firmware that links only if embedding, classifying and listening hold no panic.
    NoPanic,
    /// Fuzzes every parser of outside bytes, guided by coverage. Needs a C++ compiler.
    ///
    /// Inputs that fail are kept in tests/fuzz/artifacts, and inputs that reach new code in
    /// tests/fuzz/corpus.
    Fuzz {
        /// Targets; all of them if none is named.
        #[arg(value_name = "TARGET")]
        targets: Vec<String>,
        /// Executions of each parser of bytes.
        #[arg(long, value_name = "N", default_value_t = fuzz::LONG.bytes)]
        runs: u64,
        /// Executions of the audio reader and the ONNX import.
        #[arg(long, value_name = "N", default_value_t = fuzz::LONG.slow)]
        slow_runs: u64,
        /// Leave out checkpoints and configurations, which take minutes more to build.
        #[arg(long)]
        no_train: bool,
        /// Write what was tried into the table in tests/RELIABILITY.md, a row as each target ends.
        #[arg(long)]
        write: bool,
    },
    /// Builds the QEMU example firmware around a packed model, and runs it if asked to.
    Firmware {
        /// The board.
        #[arg(long, value_parser = board, value_name = "BOARD", default_value = "an386")]
        board: Board,
        /// The packed model (.slvr) to put into flash.
        #[arg(long, value_name = "FILE")]
        model: PathBuf,
        /// The program: `qemu` enrols and recognises recordings, `minimal` listens to one, `kernels` compares as
        /// many random layers as its argument says with the portable kernels.
        #[arg(long, value_parser = ["qemu", "minimal", "kernels"], value_name = "PROGRAM", default_value = "qemu")]
        program: String,
        /// Take only models that this key has signed: the 64 hexadecimal digits that `mtslvr keygen` prints.
        #[arg(long, value_name = "HEX")]
        public_key: Option<String>,
        /// Take only models with at least this version counter.
        #[arg(long, value_name = "N", default_value_t = 0, requires = "public_key")]
        least_version_counter: u64,
        /// Run it in QEMU, with the arguments behind `--`.
        #[arg(long)]
        run: bool,
        /// Connect the board's UART, as QEMU's option -serial says it: `pty` for a port of this computer.
        #[arg(long, requires = "run", value_name = "PORT")]
        serial: Option<String>,
        /// The firmware's own arguments, such as `support:dog=a.wav query=b.wav`
        /// (firmware-examples/qemu/README.md lists them).
        #[arg(last = true, requires = "run", value_name = "ARG")]
        args: Vec<String>,
    },
    /// Builds the firmwares of the real boards, and checks that they fit into flash and RAM.
    Boards {
        /// The packed model (.slvr) to put into flash instead of models/edge-s/model.slvr.
        #[arg(long, value_name = "FILE")]
        model: Option<PathBuf>,
        /// Write the figures into the README of each firmware.
        #[arg(long, conflicts_with = "model")]
        write: bool,
    },
    /// Counts instructions, flash, RAM and stack of the runtime on an emulated microcontroller.
    ///
    /// Builds the firmwares of firmware-examples, runs them in QEMU with `-icount shift=0`, and
    /// checks that the board gives the host's bytes. Instructions are not cycles.
    BenchFirmware {
        /// The packed model (.slvr) to put into flash instead of models/edge-s/model.slvr.
        #[arg(long, value_name = "FILE")]
        model: Option<PathBuf>,
        /// The board: an386 (Cortex-M4F), an500 (M7), an505 (M33), an547 (M55), an385 (Cortex-M0+ code,
        /// run by a Cortex-M3) or virt (RISC-V, RV32IMC).
        #[arg(long, value_parser = board, value_name = "BOARD", default_value = "an386")]
        board: Board,
        /// Print JSON instead of tables.
        #[arg(long)]
        json: bool,
        /// Write the figures to firmware-examples/bench/figures.json, and the tables made from them to
        /// runtime/BENCHMARKS.md: `cargo xtask test` fails when the figures grow by more than 2 % over
        /// what the file holds.
        #[arg(long, conflicts_with = "model")]
        accept: bool,
    },
    /// Makes the library for C as a package for Arduino, ESP-IDF and Zephyr, in target/c-packages.
    ///
    /// Builds it for every processor, with gcc for Arm and RISC-V, and compiles the examples against
    /// stub headers.
    CPackages {
        /// The packed model (.slvr) that goes into the packages instead of models/edge-s/model.slvr.
        #[arg(long, value_name = "FILE")]
        model: Option<PathBuf>,
    },
    /// Builds the C program of firmware-examples/c, and runs it in QEMU with the arguments behind `--`.
    CExample {
        /// The program's own arguments: a name, three recordings of that sound, another one, and a stream.
        #[arg(last = true, value_name = "ARG")]
        args: Vec<String>,
    },
    /// Measures the library for C in linked programs and writes the table into runtime/c/README.md.
    CSizes,
    /// Builds the page that teaches sounds in a browser, and serves it on this machine.
    ///
    /// Prints the address. See firmware-examples/web/README.md.
    Web {
        /// Write the static files into this folder, and serve nothing.
        #[arg(long, value_name = "DIR", conflicts_with = "port")]
        build: Option<PathBuf>,
        /// The port.
        #[arg(long, value_name = "PORT", default_value_t = 8000)]
        port: u16,
    },
    /// Builds the Python package as a wheel, and tests it in a fresh virtual environment.
    ///
    /// It is compared with the program, which it builds if need be.
    Python {
        /// Only build the wheel, and print its path.
        #[arg(long)]
        build: bool,
    },
    /// Runs the commands of the guide and the README with the program that was built.
    Guide {
        /// Those that take minutes, too.
        #[arg(long)]
        long: bool,
    },
    /// Builds the guide, with the documents that it leads to, as a book of web pages in target/book.
    ///
    /// Prints the path of its first page. Builds mdBook at the first call, which takes minutes.
    Book,
    /// Builds the program for this machine, and packs it with completions, manual pages and notices.
    ///
    /// The archive is in target/releases.
    Release {
        /// Features beside the default ones, joined with commas.
        #[arg(long, value_name = "LIST", default_value = "mic,tract")]
        features: String,
    },
    /// Prints the third-party notices of a product: packages, licences and their texts, as Markdown.
    Notices(supply::Selection),
    /// Prints the software bill of materials of a product: CycloneDX in JSON, the same for the same lock file.
    Sbom(supply::Selection),
    /// Packs what a machine with a CUDA GPU needs to check the trainer, or writes the page of the results.
    ///
    /// Builds mtslvr and gpu-check with the feature cuda, writes target/gpu-check.tar.xz and prints the
    /// commands for the other machine.
    GpuCheck {
        /// Write trainer/train/benches/GPU.md from these gpu.json that came back, and build nothing.
        ///
        /// Where two hold the same part, the later one counts.
        #[arg(long, value_name = "FILE", num_args = 1..)]
        page: Vec<PathBuf>,
    },
}

fn board(name: &str) -> Result<Board, String> {
    Board::from_name(name).ok_or_else(|| {
        let names = Board::ALL.map(Board::name);
        format!("expected one of: {}", names.join(", "))
    })
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Test { host: true, .. } => return Ok(suite::test_host()),
        Command::Test { all, .. } => return Ok(suite::test(all)),
        Command::Setup => {
            let toolchain = embedded::Toolchain::set_up(&Board::ALL)?;
            c_library::set_up(&[*c_library::of_example()], toolchain)?;
            let library = onnxruntime::set_up()?;
            println!("ONNX Runtime: ORT_DYLIB_PATH={}", library.display());
        }
        Command::Fuzz {
            targets,
            runs,
            slow_runs,
            no_train,
            write,
        } => {
            let runs = fuzz::Runs {
                bytes: runs,
                slow: slow_runs,
            };
            fuzz::fuzz(&targets, !no_train, runs, |row| {
                if write { fuzz::write(row) } else { Ok(()) }
            })?;
        }
        Command::Firmware {
            board,
            model,
            program,
            public_key,
            least_version_counter,
            run,
            serial,
            args,
        } => {
            let program = match program.as_str() {
                "minimal" => firmware::MINIMAL,
                "kernels" => firmware::KERNELS,
                _ => firmware::EXAMPLE,
            };
            let model = firmware::find_model(&model)?;
            let toolchain = embedded::Toolchain::set_up(&[board])?;
            let trust = public_key.map(|public_key| firmware::Trust {
                public_key,
                least_version_counter,
            });
            let elf = firmware::build_trusting(toolchain, board, program, &model, trust.as_ref())?;
            println!("{}", elf.display());
            if run {
                firmware::run(board, &elf, &args, serial.as_deref())?;
            }
        }
        Command::Boards { model, write } => {
            let model = firmware::model_or_shipped(model.as_deref())?;
            let toolchain =
                embedded::Toolchain::set_up(&[Board::An386, Board::An505, Board::Virt])?;
            for part in part::PARTS {
                let usage = part::build(toolchain, part, &model)?;
                println!("{}: {usage}", part.name);
                if write {
                    usage.write()?;
                }
            }
        }
        Command::BenchFirmware {
            model,
            board,
            json,
            accept,
        } => {
            let request = bench_firmware::Request { model, board };
            let toolchain = embedded::Toolchain::set_up(&[board])?;
            let measured = bench_firmware::measure(toolchain, &request)?;
            if json {
                println!("{}", measured.to_json()?);
            } else {
                print!("{measured}");
            }
            if accept {
                figures::accept(measured)?;
            }
        }
        Command::NoPanic => suite::no_panic(embedded::Toolchain::set_up(&suite::MEASURED)?)?,
        Command::CPackages { model } => c_library::packages(model.as_deref())?,
        Command::CExample { args } => c_library::example(&args)?,
        Command::CSizes => c_library::write_sizes()?,
        Command::Web { build, port } => match build {
            Some(folder) => {
                web::build(&folder)?;
                println!("{}", folder.display());
            }
            None => web::serve(port)?,
        },
        Command::Python { build: true } => println!("{}", python::wheel()?.display()),
        Command::Python { build: false } => println!("{}", suite::python()?),
        Command::Guide { long } => suite::guide(long)?,
        Command::Book => println!("{}", book::build()?.display()),
        Command::Release { features } => println!("{}", release::archive(&features)?.display()),
        Command::Notices(selection) => print!("{}", supply::notices(&selection)?),
        Command::Sbom(selection) => print!("{}", supply::sbom(&selection)?),
        Command::GpuCheck { page } => {
            if page.is_empty() {
                gpu_check::archive()?;
            } else {
                gpu_check::write_page(&page)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
