//! The emulated boards that firmwares are built for and run on.

/// A board that QEMU emulates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Board {
    /// Code for a Cortex-M0+, run by a Cortex-M3: QEMU has no Cortex-M0 with enough memory, and the
    /// Cortex-M3 executes all of Armv6-M.
    An385,
    /// Cortex-M4F: the one that the example firmware is tested on.
    An386,
    /// Cortex-M7.
    An500,
    /// Cortex-M33.
    An505,
    /// Cortex-M55.
    An547,
    /// RISC-V without floats and atomics in hardware.
    Virt,
}

impl Board {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::An385,
        Self::An386,
        Self::An500,
        Self::An505,
        Self::An547,
        Self::Virt,
    ];

    /// Returns its name: on the command line, in the firmwares' build and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::An385 => "an385",
            Self::An386 => "an386",
            Self::An500 => "an500",
            Self::An505 => "an505",
            Self::An547 => "an547",
            Self::Virt => "virt",
        }
    }

    /// The board with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|board| board.name() == name)
    }

    /// QEMU's machine.
    pub fn machine(self) -> &'static str {
        match self {
            Self::An385 => "mps2-an385",
            Self::An386 => "mps2-an386",
            Self::An500 => "mps2-an500",
            Self::An505 => "mps2-an505",
            Self::An547 => "mps3-an547",
            Self::Virt => "virt",
        }
    }

    /// The emulator's binary.
    pub fn qemu(self) -> &'static str {
        match self {
            Self::Virt => "qemu-system-riscv32",
            _ => "qemu-system-arm",
        }
    }

    /// Returns further arguments for QEMU.
    pub fn qemu_arguments(self) -> &'static [&'static str] {
        match self {
            Self::Virt => &["-cpu", "rv32,a=off,f=off,d=off", "-bios", "none"],
            _ => &[],
        }
    }

    /// Its processor.
    pub fn core(self) -> &'static str {
        match self {
            Self::An385 => "Cortex-M0+ code on a Cortex-M3",
            Self::An386 => "Cortex-M4F",
            Self::An500 => "Cortex-M7",
            Self::An505 => "Cortex-M33",
            Self::An547 => "Cortex-M55",
            Self::Virt => "RV32IMC",
        }
    }

    /// The compiler's target.
    pub fn target(self) -> &'static str {
        match self {
            Self::An385 => "thumbv6m-none-eabi",
            Self::An386 | Self::An500 => "thumbv7em-none-eabihf",
            Self::An505 | Self::An547 => "thumbv8m.main-none-eabihf",
            Self::Virt => "riscv32imc-unknown-none-elf",
        }
    }

    /// Returns further flags for the compiler.
    pub fn rustflags(self) -> &'static str {
        match self {
            Self::An385 | Self::An386 | Self::An500 | Self::Virt => "",
            // The target's own default is Armv8-M Mainline without any extension.
            Self::An505 => "-C target-cpu=cortex-m33",
            Self::An547 => "-C target-cpu=cortex-m55",
        }
    }
}
