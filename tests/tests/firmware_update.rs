//! `firmware-examples/update` in QEMU: the model in flash is replaced by another one, whenever the power goes.

use anyhow::{Context, Result, ensure};
use mtslvr_runtime::model::{AlignedBytes, Crc32, Model, OpenError};
use mtslvr_runtime::nn::Layout;
use std::path::{Path, PathBuf};
use std::{env, fs};
use tempfile::TempDir;
use xtask::board::Board;
use xtask::qemu;

/// Bytes of a slot and of the flash, as the firmware has them.
const SLOT: usize = 128 * 4096;
const FLASH: usize = 2 * SLOT + 2 * 4096;

/// A device, its flash, and a new model.
struct Bench {
    elf: PathBuf,
    folder: TempDir,
}

impl Bench {
    /// A device with the old model in slot A.
    fn new() -> Result<Self> {
        let elf = env::var_os("MTSLVR_TEST_UPDATE").context(
            "MTSLVR_TEST_UPDATE is not set: run `cargo xtask test`, which builds the firmware",
        )?;
        let bench = Self {
            elf: elf.into(),
            folder: TempDir::new()?,
        };
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/tests/golden");
        let mut flash = vec![0xff; FLASH];
        let old = fs::read(golden.join("v1.slvr"))?;
        flash[..old.len()].copy_from_slice(&old);
        fs::write(bench.flash(), flash)?;
        fs::copy(golden.join("v1-operators.slvr"), bench.new_model())?;
        Ok(bench)
    }

    fn flash(&self) -> PathBuf {
        self.folder.path().join("flash")
    }

    fn new_model(&self) -> PathBuf {
        self.folder.path().join("new.slvr")
    }

    /// One start of the device; its report. A start that loses its power ends with an error.
    fn start(&self, arguments: &[&str]) -> Result<String> {
        let mut all = vec![format!("flash={}", self.flash().display())];
        all.extend(arguments.iter().map(|argument| match *argument {
            "update" => format!("update={}", self.new_model().display()),
            other => other.to_owned(),
        }));
        let output = qemu::command(Board::An386, &self.elf, &all).output()?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(output.status.success(), "{text}");
        Ok(text)
    }

    /// Starts once more and returns what the firmware says of the model.
    fn started(&self) -> Result<String> {
        let report = self.start(&[])?;
        let (line, _) = report.split_once(" backbone=").context(report.clone())?;
        Ok(line.to_owned())
    }
}

const OLD: &str = "started slot=A how=Usual";

#[test]
fn a_new_model_is_tried_and_confirmed() -> Result<()> {
    let bench = Bench::new()?;
    assert_eq!(bench.started()?, OLD);
    bench.start(&["update"])?;
    assert_eq!(bench.started()?, "started slot=B how=Trial { left: 2 }");
    assert!(bench.start(&["confirm=1"])?.ends_with("confirmed\n"));
    assert_eq!(bench.started()?, "started slot=B how=Usual");
    Ok(())
}

#[test]
fn a_model_that_is_never_confirmed_is_given_up() -> Result<()> {
    let bench = Bench::new()?;
    bench.start(&["update"])?;
    for left in [2, 1, 0] {
        let trial = format!("started slot=B how=Trial {{ left: {left} }}");
        assert_eq!(bench.started()?, trial);
    }
    assert_eq!(bench.started()?, "started slot=A how=NeverConfirmed");
    assert_eq!(bench.started()?, OLD);
    Ok(())
}

#[test]
fn sounds_that_would_be_lost_keep_the_new_model_waiting() -> Result<()> {
    let bench = Bench::new()?;
    bench.start(&["update", "sounds=stay"])?;
    let report = bench.start(&[])?;
    assert!(report.starts_with(OLD), "{report}");
    assert!(
        report.contains("light long=4: a new model waits"),
        "{report}"
    );
    bench.start(&["give_up_sounds=1"])?;
    assert_eq!(bench.started()?, "started slot=B how=Trial { left: 2 }");
    Ok(())
}

/// Two weights whose second is out of range are found by the instructions of the core, too, wherever they lie.
#[test]
fn weights_that_cannot_be_are_refused() -> Result<()> {
    let bench = Bench::new()?;
    let whole = AlignedBytes::new(&fs::read(bench.new_model())?);
    let model = Model::open(&whole)?;
    let op = model.ops().find(|op| op.layout == Layout::Pairs);
    let op = op.context("a layer with weights in pairs")?;
    let weights = op.tables.weights;
    let first = weights.as_ptr().addr() - whole.as_ptr().addr();
    // 0x7F80 to 0x7FFF, as the first pair, as the second of a word, and as the last.
    let places = [
        (first, [0x80, 0x7f]),
        (first + 2, [0xff, 0x7f]),
        (first + weights.len() - 2, [0x80, 0x7f]),
    ];
    for (at, pair) in places {
        let mut bytes = whole.to_vec();
        bytes[at..at + 2].copy_from_slice(&pair);
        // The checksum of all other bytes.
        let sum = Crc32::new().update(&bytes[..12]).update(&bytes[16..]);
        bytes[12..16].copy_from_slice(&sum.finish().to_le_bytes());
        let refused = OpenError::Weights {
            op: op.index as u16,
        };
        let opened = Model::open(&AlignedBytes::new(&bytes)).map(|_| ());
        assert_eq!(opened, Err(refused));
        fs::write(bench.new_model(), &bytes)?;
        let report = bench.start(&["update"])?;
        assert!(report.contains(&format!("refused: {refused}")), "{report}");
    }
    Ok(())
}

/// The power goes while the model arrives, is taken, and is confirmed.
#[test]
fn the_power_may_go_at_any_time() -> Result<()> {
    let bench = Bench::new()?;
    let new = fs::read(bench.new_model())?.len();
    let (mut cuts, mut resumed) = (0, false);
    let step = 1531;
    for cut in (3..).step_by(step) {
        let flash = fs::read(bench.flash())?;
        let report = bench.start(&["update", &format!("cut={cut}")]);
        if let Err(lost) = &report {
            assert!(lost.to_string().contains("power lost"), "{lost}");
            assert_eq!(bench.started()?, OLD, "cut at {cut}");
            let goes_on = bench.start(&["update"])?;
            resumed |= !goes_on.contains(&format!("receiving from=0 of={new}"));
            assert_eq!(bench.started()?, "started slot=B how=Trial { left: 2 }");
            // Nor does the power last for the confirmation.
            assert!(bench.start(&["confirm=1", "cut=100"]).is_err());
            assert_eq!(bench.started()?, "started slot=B how=Trial { left: 0 }");
            fs::write(bench.flash(), flash)?;
            cuts += 1;
        } else {
            break;
        }
    }
    assert!(cuts > 10 && resumed, "{cuts} cuts, resumed: {resumed}");
    Ok(())
}
